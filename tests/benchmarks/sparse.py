"""Tiles drawn at random over many files: what is read of them, and how long that takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rasterio.windows import Window

from tasks.grid import TILE_SIZE, Ints, pixel_latitudes, pixel_longitudes
from tasks.landcover.catalogue import LaidOut
from tasks.landcover.reading import opened
from tasks.planning.candidates import random_candidates
from tasks.planning.plan import Split, grid_rows
from tasks.statistics.jobs import grid_jobs
from tests.benchmarks.blocks import read
from tests.benchmarks.made import BLOCK, DEGREES, SIDE, corners, eleven_classes, listed, table, write_maps
from tests.benchmarks.measuring import Figure, bytes_read, interleaved, ratio
from tests.benchmarks.sizes import Sizes

Blocks = Mapping[str, set[tuple[int, int]]]
"""Row and column of source blocks, by file."""


def sparse_tiles(sizes: Sizes, scratch: Path) -> list[Figure]:
    """Statistics of tiles drawn at random, against a read of the source blocks that they touch, each once."""
    write_maps(scratch, corners(sizes.sparse_files), eleven_classes(8))
    found = listed(scratch)
    drawn = random_candidates(found, None, count=sizes.sparse_tiles, seed=0)
    tiles = grid_rows(drawn, found, Split({"train": 1.0}, "none", 0))
    chunks = [chunk for job in grid_jobs(tiles, found, table()) for chunk in job.chunks()]
    touched = _touched(found, drawn.x, drawn.y)
    rasters = [found.rasters[name] for name in touched]
    windows = [[_window(*block) for block in sorted(of_file)] for of_file in touched.values()]

    before = bytes_read()
    for chunk in chunks:
        chunk.count()
    taken = bytes_read() - before
    seconds = interleaved(
        {"read": lambda: read(rasters, windows), "ours": lambda: [chunk.count() for chunk in chunks]}, sizes.rounds
    )
    what = f"{len(drawn.x)} random tiles of {len(found.rasters)} files"
    return [
        Figure(f"{what}: bytes read / their blocks'", taken / _size(found, touched), "x", "<=", 1.2),
        ratio(f"{what}: statistics / read of their blocks", seconds["ours"], seconds["read"], "<=", 3.0),
    ]


def _touched(found: LaidOut, x: Ints, y: Ints) -> Blocks:
    """The source blocks under tiles, from the first and last pixel's place on the globe alone."""
    touched: dict[str, set[tuple[int, int]]] = {}
    ends = np.array([0, TILE_SIZE - 1])
    for column, row in zip(x.tolist(), y.tolist(), strict=True):
        across = (pixel_longitudes(column * TILE_SIZE + ends) + 180.0) * (SIDE / DEGREES)
        down = (90.0 - pixel_latitudes(row * TILE_SIZE + ends)) * (SIDE / DEGREES)
        for file_column, block_columns in _spans(across):
            for file_row, block_rows in _spans(down):
                name = found.name(file_column * DEGREES - 180, 90 - (file_row + 1) * DEGREES)
                if name in found.rasters:
                    blocks = touched.setdefault(name, set())
                    blocks |= {(down_, across_) for down_ in block_rows for across_ in block_columns}
    return touched


def _spans(ends: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[tuple[int, range]]:
    """The files along one axis that a tile lies on, and its range of blocks in each; from global source pixels."""
    first, last = (int(end) for end in ends)
    spans = []
    for file in range(first // SIDE, last // SIDE + 1):
        start, stop = max(first - file * SIDE, 0), min(last - file * SIDE, SIDE - 1)
        spans.append((file, range(start // BLOCK, stop // BLOCK + 1)))
    return spans


def _window(row: int, column: int) -> Window:
    """A source block, cut off at the file's edge."""
    top, left = row * BLOCK, column * BLOCK
    return Window(left, top, min(BLOCK, SIDE - left), min(BLOCK, SIDE - top))


def _size(found: LaidOut, touched: Blocks) -> int:
    """Bytes of source blocks in their files."""
    size = 0
    for name, blocks in touched.items():
        with opened(found.rasters[name], table().ids) as source:
            tags = (f"BLOCK_SIZE_{column}_{row}" for row, column in blocks)
            size += sum(int(source.dataset.get_tag_item(tag, "TIFF", bidx=1)) for tag in tags)
    return size
