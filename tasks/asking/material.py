"""What is known of the tiles to be asked about: their counts, which of them share a request, and their maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tasks.asking.grouping import Pending, class_sets, groups
from tasks.errors import SourceError
from tasks.grid import tile_under
from tasks.landcover.classes import N_IDS
from tasks.planning.survey import Survey
from tasks.planning.table import read_columns
from tasks.statistics.patches import PATCHES, Counts
from tasks.statistics.table import list_statistics, read_counts
from tasks.storage import Place
from tasks.wording.prompts import TileView

_PLACE = ("tile_id", "x", "y", "lon", "lat", "source")


@dataclass(frozen=True, eq=False)
class _Part:
    """The wanted tiles of one file of statistics.

    Attributes:
        place: the file.
        rows: which of its rows, increasing.
        first: how many wanted tiles the files before it hold.
    """

    place: Place
    rows: NDArray[np.intp]
    first: int


@dataclass(frozen=True, eq=False)
class Material:
    """Some tiles, in the order of the files that hold their counts, which are read when they are needed.

    Attributes:
        tile_ids: n IDs.
        parts: the files.
        tiles: their rows of the plan, in the same order; None where nobody asks where they lie.
        held: all counts, where tiles from everywhere are asked about together; None where they come file by file.
    """

    tile_ids: Sequence[str]
    parts: Sequence[_Part]
    tiles: pa.Table | None = None
    held: Counts | None = None

    def counts(self, rows: Sequence[int]) -> Counts:
        """The counts of some tiles, shape (rows, 6, 12). Each file is read once for it."""
        wanted = np.asarray(rows, dtype=np.intp)
        if self.held is not None:
            return self.held[wanted]
        counts: Counts = np.empty((len(wanted), len(PATCHES), N_IDS), np.int32)
        for part in self.parts:
            here = (wanted >= part.first) & (wanted < part.first + len(part.rows))
            if here.any():
                counts[here] = _counts(part.place)[part.rows[wanted[here] - part.first]]
        return counts

    def views(self, rows: Sequence[int]) -> list[TileView]:
        """Tiles as the text recipe sees them."""
        counts = self.counts(rows)
        return [TileView(self.tile_ids[row], counts[at]) for at, row in enumerate(rows)]

    def views_with_maps(self, rows: Sequence[int], found: Survey) -> tuple[list[TileView], dict[str, str]]:
        """Tiles as the vision recipe sees them.

        Args:
            rows: which.
            found: where their maps are.

        Returns:
            The tiles whose maps can be read, in order, and of the others what is wrong.
        """
        maps, unreadable = _maps(_chosen(self.tiles, rows), found)
        plain = (view for view in self.views(rows) if view.tile_id in maps)
        return [TileView(view.tile_id, view.counts, maps[view.tile_id]) for view in plain], unreadable

    def groups(self, most: int) -> Groups:
        """Which rows share a request."""
        if most == 1:
            return _Singles(len(self.tile_ids))
        if self.tiles is None:
            raise ValueError("where the tiles lie is not known")
        x, y = _positions(self.tiles)
        sets = class_sets(self.counts(range(len(x)))[:, 0])
        return list(groups(Pending(x, y, sets, np.full(len(x), most, np.uint8))))


class Groups(Protocol):
    """Groups of rows, as much of a sequence as is needed of them."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, part: slice, /) -> Sequence[tuple[int, ...]]:
        """Some of them."""


@dataclass(frozen=True)
class _Singles:
    """Every row alone: a campaign's worth of them takes no memory."""

    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, part: slice, /) -> list[tuple[int, ...]]:
        return [(row,) for row in range(*part.indices(self.count))]


def gather(dataset: Place, tile_ids: Sequence[str], *, placed: bool) -> Material:
    """Finds the counts of tiles.

    Args:
        dataset: the dataset.
        tile_ids: which tiles; those without statistics are left out.
        placed: whether where they lie matters.
    """
    _counts.cache_clear()  # the files may have been counted anew
    wanted = pa.array(tile_ids, pa.string())
    found: list[str] = []
    parts = []
    for file in list_statistics(dataset):
        there = pc.is_in(file.tile_ids, value_set=wanted)
        rows = np.flatnonzero(there.to_numpy(zero_copy_only=False))
        if len(rows):
            parts.append(_Part(file.place, rows, len(found)))
            found += file.tile_ids.filter(there).to_pylist()
    if not placed:
        return Material(found, parts)
    tiles = read_columns(dataset, *_PLACE)
    rows = pc.index_in(pa.array(found, pa.string()), value_set=tiles.column("tile_id").combine_chunks())
    held = Material(found, parts).counts(range(len(found)))
    return Material(found, parts, tiles.take(rows), held)


@lru_cache(maxsize=4)
def _counts(place: Place) -> Counts:
    """A file's counts; portions follow each other through it."""
    return read_counts(place)[1]


def _chosen(tiles: pa.Table | None, rows: Sequence[int]) -> pa.Table:
    if tiles is None:
        raise ValueError("where the tiles lie is not known")
    return tiles.take(pa.array(rows, pa.int64()))


def _maps(tiles: pa.Table, found: Survey) -> tuple[dict[str, NDArray[np.uint8]], dict[str, str]]:
    """The maps of tiles, and of those that cannot be read what is wrong."""
    try:
        return dict(found.maps(tiles)), {}
    except (SourceError, KeyError):
        maps: dict[str, NDArray[np.uint8]] = {}
        unreadable: dict[str, str] = {}
    for row in range(len(tiles)):  # one of them is at fault
        try:
            maps |= dict(found.maps(tiles.slice(row, 1)))
        except (SourceError, KeyError) as error:
            reason = str(error) if isinstance(error, SourceError) else f"its map {error} is gone"
            unreadable[tiles.column("tile_id")[row].as_py()] = reason
    return maps, unreadable


def _positions(tiles: pa.Table) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Columns and rows of the zoom-14 tiles, or of those under the centres of chips; -1 where there is none."""
    if tiles.column("x").null_count == 0:
        return tiles.column("x").to_numpy().astype(np.int32), tiles.column("y").to_numpy().astype(np.int32)
    lon = pc.fill_null(tiles.column("lon"), np.nan).to_numpy()
    lat = pc.fill_null(tiles.column("lat"), np.nan).to_numpy()
    x, y = np.full(len(lon), -1, np.int32), np.full(len(lat), -1, np.int32)
    there = np.isfinite(lon) & np.isfinite(lat)
    x[there], y[there] = tile_under(lon[there], lat[there])
    return x, y
