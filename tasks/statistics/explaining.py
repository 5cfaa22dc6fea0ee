"""What counting would read, told from headers alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from rasterio.windows import Window

from tasks.errors import SourceError
from tasks.landcover.catalogue import Raster
from tasks.landcover.reading import opened, opened_chip
from tasks.statistics.blocks import by_block, source_windows
from tasks.statistics.jobs import ChipJob, GridJob, Job


@dataclass(frozen=True)
class Reads:
    """What would be read of one file.

    Attributes:
        source: the file's name, or why nothing can be told of it.
        tiles: tiles that need it.
        blocks: reads of source blocks; one that two Dask tasks need counts twice.
        bytes: their size in the file; 0 where the format does not tell.
    """

    source: str
    tiles: int
    blocks: int
    bytes: int


def planned_reads(jobs: Sequence[Job]) -> Iterator[Reads]:
    """The reads of some jobs, file by file; a file that two jobs need is told twice."""
    for job in jobs:
        if isinstance(job, ChipJob):
            yield from (_chip(raster) for raster in job.files)
        else:
            yield from (_raster(raster, job) for raster in job.rasters.values())


def _chip(raster: Raster) -> Reads:
    try:
        with opened_chip(raster) as dataset:
            return _sum(raster.name, 1, dataset, [Window(0, 0, dataset.width, dataset.height)])
    except SourceError as error:
        return Reads(str(error), 1, 0, 0)


def _raster(raster: Raster, job: GridJob) -> Reads:
    need = job.catalogue.needing(raster.name, job.x, job.y)
    x, y = job.x[need], job.y[need]
    try:
        with opened(raster, job.table.ids) as source:
            windows = [window for index in by_block(x, y) for window in source_windows(x[index], y[index], source)]
            return _sum(raster.name, len(x), source.dataset, windows)
    except SourceError as error:
        return Reads(str(error), len(x), 0, 0)


def _sum(name: str, tiles: int, dataset: object, windows: Sequence[Window]) -> Reads:
    blocks = size = 0
    height, width = dataset.block_shapes[0]  # type: ignore[attr-defined]  # rasterio ships no types
    for window in windows:
        rows = np.arange(window.row_off // height, (window.row_off + window.height - 1) // height + 1)
        columns = np.arange(window.col_off // width, (window.col_off + window.width - 1) // width + 1)
        blocks += len(rows) * len(columns)
        for row in rows:
            for column in columns:
                tag = dataset.get_tag_item(f"BLOCK_SIZE_{column}_{row}", "TIFF", bidx=1)  # type: ignore[attr-defined]
                size += int(tag or 0)
    return Reads(name, tiles, blocks, size)
