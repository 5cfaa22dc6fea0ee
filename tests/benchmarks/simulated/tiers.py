"""What a simulated campaign asks for: two tiers of made tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np

from tasks.asking.grouping import Pending, class_sets, groups
from tasks.asking.requests import Questions
from tasks.quota.windows import Limits
from tasks.wording.prompts import Recipe, TileView, load_recipe

_QUARTER = 128
"""Pixels across a quarter of a tile."""

_CLASSES = "Tile {{ tile.tile_id }} holds {{ tile.overall.shares | map(attribute='name') | join(', ') }}."
_SHORT = Recipe("text", "", _CLASSES, "a simulated campaign")
"""A question that takes no time to write: what is tried here is who asks it, and when."""


@dataclass(frozen=True)
class Tier:
    """A captioner and its tiles.

    Attributes:
        name: the captioner's.
        recipe: what it asks with.
        tiles: how many it describes.
        size: tiles in one request.
        daily: requests a day.
        window: how these come back.
        concurrency: requests that one worker has in flight.
    """

    name: str
    recipe: Literal["text", "vision"]
    tiles: int
    size: int
    daily: int
    window: str
    concurrency: int

    @property
    def limits(self) -> Limits:
        """What the ledger knows of its account."""
        return Limits(requests_per_day=self.daily, window=self.window)

    @property
    def ids(self) -> list[str]:
        """The IDs of its tiles: their places, as in a real campaign."""
        return [f"{x}_{y}" for x, y in self._places.tolist()]

    def questions(self) -> Questions:
        """How it asks."""
        return Questions(_SHORT if self.recipe == "text" else load_recipe("vision"), 300, {})

    def groups(self, tile_ids: Sequence[str]) -> list[list[str]]:
        """Which of some tiles share a request."""
        if self.size == 1:
            return [[tile_id] for tile_id in tile_ids]
        x, y = np.array([tile_id.split("_") for tile_id in tile_ids], np.int32).T
        sets = class_sets(np.stack([_counts(tile_id)[0] for tile_id in tile_ids]))
        made = groups(Pending(x, y, sets, np.full(len(x), self.size, np.uint8)))
        return [[tile_ids[index] for index in group] for group in made]

    def view(self, tile_id: str) -> TileView:
        """A tile as its recipe sees it."""
        counts = _counts(tile_id)
        if self.recipe == "text":
            return TileView(tile_id, counts)
        quarters = [np.repeat(np.arange(12, dtype=np.uint8), row).reshape(_QUARTER, _QUARTER) for row in counts[1:5]]
        return TileView(tile_id, counts, np.block([quarters[:2], quarters[2:]]))

    @cached_property
    def _places(self) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
        # A stretch of land, thinly covered: about one tile in ten zoom-10 blocks of 160 x 160.
        drawn = np.random.default_rng(7).choice(2560 * 2560, self.tiles, replace=False)
        return np.stack([8000 + drawn % 2560, 5000 + drawn // 2560], axis=1)


@lru_cache(maxsize=1 << 15)
def _counts(tile_id: str) -> np.ndarray[tuple[int, int], np.dtype[np.int32]]:
    """Counts of three or four classes: the whole, four quarters of 128 x 128 px, the middle."""
    x, y = (int(part) for part in tile_id.split("_"))
    chance = np.random.default_rng((x, y))
    classes = chance.choice(np.arange(1, 12), chance.integers(3, 5), replace=False)
    counts = np.zeros((6, 12), np.int32)
    counts[1:, classes] = chance.multinomial(_QUARTER**2, chance.dirichlet(np.ones(len(classes))), size=5)
    counts[0] = counts[1:5].sum(axis=0)
    return counts
