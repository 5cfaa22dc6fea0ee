"""Statistics of the grid's tiles, zoom-10 block by block: what a Dask worker computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from tasks.errors import SourceError
from tasks.grid import TILE_SIZE, Ints, block_numbers
from tasks.landcover.catalogue import Raster
from tasks.landcover.classes import N_IDS, NO_DATA
from tasks.landcover.coding import UnknownCodeError, to_ids
from tasks.landcover.reading import OpenRaster, Reach, gather, opened, reach, wanted_windows
from tasks.landcover.warping import source_window, warp
from tasks.statistics.counting import count_cells
from tasks.statistics.patches import Counts, patch_counts

_CELL = TILE_SIZE // 4
_CELLS = 4
"""Cells along one side of a tile."""

_IDENTITY = {index: index for index in range(N_IDS)}

_GROUP = 4
"""Tiles along one side of what is warped at once: 1,024 px, so that warping needs little memory."""

Tiles: TypeAlias = NDArray[np.intp]
"""Rows and columns of tiles within a block, shape (n, 2)."""

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class GridChunk:
    """Tiles of one block or of neighbouring blocks, with the rasters that they need.

    Attributes:
        x: tile columns.
        y: tile rows.
        rasters: the rasters that any of the tiles needs, by name.
        ids: class id by code, of the product.
    """

    x: Ints
    y: Ints
    rasters: tuple[Raster, ...]
    ids: Mapping[int, int]

    def __len__(self) -> int:
        return len(self.x)

    def count(self) -> Counts:
        """Counts of each tile, shape (n, 6, 12).

        Raises:
            SourceError: a raster cannot be used; names all such rasters.
        """
        counts: Counts = np.empty((len(self.x), 6, N_IDS), dtype=np.int32)
        for index, count in self._each_block(_count_block):
            counts[index] = count
        return counts

    def maps(self) -> NDArray[np.uint8]:
        """Class ids of each tile's pixels, shape (n, 256, 256).

        Raises:
            SourceError: a raster cannot be used.
        """
        maps = np.empty((len(self.x), TILE_SIZE, TILE_SIZE), dtype=np.uint8)
        for index, ids in self._each_block(_block_maps):
            maps[index] = ids
        return maps

    def _each_block(
        self, work: Callable[[Ints, Ints, Sequence[OpenRaster]], _Result]
    ) -> Iterator[tuple[NDArray[np.intp], _Result]]:
        with ExitStack() as stack:
            sources: list[OpenRaster] = []
            reasons: dict[str, str] = {}
            for raster in self.rasters:
                try:
                    sources.append(stack.enter_context(opened(raster, self.ids)))
                except SourceError as error:
                    reasons |= error.reasons
            if reasons:
                raise SourceError(reasons)
            for index in by_block(self.x, self.y):
                yield index, work(self.x[index], self.y[index], sources)


def by_block(x: Ints, y: Ints) -> Iterator[NDArray[np.intp]]:
    """Indices of the tiles of each zoom-10 block."""
    _, block = np.unique(block_numbers(x, y), return_inverse=True)
    for number in range(int(block.max()) + 1):
        yield np.flatnonzero(block == number)


def source_windows(x: Ints, y: Ints, source: OpenRaster) -> Iterator[Window]:
    """The windows of a raster that are read for the tiles of one block."""
    if source.is_separable:
        rows, columns, tiles = _frame(x, y)
        part = reach(source, rows, columns)
        if part is not None:
            yield from wanted_windows(source, part, tiles, TILE_SIZE)
        return
    for index in _groups(x, y):
        rows, columns, _ = _frame(x[index], y[index])
        slices = source_window(source.dataset, int(rows[0]), int(columns[0]), len(rows), len(columns))
        if slices is not None:
            yield Window.from_slices(*slices)


def _groups(x: Ints, y: Ints) -> Iterator[NDArray[np.intp]]:
    """Indices of the tiles that are warped together."""
    _, group = np.unique(np.stack([y // _GROUP, x // _GROUP], axis=1), axis=0, return_inverse=True)
    for number in range(int(group.max()) + 1):
        yield np.flatnonzero(group.ravel() == number)


def _frame(x: Ints, y: Ints) -> tuple[NDArray[np.int64], NDArray[np.int64], Tiles]:
    """The global pixel rows and columns around tiles, and each tile's row and column within them."""
    left, top = int(x.min()), int(y.min())
    rows = np.arange(top * TILE_SIZE, (int(y.max()) + 1) * TILE_SIZE, dtype=np.int64)
    columns = np.arange(left * TILE_SIZE, (int(x.max()) + 1) * TILE_SIZE, dtype=np.int64)
    return rows, columns, np.stack([y - top, x - left], axis=1).astype(np.intp)


def _count_block(x: Ints, y: Ints, sources: Sequence[OpenRaster]) -> Counts:
    """Counts of the tiles of one block, shape (n, 6, 12)."""
    rows, columns, tiles = _frame(x, y)
    cells = np.zeros((len(x), _CELLS, _CELLS, N_IDS), dtype=np.int32)
    if all(source.is_separable for source in sources):
        reached = [(source, part) for source in sources if (part := reach(source, rows, columns))]
        if not any(one.overlaps(other) for (_, one), (_, other) in combinations(reached, 2)):
            for source, part in reached:
                _add_cells(source, part, tiles, cells)
            return _with_no_data(cells)
    edges, line = np.arange(0, TILE_SIZE, _CELL), np.arange(TILE_SIZE)
    for index, ids in enumerate(_block_maps(x, y, sources)):
        cells[index] = count_cells(ids, line, line, row_edges=edges, column_edges=edges, ids=_IDENTITY)
    return _with_no_data(cells)


def _with_no_data(cells: NDArray[np.int32]) -> Counts:
    """Patch counts, where what no raster reaches is no data, as is what a raster says is none."""
    cells[..., NO_DATA] = _CELL * _CELL - cells[..., 1:].sum(axis=-1)
    return patch_counts(cells)


def _add_cells(source: OpenRaster, part: Reach, tiles: Tiles, cells: NDArray[np.int32]) -> None:
    """Adds what one raster holds of a block's tiles to the counts of their cells, (n, 4, 4, 12)."""
    codes = gather(source, part, tiles, TILE_SIZE)
    top, left = int(part.rows[0]), int(part.columns[0])
    for index, first, count in _runs(tiles):
        row, column = tiles[first]
        picked_rows, row_edges = _cut(part.rows, part.first_row, int(row), 1)
        picked_columns, column_edges = _cut(part.columns, part.first_column, int(column), count)
        try:
            run = count_cells(
                codes,
                picked_rows - top,
                picked_columns - left,
                row_edges=row_edges,
                column_edges=column_edges,
                ids=source.ids,
            )
        except UnknownCodeError as error:
            raise SourceError({source.raster.name: error.reason(top, left)}) from error
        cells[index] += run.reshape(_CELLS, count, _CELLS, N_IDS).swapaxes(0, 1)


def _runs(tiles: Tiles) -> Iterator[tuple[NDArray[np.intp], int, int]]:
    """Tiles side by side in one row: their indices from west to east, the index of the first, and how many."""
    order = np.lexsort((tiles[:, 1], tiles[:, 0]))
    step = np.diff(tiles[order], axis=0)
    breaks = np.flatnonzero((step[:, 0] != 0) | (step[:, 1] != 1)) + 1
    for index in np.split(order, breaks):
        yield index, int(index[0]), len(index)


def _cut(index: NDArray[np.intp], first: int, tile: int, count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The part of an index vector under a run of tiles, and where each of their cells begins in it."""
    edges = np.clip(tile * TILE_SIZE + np.arange(count * _CELLS + 1) * _CELL - first, 0, len(index))
    return index[edges[0] : edges[-1]], edges[:-1] - edges[0]


def _block_maps(x: Ints, y: Ints, sources: Sequence[OpenRaster]) -> NDArray[np.uint8]:
    """Class ids of the tiles of one block, shape (n, 256, 256): the first raster with a class at a pixel gives it."""
    maps = np.zeros((len(x), TILE_SIZE, TILE_SIZE), dtype=np.uint8)
    for index in _groups(x, y):
        rows, columns, tiles = _frame(x[index], y[index])
        ids = np.zeros((len(rows), len(columns)), dtype=np.uint8)
        for source in sources:
            found = _group_ids(source, rows, columns, tiles)
            if found is not None:
                np.copyto(ids, found, where=ids == NO_DATA)
        for one, (row, column) in zip(index, tiles * TILE_SIZE, strict=True):
            maps[one] = ids[row : row + TILE_SIZE, column : column + TILE_SIZE]
    return maps


def _group_ids(
    source: OpenRaster, rows: NDArray[np.int64], columns: NDArray[np.int64], tiles: Tiles
) -> NDArray[np.uint8] | None:
    """Class ids of one raster under a group of tiles; None where it reaches none of its pixels."""
    if not source.is_separable:
        return warp(source, int(rows[0]), int(columns[0]), len(rows), len(columns))
    part = reach(source, rows, columns)
    if part is None:
        return None
    top, left = int(part.rows[0]), int(part.columns[0])
    codes = gather(source, part, tiles, TILE_SIZE)
    ids = np.zeros((len(rows), len(columns)), dtype=np.uint8)
    for index, first, count in _runs(tiles):
        del index
        row, column = tiles[first]
        picked_rows, _ = _cut(part.rows, part.first_row, int(row), 1)
        picked_columns, _ = _cut(part.columns, part.first_column, int(column), count)
        picked = codes[np.ix_(picked_rows - top, picked_columns - left)]
        upper = max(int(row) * TILE_SIZE, part.first_row)
        west = max(int(column) * TILE_SIZE, part.first_column)
        try:
            ids[upper : upper + picked.shape[0], west : west + picked.shape[1]] = to_ids(picked, source.ids)
        except UnknownCodeError as error:
            found_row, found_column = picked_rows[error.row], picked_columns[error.column]
            reason = UnknownCodeError(error.code, int(found_row), int(found_column)).reason()
            raise SourceError({source.raster.name: reason}) from error
    return ids
