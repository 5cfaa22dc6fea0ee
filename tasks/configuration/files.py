"""Whether the files that a configuration names are there, and are what they should be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tasks.configuration.captioners import BUILT_IN_PROMPTS
from tasks.configuration.masking import Loc
from tasks.configuration.mistakes import Mistake, nearest
from tasks.errors import InputError
from tasks.landcover.classes import built_in_products, class_table

Found = Iterator[Mistake]


def missing(given: Mapping[str, Any]) -> Found:
    """What is not there of an expanded configuration, or is no file where a file is expected.

    Values of the wrong type are the models' mistake, and pass here.
    """
    chips = _at(given, "tiles", "grid") == "chips"
    yield from _dataset(given)
    yield from _product(given)
    source = ("landcover", "source")
    yield from _expect(given, source, "a folder of chips" if chips else "a folder or a raster", file=not chips)
    if isinstance(_at(given, "tiles", "area"), str):
        yield from _expect(given, ("tiles", "area"), "a file: GeoJSON, GeoParquet or tile IDs one a line", folder=False)
    yield from _expect(given, ("tiles", "include"), "a file of points (lon, lat) or tile IDs", folder=False)
    yield from _expect(
        given, ("imagery", "stac"), "an address, an ItemCollection or a stac-geoparquet file", folder=False
    )
    yield from _expect(given, ("imagery", "source"), "a folder of chips", file=False)
    captioners = given.get("captioners")
    for index in range(len(captioners)) if isinstance(captioners, list) else ():
        yield from _prompt(given, ("captioners", index, "prompt"))


def _dataset(given: Mapping[str, Any]) -> Found:
    dataset = given.get("dataset")
    if isinstance(dataset, str) and "://" not in dataset and _exists(Path(dataset)) and not _is_folder(Path(dataset)):
        yield Mistake(("dataset",), "expected a folder, or a path where one can be made; this is a file")


def _product(given: Mapping[str, Any]) -> Found:
    product = _at(given, "landcover", "product")
    if not isinstance(product, str) or not product or product in built_in_products():
        return
    loc = ("landcover", "product")
    if not _is_file(Path(product)):
        names = list(built_in_products())
        hint = nearest(Path(product).name, names)
        yield Mistake(loc, f"expected one of {', '.join(names)}, or the path of a class table{hint}")
        return
    try:
        class_table(product)
    except InputError as error:
        yield Mistake(loc, str(error), False)
    except (OSError, ValueError, AttributeError, KeyError, TypeError, RecursionError):
        # What a YAML reader lets through when a tagged value is not what its tag says.
        yield Mistake(loc, "expected a class table, a YAML or JSON file that can be read")


def _prompt(given: Mapping[str, Any], loc: Loc) -> Found:
    prompt = _at(given, *loc)
    if isinstance(prompt, str) and prompt not in BUILT_IN_PROMPTS and not _is_folder(Path(prompt)):
        hint = nearest(Path(prompt).name, BUILT_IN_PROMPTS)
        yield Mistake(loc, f"expected text, vision, rules or the path of a folder of templates{hint}")


def _expect(given: Mapping[str, Any], loc: Loc, what: str, *, file: bool = True, folder: bool = True) -> Found:
    """Reports a local path at which there is no such thing; addresses are not looked up."""
    value = _at(given, *loc)
    if not isinstance(value, str) or not value or "://" in value:
        return
    path = Path(value)
    if not _exists(path):
        yield Mistake(loc, f"expected {what}, which does not exist")
    elif not ((file and _is_file(path)) or (folder and _is_folder(path))):
        yield Mistake(loc, f"expected {what}, which this is not")


def _at(given: Mapping[str, Any], *loc: str | int) -> Any:  # noqa: ANN401 - any JSON value
    value: Any = given
    for step in loc:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long, or a folder that cannot be read
        return False


def _is_file(path: Path) -> bool:
    return _exists(path) and path.is_file()


def _is_folder(path: Path) -> bool:
    return _exists(path) and path.is_dir()
