"""Chips of sixteen neighbours as one group, against chip by chip: processor time, and bytes read."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from tasks.grid import TILE_SIZE
from tasks.imagery.bands import BANDS
from tasks.imagery.warping import Tile, read_tiles, tile_transform
from tasks.storage import Place
from tests.benchmarks.measuring import Figure, bytes_read, ratio
from tests.benchmarks.sizes import Sizes
from tests.made_scenes import MadeScene

_FIRST = (8488, 8184)
_SIDE = 4
_MOST_CPU = 0.6
_MOST_BYTES = 1 / 3


def chips_in_groups(sizes: Sizes, scratch: Path) -> list[Figure]:
    """Nine bands of 4 x 4 neighbours read together, against one by one; the same exact warp."""
    side = sizes.scene_side
    MadeScene("scene", west=218_000, north=30_000, side=side, block=1024).write(scratch)
    files = {band: Place(str(scratch / "scene" / f"{band}.tif")) for band in BANDS}
    x, y = _FIRST
    tiles = [(x + column, y + row) for row in range(_SIDE) for column in range(_SIDE)]
    together = read_tiles(files, tiles, Resampling.bilinear)
    assert all(np.array_equal(together[tile]["B02"], one["B02"]) for tile, one in _one_by_one(files, tiles).items())
    cpu: dict[str, list[float]] = {"group": [], "alone": [], "vrts": []}
    for _ in range(sizes.rounds):
        cpu["group"].append(_cpu(lambda: read_tiles(files, tiles, Resampling.bilinear)))
        cpu["alone"].append(_cpu(lambda: _one_by_one(files, tiles)))
        cpu["vrts"].append(_cpu(lambda: _nine_warps_each(files, tiles)))
    apart = _bytes_of(lambda: _one_by_one(files, tiles))
    whole = _bytes_of(lambda: read_tiles(files, tiles, Resampling.bilinear))
    return [
        ratio("16 neighbours in a group / chip by chip, CPU", cpu["group"], cpu["alone"], "<=", _MOST_CPU),
        ratio("16 neighbours in a group / nine WarpedVRTs a chip, CPU", cpu["group"], cpu["vrts"], "<=", _MOST_CPU),
        Figure("16 neighbours in a group / chip by chip, bytes read", whole / apart, "x", "<=", _MOST_BYTES),
    ]


def _one_by_one(files: dict[str, Place], tiles: Sequence[Tile]) -> dict[Tile, dict[str, np.ndarray]]:
    return {tile: read_tiles(files, [tile], Resampling.bilinear)[tile] for tile in tiles}


def _nine_warps_each(files: dict[str, Place], tiles: Sequence[Tile]) -> None:
    """What a person would write first, were the warp to be exact."""
    for tile in tiles:
        grid = {"crs": "EPSG:3857", "transform": tile_transform(tile), "width": TILE_SIZE, "height": TILE_SIZE}
        for file in files.values():
            with (
                rasterio.open(file.url) as dataset,
                WarpedVRT(dataset, resampling=Resampling.bilinear, tolerance=1e-9, **grid) as warped,
            ):
                warped.read(1)


def _cpu(work: Callable[[], object]) -> float:
    """Seconds of processor time, of all threads."""
    start = time.process_time()
    work()
    return time.process_time() - start


def _bytes_of(work: Callable[[], object]) -> int:
    """Bytes that some work reads."""
    before = bytes_read()
    work()
    return bytes_read() - before
