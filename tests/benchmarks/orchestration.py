"""What a command costs beside reading and counting, and how many task runs it makes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from socket import create_server
from statistics import median

import httpx
import numpy as np
import rasterio
from tenacity import Retrying, stop_after_delay, wait_fixed

from tasks.grid import morton_order
from tasks.planning.areas import box
from tasks.statistics.blocks import GridChunk
from tasks.statistics.dataset import split_into_chunks
from tests.benchmarks.commands import campaign, run, task_runs
from tests.benchmarks.made import corners, eleven_classes, listed, table, write_maps
from tests.benchmarks.measuring import Figure, Seconds, interleaved
from tests.benchmarks.memory import area_of_tiles
from tests.benchmarks.sizes import Sizes
from tests.dask_processes import serve_dask

_THREADS = 2


def orchestration(sizes: Sizes, scratch: Path) -> list[Figure]:
    """The statistics command over many tiles, less the same command over one tile, less reading and counting alone."""
    write_maps(scratch / "maps", corners(sizes.orchestrated // 15_000 + 1), [])
    area, one_tile = area_of_tiles(sizes.orchestrated), [-180.0, 0.0, -179.97, 0.03]
    tiles, chunks = _chunks(scratch / "maps", area)
    folders = iter(range(1_000_000))

    def command(area: list[float]) -> None:
        run("statistics", campaign(scratch / str(next(folders)), scratch / "maps", {"area": area}, threads=_THREADS))

    seconds = interleaved(
        {"many": lambda: command(area), "one": lambda: command(one_tile), "count": lambda: _count(chunks)},
        sizes.rounds,
    )
    each = _each(seconds, tiles)
    return [
        Figure(f"orchestration per tile, of {tiles:,}", median(each), "ms", "<=", 0.15, each),
        Figure("the whole command for one tile", median(seconds["one"]), "s", "<=", 8.0, tuple(seconds["one"])),
    ]


def orchestration_on_servers(sizes: Sizes, scratch: Path) -> list[Figure]:
    """The same on a Prefect server and a Dask cluster of two workers that run already, each its own processes."""
    write_maps(scratch / "maps", corners(sizes.orchestrated // 15_000 + 1), [])
    area, one_tile = area_of_tiles(sizes.orchestrated), [-180.0, 0.0, -179.97, 0.03]
    tiles, chunks = _chunks(scratch / "maps", area)
    folders = iter(range(1_000_000))
    (scratch / "logs").mkdir()

    with serve_dask(scratch / "logs", "one", "two", talk="info") as dask, _prefect_server(scratch) as server:

        def command(area: list[float]) -> None:
            folder = scratch / str(next(folders))
            run("statistics", campaign(folder, scratch / "maps", {"area": area}, address=dask.address), server=server)

        seconds = interleaved(
            {"many": lambda: command(area), "one": lambda: command(one_tile), "count": lambda: _count(chunks)},
            sizes.rounds,
        )
    each = _each(seconds, tiles)
    return [Figure(f"orchestration per tile, of {tiles:,}, on servers", median(each), "ms", "<=", 0.15, each)]


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


def _count(chunks: Sequence[GridChunk]) -> None:
    """Reading and counting alone."""
    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(GridChunk.count, chunks):
            pass


def _each(seconds: Seconds, tiles: int) -> tuple[float, ...]:
    """Milliseconds a tile, of each round, of what is neither reading and counting nor there for a single tile too."""
    return tuple(
        (many - one - counting) / tiles * 1e3
        for many, one, counting in zip(seconds["many"], seconds["one"], seconds["count"], strict=True)
    )


@contextmanager
def _prefect_server(scratch: Path) -> Iterator[str]:
    """The API's address of a Prefect server that runs for the block's length."""
    with create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= {"PREFECT_HOME": str(scratch / "server"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as server:
        try:
            url = f"http://127.0.0.1:{port}/api"
            Retrying(wait=wait_fixed(0.2), stop=stop_after_delay(120))(httpx.get, f"{url}/health")
            yield url
        finally:
            os.killpg(server.pid, signal.SIGKILL)


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
