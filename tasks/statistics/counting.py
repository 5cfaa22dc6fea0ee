"""The kernel: pixels by class in every cell of a block, from strips of rows.

A strip is as high as a cell. For each code the strip's columns are summed as bytes, the sums of the wanted columns are
picked, and the picked sums are added up cell by cell. So nearest-neighbour columns are picked from one row of sums
instead of from every pixel, and a strip is done once all its pixels are accounted for.
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
    order = list(ids)
    stops = np.append(row_edges[1:], len(rows))
    for cell_row, (start, stop) in enumerate(zip(row_edges, stops, strict=True)):
        for top in range(start, stop, _MOST_ROWS):
            strip_rows = rows[top : min(top + _MOST_ROWS, stop)]
            strip = codes[strip_rows, west:east]
            found = _count_strip(strip, picked, column_edges, ids, order, counts[cell_row])
            if found < strip.shape[0] * len(columns):
                _raise_unknown(strip, strip_rows, columns, picked, ids)
    return counts


def _count_strip(
    strip: Codes,
    picked: NDArray[np.intp],
    column_edges: NDArray[np.intp],
    ids: Mapping[int, int],
    order: list[int],
    counts: NDArray[np.int32],
) -> int:
    """Adds a strip's pixels to its row of cells and tells how many it knew; moves frequent codes to the front."""
    total: int = strip.shape[0] * len(picked)
    left = total
    for place, code in enumerate(order):
        sums = np.add.reduce((strip == code).view(np.uint8), axis=0, dtype=np.uint8)
        cells = _sum_runs(sums[picked], column_edges)
        found = int(cells.sum())
        if found:
            counts[:, ids[code]] += cells
            left -= found
            if place and found * 2 > total:
                order.insert(0, order.pop(place))
            if not left:
                break
    return total - left


def _sum_runs(values: NDArray[np.uint8], edges: NDArray[np.intp]) -> NDArray[np.int32]:
    """Sums of the runs that begin at ``edges``; an empty run is nought."""
    sums: NDArray[np.int32] = np.zeros(len(edges), dtype=np.int32)
    filled = np.diff(np.append(edges, len(values))) > 0
    if filled.any():
        sums[filled] = np.add.reduceat(values, edges[filled], dtype=np.int32)
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
