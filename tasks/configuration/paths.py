"""Which keys of the configuration hold paths, and how these become absolute."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tasks.configuration.captioners import BUILT_IN_PROMPTS
from tasks.configuration.expansion import escape, expand_text
from tasks.landcover.classes import built_in_products

_SQLITE = "sqlite:///"


def make_absolute(written: dict[str, Any], folder: Path) -> None:
    """Makes every relative path of a configuration, as written, absolute, in place.

    ``${NAME}`` is filled in to see whether a path is relative, and stays in it.

    Args:
        written: the configuration in plain values; what has not the shape expected there is left as it is.
        folder: what the paths are relative to.
    """
    for part, key, absolute in _places(written):
        if isinstance(part, dict) and isinstance(part.get(key), str) and part[key]:
            part[key] = absolute(part[key], folder)


def is_local(value: str) -> bool:
    """Whether a path, an address or a database lies on this machine."""
    return "://" not in value or value.startswith(_SQLITE)


def is_built_in(product: str) -> bool:
    """Whether a product comes with earthscribe, and is no path."""
    return product in built_in_products()


def default_ledger(state: object) -> str:
    """Where requests are counted by default: with the captions on PostgreSQL, else in one file of this user."""
    if isinstance(state, str) and state.startswith("postgresql://"):
        return state
    home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return f"{_SQLITE}{Path(home).absolute() / 'earthscribe' / 'ledger.db'}"


def _places(written: dict[str, Any]) -> Iterator[tuple[Any, str, Callable[[str, Path], str]]]:
    yield written, "dataset", _absolute
    yield written, "state", _absolute_database
    yield written, "ledger", _absolute_database
    yield written.get("landcover"), "product", _absolute_product
    yield written.get("landcover"), "source", _absolute
    yield written.get("tiles"), "area", _absolute
    yield written.get("tiles"), "include", _absolute
    yield written.get("imagery"), "stac", _absolute
    yield written.get("imagery"), "source", _absolute
    captioners = written.get("captioners")
    for captioner in captioners if isinstance(captioners, list) else ():
        yield captioner, "prompt", _absolute_prompt


def _absolute(value: str, folder: Path) -> str:
    expanded = expand_text(value)
    if "://" in expanded:
        return value
    if expanded == "~" or expanded.startswith("~/"):
        return escape(str(Path.home())) + value.removeprefix("~")
    if Path(expanded).is_absolute():
        return value
    if "${" in value:
        return f"{escape(str(folder.absolute()))}/{value}"
    return escape(os.path.normpath(folder.absolute() / value))


def _absolute_database(value: str, folder: Path) -> str:
    return _SQLITE + _absolute(value.removeprefix(_SQLITE), folder) if _names_file(value) else value


def _names_file(value: str) -> bool:
    return value.startswith(_SQLITE) and value != _SQLITE


def _absolute_product(value: str, folder: Path) -> str:
    return value if is_built_in(expand_text(value)) else _absolute(value, folder)


def _absolute_prompt(value: str, folder: Path) -> str:
    return value if expand_text(value) in BUILT_IN_PROMPTS else _absolute(value, folder)
