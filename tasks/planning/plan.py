"""From candidates to the rows of `tiles.parquet`: where each tile lies, its source, block and split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tasks.grid import (
    BLOCK_TILES,
    Ints,
    block_numbers,
    centres,
    latitude_of_edge,
    longitude_of_edge,
    tile_ids,
    tile_numbers,
    tile_under,
)
from tasks.landcover.catalogue import Catalogue
from tasks.landcover.chips import Chip
from tasks.planning.candidates import Candidates
from tasks.planning.sampling import Keys, assign_splits, text_keys
from tasks.planning.table import FAILED, PLANNED


@dataclass(frozen=True)
class Split:
    """How tiles are shared out.

    Attributes:
        shares: the share of each split.
        by: what is kept together: ``block``, ``tile``, or ``none`` for all tiles in train.
        seed: the seed of the draw.
    """

    shares: Mapping[str, float]
    by: str
    seed: int

    def names(self, blocks: Keys, tiles: Keys) -> pa.Array:
        """The split of each tile."""
        if self.by == "none":
            return pa.array(["train"] * len(tiles))
        index = assign_splits(blocks if self.by == "block" else tiles, self.shares, self.seed)
        return pc.take(pa.array(list(self.shares)), pa.array(index))


def grid_rows(candidates: Candidates, catalogue: Catalogue, split: Split) -> pa.Table:
    """The rows of tiles of the grid, without geometry."""
    x, y = candidates.x, candidates.y
    lon, lat = centres(x, y)
    index, names = catalogue.under(lon, lat)
    sources = pc.take(pa.array(names, pa.string()), pa.array(index, mask=index < 0))
    blocks = tile_ids(x // BLOCK_TILES, y // BLOCK_TILES)
    rows = {
        "tile_id": tile_ids(x, y),
        "x": pa.array(x),
        "y": pa.array(y),
        "lon": pa.array(lon),
        "lat": pa.array(lat),
        "source": sources,
        "block": blocks,
        "split": split.names(block_numbers(x, y), tile_numbers(x, y)),
        "status": pa.array([PLANNED] * len(x), pa.string()),
        "reason": pa.nulls(len(x), pa.string()),
    }
    return pa.table(rows)


def grid_rings(x: Ints, y: Ints) -> NDArray[np.float64]:
    """Footprints of tiles of the grid in degrees, shape (n, 5, 2)."""
    west, east = longitude_of_edge(x), longitude_of_edge(x + 1)
    north, south = latitude_of_edge(y), latitude_of_edge(y + 1)
    corners = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    return np.stack([np.stack(corner, axis=1) for corner in corners], axis=1)


def chip_rows(
    chips: Sequence[Chip], middle: NDArray[np.float64], unreadable: Mapping[str, str], split: Split
) -> pa.Table:
    """The rows of chips, without geometry.

    Args:
        chips: the chips.
        middle: their centres in degrees, shape (n, 2), NaN without georeference.
        unreadable: chips that cannot be opened, by name, with the reason.
        split: how they are shared out.
    """
    lon, lat = middle[:, 0], middle[:, 1]
    nowhere = np.isnan(lon)
    x, y = tile_under(np.nan_to_num(lon), np.nan_to_num(lat))
    ids = [chip.tile_id for chip in chips]
    own = text_keys(ids)
    known_blocks = tile_ids(x // BLOCK_TILES, y // BLOCK_TILES)
    reasons = [unreadable.get(chip.raster.name) for chip in chips]
    rows = {
        "tile_id": pa.array(ids, pa.string()),
        "x": pa.nulls(len(chips), pa.int32()),
        "y": pa.nulls(len(chips), pa.int32()),
        "lon": pa.array(lon, mask=nowhere),
        "lat": pa.array(lat, mask=nowhere),
        "source": pa.array([chip.raster.name for chip in chips], pa.string()),
        "block": pc.if_else(pa.array(nowhere), pa.array(ids, pa.string()), known_blocks),
        "split": split.names(np.where(nowhere, own, block_numbers(x, y)), own),
        "status": pa.array([FAILED if reason else PLANNED for reason in reasons], pa.string()),
        "reason": pa.array(reasons, pa.string()),
    }
    return pa.table(rows)


def split_shares(tiles: pa.Table, shares: Mapping[str, float]) -> dict[str, tuple[int, float]]:
    """How many tiles each wanted split holds, and which share of all that is."""
    found: dict[str, Any] = {row["values"]: row["counts"] for row in pc.value_counts(tiles.column("split")).to_pylist()}
    total = max(len(tiles), 1)
    return {name: (int(found.get(name, 0)), found.get(name, 0) / total) for name, share in shares.items() if share > 0}
