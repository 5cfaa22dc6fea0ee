"""The kernel: pixels by class in every cell of a block, from strips of rows.

A strip is as high as a cell. Code after code, the frequent ones first, the strip's columns are summed as bytes, until all
its pixels are accounted for. Then the sums of the wanted columns are picked and added up cell by cell, all codes at
once: nearest-neighbour columns are picked from one row of sums instead of from every pixel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tasks.landcover.classes import N_IDS
from tasks.landcover.coding import UnknownCodeError

Codes: TypeAlias = NDArray[np.unsignedinteger] | NDArray[np.signedinteger]
"""A raster's pixels as they are in the file."""

_MOST_ROWS = 255
"""Rows that a sum of bytes can hold."""

_SAMPLED = 16
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
    stops = np.append(row_edges[1:], len(rows))
    for cell_row, (start, stop) in enumerate(zip(row_edges, stops, strict=True)):
        for top in range(start, stop, _MOST_ROWS):
            strip_rows = rows[top : min(top + _MOST_ROWS, stop)]
            strip = codes[strip_rows, west:east]
            found = _count_strip(strip, picked, column_edges, ids, order, counts[cell_row])
            if found < strip.shape[0] * len(columns):
                _raise_unknown(strip, strip_rows, columns, picked, ids)
    return counts


def _by_frequency(sample: Codes, ids: Mapping[int, int]) -> list[int]:
    """All known codes: those of a sample first, by their frequency there."""
    seen, times = np.unique(sample, return_counts=True)
    frequent = [int(code) for code in seen[np.argsort(-times, kind="stable")]]
    return list(dict.fromkeys([code for code in frequent if code in ids] + list(ids)))


def _count_strip(
    strip: Codes,
    picked: NDArray[np.intp],
    column_edges: NDArray[np.intp],
    ids: Mapping[int, int],
    order: list[int],
    counts: NDArray[np.int32],
) -> int:
    """Adds a strip's picked pixels to its row of cells and tells how many it knew; brings codes in order for the next."""
    sums = np.empty((len(order), strip.shape[1]), dtype=np.uint8)
    found: list[int] = []
    left = strip.size
    for code, column_sums in zip(order, sums, strict=True):
        np.add.reduce((strip == code).view(np.uint8), axis=0, dtype=np.uint8, out=column_sums)
        found.append(int(column_sums.sum(dtype=np.intp)))
        left -= found[-1]
        if not left:
            break
    cells = _sum_runs(sums[: len(found)].take(picked, axis=1), column_edges)
    for code, of_code in zip(order, cells, strict=False):
        counts[:, ids[code]] += of_code
    order[: len(found)] = [order[place] for place in np.argsort(found, kind="stable")[::-1]]
    return int(cells.sum())


def _sum_runs(values: NDArray[np.uint8], edges: NDArray[np.intp]) -> NDArray[np.int32]:
    """Sums along each row of the runs that begin at ``edges``; an empty run is nought."""
    sums: NDArray[np.int32] = np.zeros((len(values), len(edges)), dtype=np.int32)
    filled = np.diff(np.append(edges, values.shape[1])) > 0
    sums[:, filled] = np.add.reduceat(values, edges[filled], axis=1, dtype=np.int32)
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
