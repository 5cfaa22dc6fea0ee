"""Markdown for Prefect's pages and dataset cards, in which text from outside stays text.

Both of Prefect's user interfaces take descriptions, markdown artifacts and every cell of a table artifact for markdown,
with HTML and images, and make links of bare addresses even where their punctuation is escaped. Only in a code span is
nothing of that done.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_LONGEST: Final = 300
"""Letters of a text that are shown: a table's cell has no room for many more."""


def code(text: str, longest: int = _LONGEST) -> str:
    """A text from outside as a code span, on one line and of bounded length.

    Args:
        text: the text.
        longest: letters of it that are shown at most.
    """
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    if len(line) > longest:
        line = line[: longest - 1] + "…"
    if not line:
        return ""
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    # Beside a fence a backtick would lengthen it; one space on each side is not shown.
    return f"{fence} {line} {fence}" if "`" in line else f"{fence}{line}{fence}"


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """The lines of a table.

    Args:
        columns: the heads.
        rows: cells, markdown themselves. A bar in them parts no cells.
    """
    lines = [columns, ["---"] * len(columns), *rows]
    return ["| " + " | ".join(map(_cell, line)) + " |" for line in lines]


def _cell(cell: object) -> str:
    # Some readers take a bar behind two backslashes for the cell's end: a space keeps an own one off.
    return str(cell).replace("\\|", "\\ |").replace("|", "\\|")
