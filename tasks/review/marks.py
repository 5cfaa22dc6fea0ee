"""The places in a caption that the page points at: words for classes, and what was flagged."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.statistics.patches import Counts


@dataclass(frozen=True)
class Mark:
    """A span of a caption's text.

    Attributes:
        start, end: its characters.
        class_id: the class that it names; None for none.
        flag: the check's code, such as ``absent-class:snow``; None for none.
        severity: the flag's, ``error`` or ``warning``.
    """

    start: int
    end: int
    class_id: int | None = None
    flag: str | None = None
    severity: str | None = None


def marks(text: str, counts: Counts, recipe: str) -> list[Mark]:
    return []
