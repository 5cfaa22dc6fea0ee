"""Reading and counting whole blocks, against a plain read, a warp of each tile, a count of each patch, and threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import rasterio
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from flows.runtime.cluster import local_client
from tasks.grid import EARTH_CIRCUMFERENCE, TILE_SIZE, WORLD_PIXELS, Ints, tile_ids
from tasks.landcover.catalogue import Raster
from tasks.landcover.classes import N_IDS
from tasks.landcover.reading import opened
from tasks.statistics.blocks import GridChunk, by_block, source_windows
from tasks.statistics.counting import count_cells
from tasks.statistics.dataset import lazy_statistics
from tasks.statistics.patches import patch_counts
from tests.benchmarks.made import eleven_classes, listed, table, tiles_of, whole_file, write_maps
from tests.benchmarks.measuring import Figure, interleaved, ratio
from tests.benchmarks.sizes import Sizes

_WHOLE, _HALF, _QUARTER = TILE_SIZE, TILE_SIZE // 2, TILE_SIZE // 4
_PATCHES = (
    np.s_[:_WHOLE, :_WHOLE],
    np.s_[:_HALF, :_HALF],
    np.s_[:_HALF, _HALF:],
    np.s_[_HALF:, :_HALF],
    np.s_[_HALF:, _HALF:],
    np.s_[_QUARTER:-_QUARTER, _QUARTER:-_QUARTER],
)
_PIXEL = EARTH_CIRCUMFERENCE / WORLD_PIXELS


def whole_blocks(sizes: Sizes, scratch: Path) -> list[Figure]:
    """Statistics of all blocks of a file, by one thread, by two, and by Dask."""
    chunks = _chunks(whole_file(scratch), sizes.blocks)
    windows = [_windows(chunk) for chunk in chunks]
    lazy = _lazy(chunks)
    with local_client(threads=2) as client:
        seconds = interleaved(
            {
                "read": lambda: [read(chunk.rasters, of) for chunk, of in zip(chunks, windows, strict=True)],
                "one thread": lambda: [chunk.count() for chunk in chunks],
                "two threads": lambda: _on_threads(GridChunk.count, chunks),
                "dask": lambda: lazy.compute(scheduler=client.get),
            },
            sizes.rounds,
        )
    one, two = seconds["one thread"], seconds["two threads"]
    n_blocks = f"{len(chunks)} blocks"
    return [
        ratio(f"{n_blocks}: statistics / read, one thread", one, seconds["read"], "<=", 3.0),
        ratio(f"{n_blocks}: statistics by two threads / by one", two, one, "<=", 0.75),
        ratio(f"{n_blocks}: statistics by Dask / by two plain threads", seconds["dask"], two, "<=", 1.25),
    ]


def two_workers(sizes: Sizes, scratch: Path) -> list[Figure]:
    """Statistics of blocks of all classes by two Dask worker processes of one thread, against one of them."""
    write_maps(scratch / "maps", [(0, 0)], eleven_classes(8))
    chunks = _chunks(scratch / "maps", sizes.blocks)
    lazy = _lazy(chunks)
    with local_client(workers=1, threads=1) as one, local_client(workers=2, threads=1) as two:
        seconds = interleaved(
            {"one": lambda: lazy.compute(scheduler=one.get), "two": lambda: lazy.compute(scheduler=two.get)},
            sizes.rounds,
        )
    what = f"{len(chunks)} blocks: one Dask worker / two"
    return [ratio(what, seconds["one"], seconds["two"], ">=", 1.6)]


def warped_tiles(sizes: Sizes, scratch: Path) -> list[Figure]:
    """Statistics of all blocks of a file, against a WarpedVRT for each tile and a bincount for each of its patches."""
    chunks = _chunks(whole_file(scratch), sizes.blocks)
    x, y = (np.concatenate([getattr(chunk, axis) for chunk in chunks]) for axis in "xy")
    # Neighbours in twos, as far apart as the number allows: GDAL's cache may help the second one.
    some = np.linspace(0, len(x) - 2, sizes.warped // 2).astype(int)
    some = np.stack([some, some + 1], axis=1).ravel()
    raster = chunks[0].rasters[0]
    seconds = interleaved(
        {
            "warped": lambda: _warp_one_by_one(raster, x[some], y[some]),
            "blocks": lambda: [chunk.count() for chunk in chunks],
        },
        sizes.rounds,
    )
    warped = [second / len(some) for second in seconds["warped"]]
    ours = [second / len(x) for second in seconds["blocks"]]
    return [ratio("one WarpedVRT a tile and a bincount a patch / statistics, per tile", warped, ours, ">=", 20.0)]


def eleven_class_block(sizes: Sizes, _scratch: Path) -> list[Figure]:
    """Gather and count of a block of all classes, against a bincount per patch of the same pixels, gathered before."""
    ids = table().ids
    tiles = min(16, 2 * sizes.blocks)
    index = np.floor(np.arange(tiles * TILE_SIZE) * 1.03).astype(np.intp)
    codes = np.tile(eleven_classes(1)[0], (5, 5))[: index[-1] + 1, : index[-1] + 1]
    id_of_code = np.zeros(256, dtype=np.uint8)
    id_of_code[list(ids)] = list(ids.values())
    pixels = id_of_code[codes[np.ix_(index, index)]]
    edges = np.arange(0, TILE_SIZE, _QUARTER)
    across = np.arange(0, len(index), _QUARTER)

    def gather_and_count() -> NDArray[np.int32]:
        rows = [
            count_cells(codes, part, index, row_edges=edges, column_edges=across, ids=ids)
            for part in np.split(index, tiles)
        ]
        return patch_counts(np.stack(rows).reshape(tiles, 4, tiles, 4, N_IDS).swapaxes(1, 2))

    def bincount() -> NDArray[np.intp]:
        split = pixels.reshape(tiles, TILE_SIZE, tiles, TILE_SIZE).swapaxes(1, 2)
        return np.array([[_bincounts(tile) for tile in row] for row in split])

    assert np.array_equal(gather_and_count(), bincount())
    seconds = interleaved({"ours": gather_and_count, "bincount": bincount}, sizes.rounds)
    return [ratio("gather and count of eleven classes / bincount", seconds["ours"], seconds["bincount"], "<=", 0.25)]


def read(rasters: Sequence[Raster], windows: Sequence[Sequence[Window]]) -> None:
    """The floor: the same windows of the same files, read by rasterio and dropped."""
    for raster, of_raster in zip(rasters, windows, strict=True):
        with rasterio.Env(GDAL_CACHEMAX=0), rasterio.open(raster.place.url) as dataset:
            for window in of_raster:
                dataset.read(1, window=window)


def _chunks(source: Path, blocks: int) -> list[GridChunk]:
    """A file's blocks, as they are counted; the last of them where not all are wanted."""
    found = listed(source)
    x, y = tiles_of(found)
    rasters = tuple(found.rasters.values())
    return [GridChunk(x[index], y[index], rasters, table().ids) for index in by_block(x, y)][-blocks:]


def _lazy(chunks: Sequence[GridChunk]) -> xr.Dataset:
    x, y = (np.concatenate([getattr(chunk, axis) for chunk in chunks]) for axis in "xy")
    return lazy_statistics(tile_ids(x, y), chunks)


def _windows(chunk: GridChunk) -> list[list[Window]]:
    """What a block reads of each of its rasters."""
    windows = []
    for raster in chunk.rasters:
        with opened(raster, chunk.ids) as source:
            windows.append(list(source_windows(chunk.x, chunk.y, source)))
    return windows


def _on_threads(work: Callable[[GridChunk], object], chunks: Sequence[GridChunk]) -> None:
    with ThreadPoolExecutor(2) as pool:
        for _ in pool.map(work, chunks):
            pass


def _warp_one_by_one(raster: Raster, x: Ints, y: Ints) -> None:
    """What a person would write first."""
    half = EARTH_CIRCUMFERENCE / 2
    id_of_code = np.zeros(256, dtype=np.uint8)
    id_of_code[list(table().ids)] = list(table().ids.values())
    with rasterio.open(raster.place.url) as dataset:
        for column, row in zip(x.tolist(), y.tolist(), strict=True):
            west, north = column * TILE_SIZE * _PIXEL - half, half - row * TILE_SIZE * _PIXEL
            transform = Affine(_PIXEL, 0, west, 0, -_PIXEL, north)
            place = {"crs": "EPSG:3857", "transform": transform, "width": TILE_SIZE, "height": TILE_SIZE}
            with WarpedVRT(dataset, **place) as warped:
                _bincounts(id_of_code[warped.read(1)])


def _bincounts(ids: NDArray[np.uint8]) -> list[NDArray[np.intp]]:
    """Counts of a tile's six patches, shape (6, 12), from its class ids."""
    return [np.bincount(ids[patch].ravel(), minlength=N_IDS) for patch in _PATCHES]
