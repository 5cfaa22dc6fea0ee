"""What a campaign's land-cover source holds, as far as a listing and headers tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tasks.grid import Ints, morton_order
from tasks.landcover.catalogue import Catalogue, Raster, catalogue
from tasks.landcover.chips import Chip, find_chips
from tasks.landcover.classes import ClassTable
from tasks.statistics.blocks import GridChunk
from tasks.statistics.chips import ChipChunk
from tasks.statistics.dataset import split_into_chunks
from tasks.statistics.jobs import MOST_JOBS, Job, chip_jobs, grid_jobs
from tasks.storage import Place


@dataclass(frozen=True)
class GridSurvey:
    """A source whose maps are cut into tiles of the grid.

    Attributes:
        catalogue: its rasters.
        table: the product.
    """

    catalogue: Catalogue
    table: ClassTable

    @property
    def rasters(self) -> Mapping[str, Raster]:
        """The rasters that are there, by name."""
        return self.catalogue.rasters

    @property
    def unreadable(self) -> Mapping[str, str]:
        """Rasters whose header cannot be read, with the reason."""
        return self.catalogue.unreadable

    def jobs(self, tiles: pa.Table, most: int = MOST_JOBS) -> list[Job]:
        """Tiles to count, by source; by groups of sources where there are more than ``most``."""
        return grid_jobs(tiles, self.catalogue, self.table, most)

    def missing(self, tiles: pa.Table) -> list[str]:
        """The rasters that tiles need and the source lacks."""
        x, y = _positions(tiles)
        needed = self.catalogue.needed(x, y) if len(x) else []
        return [name for name in needed if name not in self.rasters]

    def needing(self, source: str, tiles: pa.Table) -> NDArray[np.bool_]:
        """Which tiles need a source."""
        return self.catalogue.needing(source, *_positions(tiles))

    def maps(self, tiles: pa.Table) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        """The maps of some tiles, in any order: tile ID and class ids (256, 256)."""
        x, y = _positions(tiles)
        order = morton_order(x, y)
        x, y = x[order], y[order]
        ids = tiles.column("tile_id").to_pylist()
        for part in split_into_chunks(x, y):
            needed = self.catalogue.needed(x[part], y[part])
            rasters = tuple(self.rasters[name] for name in needed if name in self.rasters)
            maps = GridChunk(x[part], y[part], rasters, self.table.ids).maps()
            yield from zip((ids[row] for row in order[part]), maps, strict=True)


@dataclass(frozen=True)
class ChipSurvey:
    """A source whose files are the tiles.

    Attributes:
        chips: the chips, by path.
        table: the product.
    """

    chips: tuple[Chip, ...]
    table: ClassTable

    @property
    def rasters(self) -> Mapping[str, Raster]:
        """The files, by name."""
        return {chip.raster.name: chip.raster for chip in self.chips}

    @property
    def unreadable(self) -> Mapping[str, str]:
        """None: a chip that cannot be opened is a tile that failed."""
        return {}

    def jobs(self, tiles: pa.Table, most: int = MOST_JOBS) -> list[Job]:
        """Chips to count, each by itself; by groups of paths where there are more than ``most``."""
        return chip_jobs(tiles, self.rasters, self.table, most)

    def missing(self, tiles: pa.Table) -> list[str]:
        """The chips that were planned and are gone."""
        return sorted(set(tiles.column("source").to_pylist()) - set(self.rasters))

    def needing(self, source: str, tiles: pa.Table) -> NDArray[np.bool_]:
        """Which tiles need a source."""
        needs: NDArray[np.bool_] = pc.equal(tiles.column("source"), source).to_numpy()
        return needs

    def maps(self, tiles: pa.Table) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        """The maps of some tiles, in any order: tile ID and class ids (height, width)."""
        rasters = self.rasters
        for tile_id, source in zip(*(tiles.column(name).to_pylist() for name in ("tile_id", "source")), strict=True):
            yield tile_id, ChipChunk((rasters[source],), self.table).maps()[0]


Survey = GridSurvey | ChipSurvey


def survey(source: Place, table: ClassTable, grid: str) -> Survey:
    """Lists a source.

    Args:
        source: where it lies.
        table: the product.
        grid: ``webmercator`` or ``chips``.

    Raises:
        InputError: the listing fails, or holds nothing usable.
    """
    if grid == "chips":
        return ChipSurvey(tuple(find_chips(source)), table)
    return GridSurvey(catalogue(source, table), table)


def identities(found: Survey) -> dict[str, str]:
    """The present identity of each raster of a source."""
    return {name: raster.identity for name, raster in found.rasters.items()}


def _positions(tiles: pa.Table) -> tuple[Ints, Ints]:
    return tiles.column("x").to_numpy(), tiles.column("y").to_numpy()
