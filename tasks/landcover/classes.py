"""The twelve class ids and the tables that lead from a product's codes to them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from tasks.errors import InputError

TOKENS = (
    "no_data",
    "water",
    "developed_area",
    "tree",
    "shrub",
    "grass",
    "crop",
    "bare_land",
    "snow",
    "wetland",
    "mangroves",
    "moss",
)
"""Class tokens by id: id 0 is no data, ids 1 to 11 are the classes."""

N_IDS = len(TOKENS)
NO_DATA = 0

COLOURS: tuple[tuple[int, int, int], ...] = (
    (0, 0, 0),
    (0, 0, 255),
    (255, 0, 0),
    (0, 192, 0),
    (200, 170, 120),
    (0, 255, 0),
    (255, 255, 0),
    (128, 128, 128),
    (255, 255, 255),
    (0, 255, 255),
    (255, 0, 255),
    (128, 0, 128),
)
"""The legend's colour (red, green, blue) of each id."""

COLOUR_WORDS = (
    "black",
    "blue",
    "red",
    "dark green",
    "brown",
    "green",
    "yellow",
    "grey",
    "white",
    "cyan",
    "pink",
    "purple",
)
"""How the legend's colours are called in a prompt, by id."""

_WHOLE_NUMBER = re.compile(r"-?[0-9]+")

ID_OF_TOKEN = {token: index for index, token in enumerate(TOKENS) if index != NO_DATA}


@dataclass(frozen=True)
class Layout:
    """How the public WorldCover bucket names its files: one file per 3 x 3 degrees, by its south-west corner."""

    directory: str
    version: str
    year: int


@dataclass(frozen=True)
class ClassTable:
    """A product: which of its codes is which class id.

    Attributes:
        name: the product's name in the configuration.
        ids: class id (0 = no data) by code; a code that is missing here is an error where it is met.
        colours: class id by legend colour, for chips drawn in colour.
        layout: the bucket's layout, for WorldCover.
        attribution: whom its maps are to be attributed to, where that is known.
    """

    name: str
    ids: Mapping[int, int]
    colours: Mapping[tuple[int, int, int], int] = field(
        default_factory=lambda: {colour: index for index, colour in enumerate(COLOURS)}
    )
    layout: Layout | None = None
    attribution: str = ""

    def digest(self) -> str:
        """A short digest of codes and colours: two tables of one digest give the same counts."""
        content = [sorted(self.ids.items()), sorted(self.colours.items())]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


@cache
def built_in_products() -> dict[str, ClassTable]:
    """The class tables that ship with earthscribe, by product name."""
    text = files("tasks.landcover").joinpath("products.yaml").read_text("utf-8")
    return {name: _built_in(name, table) for name, table in yaml.safe_load(text).items()}


def class_table(product: str | Path) -> ClassTable:
    """The class table of a product, by its name or from the user's own table file.

    Args:
        product: a built-in product's name, or the path of a YAML or JSON file
            ``{name, nodata: [0], classes: {1: water, ...}, colours: {"0,0,255": 1}}``.

    Raises:
        InputError: the file is missing or is not such a table.
    """
    known = built_in_products()
    if str(product) in known:
        return known[str(product)]
    path = Path(product)
    if not path.is_file():
        names = ", ".join(known)
        raise InputError(f"{product}: expected one of {names}, or the path of a class table")
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    # PyYAML raises the last four for values whose tag does not fit them.
    except (yaml.YAMLError, OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise InputError(f"{path}: not a readable class table: {error}") from error
    return _own(path, content)


def _built_in(name: str, table: Mapping[str, Any]) -> ClassTable:
    ids = {int(code): NO_DATA for code in table["nodata"]}
    ids |= {int(code): ID_OF_TOKEN[token] for code, token in table["classes"].items()}
    layout = Layout(**table["layout"]) if "layout" in table else None
    return ClassTable(name=name, ids=ids, layout=layout, attribution=table["attribution"])


def _own(path: Path, content: object) -> ClassTable:
    """Checks a user's table and names every mistake in it."""
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a mapping with name, nodata, classes and perhaps colours")
    mistakes = [f"unknown key {key!r}" for key in content if key not in {"name", "nodata", "classes", "colours"}]
    name = content.get("name")
    if not isinstance(name, str) or not name:
        mistakes.append("name: expected a text")
    ids: dict[int, int] = {}
    nodata = content.get("nodata", [])
    if isinstance(nodata, list) and all(type(code) is int for code in nodata):
        ids |= dict.fromkeys(nodata, NO_DATA)
    else:
        mistakes.append("nodata: expected a list of whole numbers, such as [0]")
    classes = content.get("classes")
    if not isinstance(classes, dict) or not classes:
        mistakes.append("classes: expected a mapping from code to class, such as {1: water}")
        classes = {}
    for key, token in classes.items():
        # JSON knows no keys but texts.
        code = int(key) if isinstance(key, str) and _WHOLE_NUMBER.fullmatch(key) else key
        if type(code) is not int:
            mistakes.append(f"classes.{code}: expected a whole number as the code")
        elif not isinstance(token, str) or token not in ID_OF_TOKEN:
            mistakes.append(f"classes.{code}: {token!r} is no class; expected one of {', '.join(TOKENS[1:])}")
        elif code in ids:
            mistakes.append(f"classes.{code}: the code stands twice, here or under nodata")
        else:
            ids[code] = ID_OF_TOKEN[token]
    colours = _own_colours(content.get("colours"), ids, mistakes)
    if mistakes:
        raise InputError(f"{path}: not a class table\n" + "\n".join(f"  {mistake}" for mistake in mistakes))
    return ClassTable(name=str(name), ids=ids) if colours is None else ClassTable(str(name), ids, colours)


def _own_colours(
    content: object, ids: Mapping[int, int], mistakes: list[str]
) -> dict[tuple[int, int, int], int] | None:
    if content is None:
        return None
    if not isinstance(content, dict):
        mistakes.append('colours: expected a mapping from colour to code, such as {"0,0,255": 1}')
        return None
    colours: dict[tuple[int, int, int], int] = {}
    for colour, code in content.items():
        parts = [part.strip() for part in str(colour).split(",")]
        if len(parts) != 3 or not all(_WHOLE_NUMBER.fullmatch(part) and 0 <= int(part) <= 255 for part in parts):
            mistakes.append(f'colours.{colour}: expected "red,green,blue", each 0 to 255')
        elif type(code) is not int or code not in ids:
            mistakes.append(f"colours.{colour}: code {code!r} stands neither under classes nor under nodata")
        else:
            red, green, blue = (int(part) for part in parts)
            colours[red, green, blue] = ids[code]
    return colours
