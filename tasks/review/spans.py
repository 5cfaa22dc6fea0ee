"""The places in a caption that the page points at: words for classes, and what was flagged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tasks.checks.checking import check
from tasks.checks.flags import Recipe
from tasks.statistics.patches import Counts
from tasks.wording.reading import read


@dataclass(frozen=True)
class Span:
    """A place in a caption.

    Attributes:
        start, end: its characters.
        class_id: the class that it names; None for none.
        flag: what is wrong with it, such as ``absent-class:snow``; None for nothing.
        is_error: whether that keeps the caption from being accepted.
    """

    start: int
    end: int
    class_id: int | None = None
    flag: str | None = None
    is_error: bool = False


def spans(text: str, counts: Counts, recipe: Recipe) -> list[Span]:
    """The places of a caption, classes first.

    Args:
        text: the caption.
        counts: its tile's statistics (6, 12).
        recipe: how it was made.
    """
    return [*_classes(text, counts), *_faults(text, counts, recipe)]


def _classes(text: str, counts: Counts) -> Iterator[Span]:
    for mention in read(text).mentions:
        # Of several classes that a word may stand for, the one that the map shows.
        present = [class_id for class_id in mention.classes if counts[0, class_id]]
        yield Span(*mention.span, class_id=(present or list(mention.classes))[0])


def _faults(text: str, counts: Counts, recipe: Recipe) -> Iterator[Span]:
    for flag in check(text, counts.tolist(), recipe):
        # What is missing, and what is wrong with all of it, has no place of its own: its code stands above the text.
        if (flag.start, flag.end) != (0, len(text)):
            yield Span(flag.start, flag.end, flag=str(flag), is_error=flag.is_error)
