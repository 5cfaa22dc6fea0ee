"""Counting ready-made chips, each of them a tile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.errors import SourceError
from tasks.landcover.catalogue import Raster
from tasks.landcover.chips import read_chip
from tasks.landcover.classes import N_IDS, ClassTable
from tasks.statistics.counting import count_cells
from tasks.statistics.patches import Counts, patch_counts


@dataclass(frozen=True)
class ChipChunk:
    """Chips that one Dask task counts.

    Attributes:
        rasters: the files.
        table: the product.
    """

    rasters: tuple[Raster, ...]
    table: ClassTable

    def __len__(self) -> int:
        return len(self.rasters)

    def count(self) -> Counts:
        """Counts of each chip, shape (n, 6, 12).

        Raises:
            SourceError: names every chip that cannot be used.
        """
        counts: Counts = np.zeros((len(self.rasters), 6, N_IDS), dtype=np.int32)
        reasons: dict[str, str] = {}
        for index, raster in enumerate(self.rasters):
            try:
                counts[index] = count_map(read_chip(raster, self.table))
            except SourceError as error:
                reasons |= error.reasons
        if reasons:
            raise SourceError(reasons)
        return counts

    def maps(self) -> list[NDArray[np.uint8]]:
        """Class ids of each chip's pixels.

        Raises:
            SourceError: a chip cannot be used.
        """
        return [read_chip(raster, self.table) for raster in self.rasters]


def count_map(ids: NDArray[np.uint8]) -> Counts:
    """Counts (6, 12) of a map of class ids whose sides can be divided by four."""
    height, width = ids.shape
    cells = count_cells(
        ids,
        np.arange(height),
        np.arange(width),
        row_edges=np.arange(4) * (height // 4),
        column_edges=np.arange(4) * (width // 4),
        ids={index: index for index in range(N_IDS)},
    )
    return patch_counts(cells)
