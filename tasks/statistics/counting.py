"""The kernel: pixels by class in every cell of a block, from strips of rows.

A strip is as high as a cell. Code after code, the frequent ones first, its columns are summed as bytes, until all its
pixels are accounted for. Then the sums of the wanted columns are picked and added up cell by cell, all codes at once:
nearest-neighbour columns are picked from one row of sums instead of from every pixel.

A few strips are done at a time. NumPy lets other threads run while it computes, and takes 20 microseconds and more to
get its turn back: steps of single strips would leave two threads no faster than one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby, islice, pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tasks.landcover.classes import N_IDS
from tasks.landcover.coding import UnknownCodeError

Codes: TypeAlias = NDArray[np.unsignedinteger] | NDArray[np.signedinteger]
"""A raster's pixels as they are in the file."""

_MOST_ROWS = 255
"""Rows that a sum of bytes can hold."""

_STRIPS_AT_ONCE = 4
"""Strips of one tile: its masks of a megabyte stay in the processor's cache."""

_SAMPLED = 32
"""One pixel in so many, each way, tells which codes are frequent."""


def count_cells(
    codes: Codes,
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    *,
    row_edges: NDArray[np.intp],
    column_edges: NDArray[np.intp],
    ids: Mapping[int, int],
) -> NDArray[np.int32]:
    """Counts the picked pixels by class in every cell.

    Args:
        codes: the raster's pixels, shape (height, width).
        rows: the row of ``codes`` for each row that is counted, ascending.
        columns: the column of ``codes`` for each column that is counted, ascending.
        row_edges: where each row of cells begins among ``rows``; the last one ends with ``rows``.
        column_edges: where each column of cells begins among ``columns``, likewise.
        ids: class id by code.

    Returns:
        Pixels by class id, shape (len(row_edges), len(column_edges), 12). An empty cell counts nothing.

    Raises:
        UnknownCodeError: a picked pixel's code is not in ``ids``.
    """
    counts = np.zeros((len(row_edges), len(column_edges), N_IDS), dtype=np.int32)
    if not len(rows) or not len(columns):
        return counts
    west, east = int(columns[0]), int(columns[-1]) + 1
    picked = columns - west
    order = _by_frequency(codes[rows[::_SAMPLED], west:east:_SAMPLED], ids)
    for cell_rows, band_rows in _bands(row_edges, len(rows)):
        band = codes[rows[band_rows], west:east].reshape(len(cell_rows), -1, east - west)
        found = _count_band(band, picked, column_edges, ids, order)
        if found.sum() < (band_rows.stop - band_rows.start) * len(columns):
            _raise_unknown(band.reshape(-1, east - west), rows[band_rows], columns, picked, ids)
        for cell_row, of_strip in zip(cell_rows, found, strict=True):
            counts[cell_row] += of_strip
    return counts


def _bands(row_edges: NDArray[np.intp], n_rows: int) -> Iterator[tuple[list[int], slice]]:
    """Strips of one height that are done at a time: the row of cells of each, and the rows of all."""
    edges = [*row_edges.tolist(), n_rows]
    strips = [
        (cell_row, top, min(top + _MOST_ROWS, stop))
        for cell_row, (start, stop) in enumerate(pairwise(edges))
        for top in range(start, stop, _MOST_ROWS)
    ]
    for _, alike in groupby(strips, key=lambda strip: strip[2] - strip[1]):
        while some := list(islice(alike, _STRIPS_AT_ONCE)):
            yield [cell_row for cell_row, _, _ in some], slice(some[0][1], some[-1][2])


def _by_frequency(sample: Codes, ids: Mapping[int, int]) -> list[int]:
    """All known codes: those of a sample first, by their frequency there."""
    seen, times = np.unique(sample, return_counts=True)
    frequent = [int(code) for code in seen[np.argsort(-times, kind="stable")]]
    return list(dict.fromkeys([code for code in frequent if code in ids] + list(ids)))


def _count_band(
    band: Codes,
    picked: NDArray[np.intp],
    column_edges: NDArray[np.intp],
    ids: Mapping[int, int],
    order: list[int],
) -> NDArray[np.int32]:
    """Counts the codes that are known in strips (n, height, width); brings them in order for the next band.

    Returns:
        Pixels by class id, shape (n, len(column_edges), 12).
    """
    sums = np.empty((len(order), len(band), band.shape[-1]), dtype=np.uint8)
    mask = np.empty(band.shape, dtype=np.bool_)
    found: list[int] = []
    left = band.size
    for code, column_sums in zip(order, sums, strict=True):
        np.equal(band, code, out=mask)
        np.add.reduce(mask.view(np.uint8), axis=1, dtype=np.uint8, out=column_sums)
        found.append(int(column_sums.sum(dtype=np.uint32)))
        left -= found[-1]
        if not left:
            break
    cells = _sum_runs(sums[: len(found)].take(picked, axis=-1), column_edges)
    counts = np.zeros((*cells.shape[1:], N_IDS), dtype=np.int32)
    for code, of_code in zip(order, cells, strict=False):
        counts[..., ids[code]] += of_code
    order[: len(found)] = [order[place] for place in np.argsort(found, kind="stable")[::-1]]
    return counts


def _sum_runs(values: NDArray[np.uint8], edges: NDArray[np.intp]) -> NDArray[np.int32]:
    """Sums along the last axis of the runs that begin at ``edges``; an empty run is nought."""
    sums: NDArray[np.int32] = np.zeros((*values.shape[:-1], len(edges)), dtype=np.int32)
    filled = np.diff(np.append(edges, values.shape[-1])) > 0
    sums[..., filled] = np.add.reduceat(values, edges[filled], axis=-1, dtype=np.int32)
    return sums


def _raise_unknown(
    strip: Codes,
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    picked: NDArray[np.intp],
    ids: Mapping[int, int],
) -> None:
    seen = strip[:, picked]
    unknown = ~np.isin(seen, np.array(list(ids)))
    row, column = (int(axis) for axis in np.unravel_index(int(unknown.argmax()), unknown.shape))
    raise UnknownCodeError(int(seen[row, column]), int(rows[row]), int(columns[column]))
