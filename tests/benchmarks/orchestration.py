"""What a command costs beside reading and counting, and how many task runs it makes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import numpy as np
import rasterio

from tasks.grid import morton_order
from tasks.planning.areas import box
from tasks.statistics.blocks import GridChunk
from tasks.statistics.dataset import split_into_chunks
from tests.benchmarks.commands import campaign, run, task_runs
from tests.benchmarks.made import corners, eleven_classes, listed, table, write_maps
from tests.benchmarks.measuring import Figure, interleaved
from tests.benchmarks.memory import area_of_tiles
from tests.benchmarks.sizes import Sizes

_THREADS = 2


def orchestration(sizes: Sizes, scratch: Path) -> list[Figure]:
    """The statistics command over many tiles, less the same command over one tile, less reading and counting alone."""
    write_maps(scratch / "maps", corners(sizes.orchestrated // 15_000 + 1), [])
    area, one_tile = area_of_tiles(sizes.orchestrated), [-180.0, 0.0, -179.97, 0.03]
    tiles, chunks = _chunks(scratch / "maps", area)
    folders = iter(range(1_000_000))

    def command(area: list[float]) -> None:
        run("statistics", campaign(scratch / str(next(folders)), scratch / "maps", {"area": area}, threads=_THREADS))

    def count() -> None:
        with ThreadPoolExecutor(_THREADS) as pool:
            for _ in pool.map(GridChunk.count, chunks):
                pass

    seconds = interleaved(
        {"many": lambda: command(area), "one": lambda: command(one_tile), "count": count}, sizes.rounds
    )
    each = tuple(
        (many - one - counting) / tiles * 1e3
        for many, one, counting in zip(seconds["many"], seconds["one"], seconds["count"], strict=True)
    )
    return [
        Figure(f"orchestration per tile, of {tiles:,}", median(each), "ms", "<=", 0.15, each),
        Figure("the whole command for one tile", median(seconds["one"]), "s", "<=", 8.0, tuple(seconds["one"])),
    ]


def task_runs_of_chips(sizes: Sizes, scratch: Path) -> list[Figure]:
    """Task runs of a whole campaign over a folder of chips."""
    _write_chips(scratch / "chips", sizes.chips)
    config = campaign(scratch / "campaign", scratch / "chips", {"grid": "chips"})
    run("run", config)
    return [Figure(f"a campaign of {sizes.chips:,} chips", task_runs(config), "task runs", "<=", 500)]


def task_runs_of_files(sizes: Sizes, scratch: Path) -> list[Figure]:
    """Task runs of a whole campaign over files all over the world."""
    write_maps(scratch / "maps", corners(sizes.sources, south=-33), [])
    # Ten tiles a file on average: hardly a file goes without.
    sample = {"strategy": "random", "count": 10 * sizes.sources}
    config = campaign(scratch / "campaign", scratch / "maps", {"sample": sample})
    run("run", config)
    return [Figure(f"a campaign over {sizes.sources:,} files", task_runs(config), "task runs", "<=", 500)]


def _chunks(source: Path, area: list[float]) -> tuple[int, list[GridChunk]]:
    """How many tiles an area holds, and what Dask would be given."""
    found = listed(source)
    batches = list(box(area).tiles())
    x, y = (np.concatenate([batch[axis] for batch in batches]) for axis in (0, 1))
    order = morton_order(x, y)
    x, y = x[order], y[order]
    chunks = []
    for part in split_into_chunks(x, y):
        needed = (name for name in found.needed(x[part], y[part]) if name in found.rasters)
        chunks.append(GridChunk(x[part], y[part], tuple(found.rasters[name] for name in needed), table().ids))
    return len(x), chunks


def _write_chips(folder: Path, count: int) -> None:
    """Chips of 64 x 64 px, all alike."""
    folder.mkdir()
    with rasterio.MemoryFile() as memory:
        profile = {"driver": "GTiff", "width": 64, "height": 64, "count": 1, "dtype": "uint8"}
        with memory.open(**profile, crs="EPSG:32632", transform=rasterio.Affine(10, 0, 5e5, 0, -10, 4e6)) as raster:
            raster.write(eleven_classes(1)[0][:64, :64], 1)
        content = bytes(memory.read())
    for index in range(count):
        (folder / f"chip-{index:06}.tif").write_bytes(content)
