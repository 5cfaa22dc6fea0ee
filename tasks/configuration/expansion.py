"""From what was typed to plain values, and from `${NAME}` to the environment's values."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

from tasks.configuration.masking import MASK, Loc
from tasks.configuration.mistakes import Mistake

_DEEPEST = 32
_MASKED = "a secret was written out here and is masked; use ${NAME} or prefect-secret:BLOCK instead"
_PLACE = re.compile(r"\$\$\{|\$\{(?P<name>[^}]*)\}?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def plain(given: Mapping[Any, Any]) -> tuple[dict[str, Any], list[Mistake]]:
    """A copy of a configuration in JSON's types alone, and what in it has none.

    Args:
        given: what a YAML file, a stored parameter or a caller says.

    Returns:
        The mapping, and the mistakes; a value in a mistake is None in the copy.
    """
    found: list[Mistake] = []
    return _plain(given, (), found), found


def _plain(value: object, loc: Loc, found: list[Mistake]) -> Any:  # noqa: ANN401 - any JSON value
    if len(loc) > _DEEPEST:
        found.append(Mistake(loc[:3], f"nested more than {_DEEPEST} levels deep"))
        return None
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str) or not _is_clean(key):
                found.append(Mistake(loc, f"expected texts as keys, found {type(key).__name__} among them", False))
        clean = {key: item for key, item in value.items() if isinstance(key, str) and _is_clean(key)}
        return {key: _plain(item, (*loc, key), found) for key, item in clean.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, (*loc, index), found) for index, item in enumerate(value)]
    if isinstance(value, PurePath):
        value = str(value)
    if isinstance(value, str) and not _is_clean(value):
        found.append(Mistake(loc, "expected a text without control or half characters", False))
    elif isinstance(value, str) and MASK in value:
        found.append(Mistake(loc, _MASKED, False))
    elif isinstance(value, float) and not math.isfinite(value):
        found.append(Mistake(loc, "expected a finite number", False))
    elif value is None or isinstance(value, str | bool | int | float):
        return value
    else:
        found.append(
            Mistake(loc, f"expected a text, a number, a list or a mapping, found {type(value).__name__}", False)
        )
    return None


def _is_clean(text: str) -> bool:
    return not any(
        (character < " " and character not in "\n\t") or "\ud800" <= character <= "\udfff" for character in text
    )


def expand(
    written: Mapping[str, Any], environment: Mapping[str, str] = os.environ
) -> tuple[dict[str, Any], list[Mistake]]:
    """Replaces every ``${NAME}`` in string values from the environment; ``$${`` is a literal ``${``.

    Args:
        written: the configuration as written, in plain values.
        environment: the variables.

    Returns:
        The expanded copy, and a mistake for each variable that is not set or not named as one.
    """
    found: list[Mistake] = []

    def expanded(value: Any, loc: Loc) -> Any:  # noqa: ANN401 - any JSON value
        if isinstance(value, Mapping):
            return {key: expanded(item, (*loc, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [expanded(item, (*loc, index)) for index, item in enumerate(value)]
        if isinstance(value, str):
            return expand_text(value, lambda expected: found.append(Mistake(loc, expected, False)), environment)
        return value

    return expanded(written, ()), found


def expand_text(
    text: str, report: Callable[[str], object] = lambda _: None, environment: Mapping[str, str] = os.environ
) -> str:
    """Replaces ``${NAME}`` in one text; what cannot be replaced stays, and is reported."""

    def value_of(place: re.Match[str]) -> str:
        name = place["name"]
        if name is None:
            return "${"
        if not place[0].endswith("}") or not _NAME.fullmatch(name):
            report("expected ${NAME} with letters, digits and underscores, or $${ for a literal ${")
        elif name not in environment:
            report(f"the environment variable {name} is not set")
        else:
            return environment[name]
        return place[0]

    return _PLACE.sub(value_of, text)


def escape(text: str) -> str:
    """A text in which `expand` finds nothing to replace."""
    return text.replace("${", "$${")
