"""Peak memory of whole commands; measured once, since it hardly depends on what else the machine does."""

from __future__ import annotations

import math
from pathlib import Path

from tasks.grid import BLOCK_TILES, TILES, latitude_of_edge, longitude_of_edge
from tests.benchmarks.commands import campaign, run
from tests.benchmarks.made import corners, eleven_classes, write_maps
from tests.benchmarks.measuring import Figure
from tests.benchmarks.sizes import Sizes

_MB_A_THREAD = 40
_MB_OF_A_PLAN = 1_000
_EQUATOR = TILES // 2


def memory_of_areas(sizes: Sizes, scratch: Path) -> list[Figure]:
    """Statistics of areas of all eleven classes, less what the same command takes for one block."""
    write_maps(scratch / "maps", [(west, south) for west in range(0, 18, 3) for south in (0, 3, 6)], eleven_classes(4))
    figures = []
    for threads in (1, 2):
        peaks = {}
        for blocks in (1, *sizes.areas):
            area = {"area": area_of_blocks(blocks)}
            config = campaign(scratch / f"{threads}-{blocks}", scratch / "maps", area, threads=threads)
            peaks[blocks] = run("statistics", config).peak
        for blocks in sizes.areas:
            what = f"{blocks} blocks less one block, {threads} thread{'s' * (threads > 1)}, per thread"
            figures.append(Figure(what, (peaks[blocks] - peaks[1]) / threads, "MB", "<=", _MB_A_THREAD))
    return figures


def memory_of_plans(sizes: Sizes, scratch: Path) -> list[Figure]:
    """A large plan and its statistics over maps without data, and a random plan of the whole world."""
    # A map holds some 17,400 tiles in the 128 rows of the area.
    write_maps(scratch / "maps", corners(math.ceil(sizes.planned / 17_000)), [])
    area = area_of_tiles(sizes.planned)
    large = campaign(scratch / "large", scratch / "maps", {"area": area})
    planned = run("plan", large).peak
    counted = run("statistics", large).peak
    write_maps(scratch / "world", corners(sizes.sources, south=-33), [])
    sample = {"strategy": "random", "count": (sizes.drawn - 1000) // 2}
    world = run("plan", campaign(scratch / "drawn", scratch / "world", {"sample": sample})).peak
    return [
        Figure(f"plan of {sizes.planned:,} tiles", planned, "MB", "<=", _MB_OF_A_PLAN),
        Figure(f"statistics of {sizes.planned:,} tiles", counted, "MB", "<=", _MB_OF_A_PLAN),
        Figure(f"plan of {sizes.drawn:,} random tiles of {sizes.sources:,} files", world, "MB", "<=", _MB_OF_A_PLAN),
    ]


def area_of_blocks(count: int) -> list[float]:
    """A box north of the equator, east of Greenwich, of so many zoom-10 blocks."""
    high = next(rows for rows in range(math.isqrt(count), 0, -1) if count % rows == 0)
    return _box(_EQUATOR, count // high * BLOCK_TILES, high * BLOCK_TILES)


def area_of_tiles(count: int) -> list[float]:
    """A box from the antimeridian along the equator that holds about so many tiles, a map high."""
    high = 128
    return _box(0, -(-count // high), high)


def _box(first_column: int, wide: int, high: int) -> list[float]:
    """West, south, east and north of tiles north of the equator."""
    north, south = latitude_of_edge(_EQUATOR - high), latitude_of_edge(_EQUATOR)
    west, east = longitude_of_edge(first_column), longitude_of_edge(first_column + wide)
    return [float(edge) for edge in (west, south, east, north)]
