"""Captions written by hand in the styles of several models, with the faults that each truly has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tasks.checks.flags import Recipe
from tasks.landcover.classes import ID_OF_TOKEN, N_IDS
from tasks.statistics.patches import PATCHES

_PIXELS_A_PERCENT = 100
_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Sample:
    """A caption of the corpus.

    Attributes:
        name: where it stands: file and number.
        text: the caption.
        counts: its tile's pixels by patch and class id.
        recipe: how it was made.
        flags: what is wrong with it.
        mended: the caption as it is mended; None where it cannot be.
    """

    name: str
    text: str
    counts: list[list[int]]
    recipe: Recipe
    flags: frozenset[str]
    mended: str | None


@cache
def tiles() -> dict[str, list[list[int]]]:
    """The counts of the corpus's tiles, 6 rows of 12, by name."""
    content = yaml.safe_load((_FOLDER / "tiles.yaml").read_text("utf-8"))
    return {name: counts_of(patches) for name, patches in content.items()}


def counts_of(patches: dict[str, dict[str, int]]) -> list[list[int]]:
    """Counts from the percent of each class in the quarters and the middle."""
    rows = [_row(patches[patch]) for patch in PATCHES[1:]]
    return [[sum(column) for column in zip(*rows[:4], strict=True)], *rows]


def samples() -> Iterator[Sample]:
    """All captions of the corpus."""
    for path in sorted(_FOLDER.glob("batch*.yaml")):
        content: list[dict[str, Any]] = yaml.safe_load(path.read_text("utf-8"))
        for number, entry in enumerate(content, start=1):
            yield Sample(
                f"{path.stem}-{number}",
                entry["text"],
                tiles()[entry["tile"]] if isinstance(entry["tile"], str) else counts_of(entry["tile"]),
                entry["recipe"],
                frozenset(entry["flags"]),
                entry.get("mended"),
            )


def _row(shares: dict[str, int]) -> list[int]:
    row = [0] * N_IDS
    for token, percent in shares.items():
        row[0 if token == "no_data" else ID_OF_TOKEN[token]] = _PIXELS_A_PERCENT * percent
    return row
