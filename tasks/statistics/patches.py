"""The five patches of a tile, and how its counts are laid out.

A tile's statistics are an int32 array of shape (6, 12): rows by `PATCHES`, columns by class id (0 = no data). All six
rows are sums over a 4 x 4 grid of cells, a quarter of the tile's side each.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PATCHES = ("overall", "top_left", "top_right", "bottom_left", "bottom_right", "middle")
"""Rows of a tile's counts; also the statistics' column names."""

Counts = NDArray[np.int32]
"""Counts of one tile (6, 12) or of many (n, 6, 12): pixels by patch and class id."""

_CELLS = np.zeros((6, 4, 4), dtype=np.int32)
_CELLS[0] = 1
_CELLS[1, :2, :2] = 1
_CELLS[2, :2, 2:] = 1
_CELLS[3, 2:, :2] = 1
_CELLS[4, 2:, 2:] = 1
_CELLS[5, 1:3, 1:3] = 1


def patch_counts(cells: NDArray[np.integer]) -> Counts:
    """Patch counts from cell counts.

    Args:
        cells: pixels by class in each cell, shape (..., 4, 4, 12): rows from the north, columns from the west.

    Returns:
        Counts of shape (..., 6, 12).
    """
    counts: Counts = np.einsum("prc,...rck->...pk", _CELLS, cells).astype(np.int32)
    return counts
