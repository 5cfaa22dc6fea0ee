"""What one Prefect task counts: the tiles of a source, or of consecutive sources where there are many."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xarray as xr
from numpy.typing import NDArray

from tasks.errors import SourceError
from tasks.grid import Ints, morton_order
from tasks.landcover.catalogue import Catalogue, Raster
from tasks.landcover.classes import ClassTable
from tasks.statistics.blocks import GridChunk
from tasks.statistics.chips import ChipChunk
from tasks.statistics.dataset import Chunk, lazy_statistics, split_into_chunks
from tasks.statistics.table import Provenance, file_name, statistics_folder, write_statistics
from tasks.storage import Place

MOST_JOBS = 500
"""Most sources that get a task run each: a server's run page, and its recorder, bear no more in one flow run."""

_ROOM = 0.8
"""The part of the most that a larger number of sources is grouped into: the flow's other steps need task runs too."""

_CHIPS_AT_ONCE = 64
"""Chips that one Dask task counts."""

Compute = Callable[[xr.Dataset], xr.Dataset]
"""Computes a lazy Dataset, on whatever cluster there is."""


@dataclass(frozen=True)
class GridJob:
    """Tiles of the grid that one task counts.

    Attributes:
        label: what people call it.
        x: tile columns, in `morton_order`.
        y: tile rows.
        tile_ids: their IDs.
        catalogue: the rasters.
        table: the product.
    """

    label: str
    x: Ints
    y: Ints
    tile_ids: pa.Array
    catalogue: Catalogue
    table: ClassTable

    @property
    def rasters(self) -> dict[str, Raster]:
        """The rasters that its tiles need, of those that are there."""
        needed = self.catalogue.needed(self.x, self.y)
        return {name: self.catalogue.rasters[name] for name in needed if name in self.catalogue.rasters}

    def chunks(self) -> list[Chunk]:
        """Its tiles as Dask tasks."""
        chunks: list[Chunk] = []
        for part in split_into_chunks(self.x, self.y):
            x, y = self.x[part], self.y[part]
            rasters = tuple(raster for name, raster in self.rasters_near(x, y).items())
            chunks.append(GridChunk(x, y, rasters, self.table.ids))
        return chunks

    def rasters_near(self, x: Ints, y: Ints) -> dict[str, Raster]:
        """The rasters that some tiles need, of those that are there."""
        rasters = self.catalogue.rasters
        return {name: rasters[name] for name in self.catalogue.needed(x, y) if name in rasters}

    def without(self, sources: Collection[str]) -> GridJob:
        """The job without the tiles that need some sources."""
        need = np.zeros(len(self.x), dtype=np.bool_)
        for name in sources:
            need |= self.catalogue.needing(name, self.x, self.y)
        return replace(self, x=self.x[~need], y=self.y[~need], tile_ids=self.tile_ids.filter(pa.array(~need)))


@dataclass(frozen=True)
class ChipJob:
    """Chips that one task counts.

    Attributes:
        label: what people call it.
        tile_ids: their IDs.
        files: the files, one a tile.
        table: the product.
    """

    label: str
    tile_ids: pa.Array
    files: tuple[Raster, ...]
    table: ClassTable

    @property
    def rasters(self) -> dict[str, Raster]:
        """Its files by name."""
        return {raster.name: raster for raster in self.files}

    def chunks(self) -> list[Chunk]:
        """Its chips as Dask tasks."""
        starts = range(0, len(self.files), _CHIPS_AT_ONCE)
        return [ChipChunk(self.files[start : start + _CHIPS_AT_ONCE], self.table) for start in starts]

    def without(self, sources: Collection[str]) -> ChipJob:
        """The job without some chips."""
        kept = [raster.name not in sources for raster in self.files]
        files = tuple(raster for raster, keep in zip(self.files, kept, strict=True) if keep)
        return replace(self, tile_ids=self.tile_ids.filter(pa.array(kept)), files=files)


Job = GridJob | ChipJob


@dataclass(frozen=True)
class Manifest:
    """What a job left behind.

    Attributes:
        file: the URL of its file; None where no tile could be counted.
        tiles: how many tiles it counted.
        failed: sources that could not be used, with the reason.
    """

    file: str | None
    tiles: int
    failed: Mapping[str, str]


def run_job(job: Job, dataset: Place, compute: Compute) -> Manifest:
    """Counts a job's tiles and writes their file.

    A source that fails takes the tiles along that need it; the others are counted.

    Args:
        job: the tiles.
        dataset: the dataset's folder.
        compute: computes the lazy statistics.
    """
    failed: dict[str, str] = {}
    while len(job.tile_ids):
        try:
            statistics = compute(lazy_statistics(job.tile_ids, job.chunks()))
        except SourceError as error:
            failed |= error.reasons
            rest = job.without(error.reasons)
            if len(rest.tile_ids) == len(job.tile_ids):
                raise
            job = rest
            continue
        sources = {name: raster.identity for name, raster in job.rasters.items()}
        provenance = Provenance(job.table.name, job.table.digest(), sources=sources)
        where = statistics_folder(dataset).join(file_name(job.label, job.tile_ids))
        write_statistics(where, job.tile_ids, statistics["counts"].to_numpy(), provenance)
        return Manifest(where.url, len(job.tile_ids), failed)
    return Manifest(None, 0, failed)


def grid_jobs(tiles: pa.Table, catalogue: Catalogue, table: ClassTable, most: int = MOST_JOBS) -> list[Job]:
    """Tiles of the grid, by source; by groups of sources where there are more than ``most``."""
    jobs: list[Job] = []
    all_x, all_y = (tiles.column(axis).to_numpy() for axis in ("x", "y"))
    all_ids = tiles.column("tile_id").combine_chunks()
    for label, rows in _by_source(tiles, most):
        in_order = rows[morton_order(all_x[rows], all_y[rows])]
        tile_ids = all_ids.take(pa.array(in_order))
        jobs.append(GridJob(label, all_x[in_order], all_y[in_order], tile_ids, catalogue, table))
    return jobs


def chip_jobs(tiles: pa.Table, rasters: Mapping[str, Raster], table: ClassTable, most: int = MOST_JOBS) -> list[Job]:
    """Chips, each by itself; by groups of paths where there are more than ``most``."""
    jobs: list[Job] = []
    for label, rows in _by_source(tiles, most):
        part = tiles.take(pa.array(rows))
        files = tuple(rasters[name] for name in part.column("source").to_pylist())
        jobs.append(ChipJob(label, part.column("tile_id").combine_chunks(), files, table))
    return jobs


def _by_source(tiles: pa.Table, most: int) -> list[tuple[str, NDArray[np.intp]]]:
    """Rows of tiles by source, consecutive sources together where there are very many, with labels."""
    sources = pc.fill_null(tiles.column("source"), "").combine_chunks().dictionary_encode()
    names = sources.dictionary.to_pylist()
    place = np.argsort(np.argsort(np.array(names, dtype=object))) if names else np.empty(0, dtype=np.intp)
    rank = place[sources.indices.to_numpy()]
    each = math.ceil(len(names) / (_ROOM * most)) if len(names) > most else 1
    ordered = sorted(names)
    order = np.argsort(rank, kind="stable")
    edges = np.searchsorted(rank[order], np.arange(0, len(names), each))
    groups = np.split(order, edges[1:]) if len(names) else []
    labels = _labels([ordered[start : start + each] for start in range(0, len(ordered), each)])
    return list(zip(labels, groups, strict=True))


def _labels(groups: Sequence[Sequence[str]]) -> list[str]:
    """What people call groups of sources: by the names of the files, or by their whole paths where those are alike."""
    short = [_label([name.rsplit("/", 1)[-1].rsplit(".", 1)[0] or "no source" for name in names]) for names in groups]
    times = Counter(short)
    return [label if times[label] == 1 else _label(names) for label, names in zip(short, groups, strict=True)]


def _label(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]} ({len(names)} sources)"
