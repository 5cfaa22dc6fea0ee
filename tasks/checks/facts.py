"""What is true of a tile, as far as captions are held against it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tasks.landcover.classes import ID_OF_TOKEN, N_IDS, NO_DATA
from tasks.statistics.patches import PATCHES
from tasks.statistics.shares import whole_percent

_WATER = ID_OF_TOKEN["water"]

Counts: TypeAlias = Sequence[Sequence[int]]
"""Pixels of one tile by patch (`PATCHES`) and class id, 6 rows of 12."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The counts of a tile.

    Attributes:
        counts: see `Counts`.
        valid: pixels of the tile that carry a class.
        dominant: id of the class with the largest count, the first of several; 0 where there is none.
    """

    counts: Counts
    valid: int
    dominant: int

    @classmethod
    def of(cls, counts: Counts) -> Facts:
        """The facts of a tile.

        Raises:
            ValueError: other than 6 rows of 12 counts.
        """
        if len(counts) != len(PATCHES) or any(len(row) != N_IDS for row in counts):
            raise ValueError(f"expected {len(PATCHES)} rows of {N_IDS} counts")
        overall = counts[0]
        classes = range(1, N_IDS)
        most = max(classes, key=lambda class_id: (overall[class_id], -class_id))
        return cls(counts, sum(overall) - overall[NO_DATA], most if overall[most] else NO_DATA)

    def has(self, class_id: int) -> bool:
        """Whether the tile has a pixel of a class."""
        return self.counts[0][class_id] > 0

    def is_somewhere_only(self, class_id: int) -> bool:
        """Whether the tile has pixels of a class, but not each of its patches."""
        return self.counts[0][class_id] > 0 and not all(row[class_id] for row in self.counts)

    def in_any(self, class_id: int, rows: Iterable[int]) -> bool:
        """Whether one of some patches has a pixel of a class."""
        return any(self.counts[row][class_id] for row in rows)

    def meant(self, classes: Sequence[int]) -> int:
        """Of the classes that a word may stand for, the first that the tile has, else the first."""
        overall = self.counts[0]
        for class_id in classes:
            if overall[class_id]:
                return class_id
        return classes[0]

    def is_at_least(self, class_id: int, percent: int) -> bool:
        """Whether a class has a share of the valid pixels, in percent, or more."""
        return 100 * self.counts[0][class_id] >= percent * self.valid

    def trails(self, class_id: int, points: int, on_land: bool = False) -> bool:
        """Whether a class trails the largest, of all or on land, by more than so many points of the valid pixels."""
        overall = self.counts[0]
        most = max(count for at, count in enumerate(overall) if at != NO_DATA and not (on_land and at == _WATER))
        behind = most - overall[class_id]
        return 100 * behind > points * self.valid

    def percents(self, class_id: int, rows: Sequence[int]) -> tuple[int, ...]:
        """The share of a class in some patches, in whole percent: of the pixels that carry a class, and of all."""
        part = sum(self.counts[row][class_id] for row in rows)
        pixels = sum(sum(self.counts[row]) for row in rows)
        valid = pixels - sum(self.counts[row][NO_DATA] for row in rows)
        return tuple(whole_percent(part, whole) for whole in (valid, pixels) if whole)
