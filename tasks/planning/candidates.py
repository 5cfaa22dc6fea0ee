"""The ordered candidates of a campaign on the grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.grid import Ints, tile_numbers
from tasks.planning.areas import Area, TileList
from tasks.planning.sampling import shuffled


@dataclass(frozen=True)
class Candidates:
    """Tiles in the order in which they are candidates, those of ``include`` first.

    Attributes:
        x: tile columns.
        y: tile rows.
        included: how many of them, at the front, are there because of ``include``.
        exhausted: whether the area holds no further candidate.
    """

    x: Ints
    y: Ints
    included: int
    exhausted: bool


def all_candidates(area: Area, include: TileList | None) -> Candidates:
    """Every tile of an area, row by row from the north-west, after the included ones."""
    batches = list(area.tiles())
    x = np.concatenate([batch[0] for batch in batches]) if batches else np.empty(0, dtype=np.int32)
    y = np.concatenate([batch[1] for batch in batches]) if batches else np.empty(0, dtype=np.int32)
    order = np.argsort(tile_numbers(x, y), kind="stable")
    return _with_included(x[order], y[order], include, exhausted=True)


def random_candidates(area: Area, include: TileList | None, *, count: int, seed: int) -> Candidates:
    """The first ``count`` tiles of an area in an order drawn by seed, after the included ones.

    The order is that of a hash of seed and tile, so that a larger count keeps a smaller one's tiles.
    """
    x = y = np.empty(0, dtype=np.int32)
    place = np.empty(0, dtype=np.uint64)
    exhausted = True
    for batch_x, batch_y in area.tiles():
        x, y = np.concatenate([x, batch_x]), np.concatenate([y, batch_y])
        drawn = shuffled(tile_numbers(batch_x, batch_y), purpose="sample", seed=seed)
        place = np.concatenate([place, drawn])
        if len(place) > count:
            exhausted = False
            first = np.argpartition(place, count)[:count]
            x, y, place = x[first], y[first], place[first]
    order = np.argsort(place, kind="stable")
    return _with_included(x[order], y[order], include, exhausted=exhausted)


def _with_included(x: Ints, y: Ints, include: TileList | None, *, exhausted: bool) -> Candidates:
    if include is None:
        return Candidates(x, y, 0, exhausted)
    first_x, first_y = next(iter(include.tiles()))
    others: NDArray[np.bool_] = ~np.isin(tile_numbers(x, y), tile_numbers(first_x, first_y))
    return Candidates(
        np.concatenate([first_x, x[others]]), np.concatenate([first_y, y[others]]), len(first_x), exhausted
    )
