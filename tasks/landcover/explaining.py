"""The reads that counting would do, from headers alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tasks.errors import SourceError
from tasks.landcover.catalogue import Raster
from tasks.landcover.reading import OpenRaster, opened, opened_chip, reach, wanted_windows
from tasks.planning.grid import TILE_SIZE
from tasks.statistics.blocks import GridChunk, frame, split_by_block
from tasks.statistics.jobs import ChipJob, GridJob, Job


@dataclass(frozen=True)
class Reads:
    """What would be read of one file.

    Attributes:
        source: the file's name, or why nothing can be told of it.
        tiles: tiles that need it.
        blocks: source blocks.
        bytes: their size in the file.
    """

    source: str
    tiles: int
    blocks: int
    bytes: int
