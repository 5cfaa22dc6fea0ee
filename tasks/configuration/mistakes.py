"""Mistakes in a configuration: where each stands, what was expected there, what was found."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from tasks.configuration.masking import Loc

_SHOWN = 100
_KEY_ERROR = "[key]"
_EXPECTED = {
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_parsing_size": "expected a whole number of a usual size",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "finite_number": "expected a finite number",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "string_type": "expected a text (in quotes, where YAML would read a number or a date)",
    "string_too_short": "expected a text that is not empty",
    "string_pattern_mismatch": "expected letters, digits, dots, dashes and underscores, a letter or digit first",
    "string_too_long": "expected at most {max_length} characters",
    "too_short": "expected at least {min_length} entry",
    "tuple_type": "expected a list",
    "list_type": "expected a list",
    "dict_type": "expected a mapping of keys",
    "model_type": "expected a mapping of keys",
    "model_attributes_type": "expected a mapping of keys",
    "greater_than": "expected more than {gt:g}",
    "greater_than_equal": "expected {ge:g} or more",
    "less_than_equal": "expected {le:g} or less",
    "literal_error": "expected {expected}",
    "mistake": "{expected}",
}


@dataclass(frozen=True)
class Mistake:
    """One mistake.

    Attributes:
        loc: keys and list indices from the top.
        expected: what was expected there, or what to do.
        shows_found: whether the value found there is told too.
    """

    loc: Loc
    expected: str
    shows_found: bool = True


def rendered(found: Sequence[Mistake], masked: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Key path and message of each mistake, one per key, in the order of their paths.

    Args:
        found: the mistakes; of several at one key the first counts, and none below one is told twice.
        masked: the configuration as written, its secrets masked: the only place that values are shown from.
    """
    first: dict[Loc, Mistake] = {}
    for mistake in found:
        first.setdefault(mistake.loc, mistake)
    ordered = sorted(first.values(), key=lambda mistake: [(isinstance(step, str), step) for step in mistake.loc])
    return [
        (path_of(mistake.loc), mistake.expected + (_found_at(mistake.loc, masked) if mistake.shows_found else ""))
        for mistake in ordered
    ]


def path_of(loc: Loc) -> str:
    """A location as people write it: ``captioners[1].quota.requests_per_day``."""
    path = ""
    for step in loc:
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            name = step if re.fullmatch(r"[\w-]+", step) else _short(step)
            path += f".{name}" if path else name
    return path or "(top level)"


def from_pydantic(error: ValidationError, root: type[BaseModel]) -> Iterator[Mistake]:
    """The mistakes in pydantic's error, in our words; its own texts repeat what was typed."""
    for detail in error.errors(include_url=False, include_input=False):
        if detail["type"] != "default_factory_not_called":
            yield _from_detail(detail, root)


def _from_detail(detail: ErrorDetails, root: type[BaseModel]) -> Mistake:
    *loc, last = _without_form(detail["loc"], root)
    kind = detail["type"]
    if last == _KEY_ERROR and kind == "literal_error":
        known = re.findall(r"'(\w+)'", str(detail["ctx"]["expected"]))
        return Mistake(tuple(loc), f"unknown; {_detail_text(detail)}{nearest(loc[-1], known)}", False)
    if kind == "extra_forbidden":
        known = list(_fields_of(_parts_at(loc, root)))
        return Mistake((*loc, last), f"unknown key; expected one of {', '.join(known)}{nearest(last, known)}", False)
    if kind == "missing":
        field = _fields_of(_parts_at(loc, root)).get(str(last))
        return Mistake((*loc, last), f"is missing: {field.description if field else ''}", False)
    return Mistake((*loc, last), _detail_text(detail))


def _detail_text(detail: ErrorDetails) -> str:
    return _EXPECTED.get(detail["type"], "is not valid here").format(**detail.get("ctx", {}))


def nearest(word: object, known: Iterable[str]) -> str:
    """A hint at the known word that was probably meant, or nothing."""
    close = difflib.get_close_matches(str(word), list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _found_at(loc: Loc, masked: Mapping[str, Any]) -> str:
    value: Any = masked
    for step in loc:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return ""
    return f"; found {_short(value)}"


def _short(value: object) -> str:
    """A value for a message: plain, on one line, of bounded length."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list) and (not value or any(isinstance(item, list | Mapping | str) for item in value)):
        return "a list" if value else "an empty list"
    text = json.dumps(value, ensure_ascii=False) if value is not None else "nothing"
    text = "".join(character if character.isprintable() else "?" for character in text)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN // 3]} … {text[-_SHOWN // 2 :]}"


def _parts_at(loc: Iterable[str | int], root: type[BaseModel]) -> list[type[BaseModel]]:
    """The models that may stand at a location, several for a choice of forms."""
    parts = [root]
    for step in loc:
        if isinstance(step, str):
            fields = _fields_of(parts)
            parts = list(_models_in(fields[step].annotation)) if step in fields else []
    return parts


def _fields_of(parts: Iterable[type[BaseModel]]) -> dict[str, FieldInfo]:
    return {name: field for part in parts for name, field in part.model_fields.items()}


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _without_form(loc: Loc, root: type[BaseModel]) -> Loc:
    """A location without what pydantic puts into it where a value has a choice of forms: the form's name, no key."""
    field = root.model_fields.get(str(loc[0]))
    forms = [part.__name__ for part in _models_in(field.annotation)] if field else []
    return (loc[0], *loc[2:]) if len(forms) > 1 and loc[1:2] and loc[1] in forms else loc
