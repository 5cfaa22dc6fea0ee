"""Flags: what is wrong with a caption, by code, and where in the text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from tasks.landcover.classes import TOKENS

Code: TypeAlias = Literal[
    "absent-class",
    "region-empty",
    "wrong-dominant",
    "dominant-missing",
    "class-missing",
    "size-word",
    "forbidden-word",
    "colour-word",
    "cross-image",
    "prompt-leak",
    "number",
    "format",
    "length",
    "cut-off",
    "refusal",
]
"""The codes, in the order in which the first that fits an offence is taken."""

CODES: tuple[Code, ...] = get_args(Code)

WARNINGS = frozenset({"size-word"})
"""Codes that do not flag a caption; all others are errors."""

Recipe: TypeAlias = Literal["text", "vision", "rules"]
"""How a caption was made: what it may not say depends on it."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One thing that is wrong with a caption.

    Attributes:
        code: what.
        start: where in the text it begins.
        end: where it ends; a thing that is missing spans the whole text.
        class_id: the class that it is about; 0 for none.
    """

    code: Code
    start: int
    end: int
    class_id: int = 0

    def __str__(self) -> str:
        return f"{self.code}:{TOKENS[self.class_id]}" if self.class_id else self.code

    @property
    def is_error(self) -> bool:
        """Whether a caption with it cannot be accepted."""
        return self.code not in WARNINGS


def names(flags: tuple[Flag, ...]) -> list[str]:
    """The flags as tables have them, each once, in the order of the codes and of the classes."""
    order = {code: number for number, code in enumerate(CODES)}
    unique = {str(flag): flag for flag in reversed(flags)}
    return sorted(unique, key=lambda name: (order[unique[name].code], unique[name].class_id))
