"""Chunks of blocks: what a Dask task is given, and that it counts the real map as GDAL would."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasters import (
    PER_DEGREE,
    SATLAS,
    WORLDCOVER,
    as_raster,
    gdal_tile,
    noise,
    sliced_counts,
    write_raster,
    write_worldcover,
)

from tasks.grid import block_numbers, morton_order, tile_under
from tasks.landcover.catalogue import Raster, catalogue
from tasks.landcover.reading import opened
from tasks.statistics.blocks import GridChunk, by_block, source_windows
from tasks.statistics.dataset import lazy_statistics, split_into_chunks
from tasks.storage import Place

UTM = ("EPSG:32632", Affine(10, 0, 295_000, 0, -10, 105_000))
numbers = st.integers(0, 2**14 - 1)


def in_order(tiles: set[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.array(sorted(tiles), dtype=np.int32).T
    order = morton_order(x, y)
    return x[order], y[order]


@settings(max_examples=60, deadline=None)
@given(
    st.sets(st.tuples(st.integers(0, 80), st.integers(0, 80)) | st.tuples(numbers, numbers), min_size=1, max_size=120)
)
def test_chunks_cut_tiles_into_runs_of_whole_blocks(tiles: set[tuple[int, int]]) -> None:
    x, y = in_order(tiles)
    blocks = block_numbers(x, y)
    parts = split_into_chunks(x, y)
    assert np.concatenate([np.arange(len(x))[part] for part in parts]).tolist() == list(range(len(x)))
    of_part = [set(blocks[part].tolist()) for part in parts]
    assert sum(map(len, of_part)) == len(np.unique(blocks)), "no block in two chunks"
    assert all(len(some) <= 16 for some in of_part)
    assert all(len(some) == 1 or part.stop - part.start <= 256 for some, part in zip(of_part, parts, strict=True))


def test_a_full_block_is_a_chunk_and_a_sparse_plan_takes_sixteen() -> None:
    full = {(column, row) for column in range(48) for row in range(16)}
    assert [part.stop - part.start for part in split_into_chunks(*in_order(full))] == [256, 256, 256]
    sparse = {(column * 16, row * 16) for column in range(8) for row in range(8)}
    assert [part.stop - part.start for part in split_into_chunks(*in_order(sparse))] == [16] * 4
    nothing = np.empty(0, dtype=np.int32)
    assert split_into_chunks(nothing, nothing) == []


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=40, unique=True))
def test_each_block_comes_once_with_all_its_tiles(tiles: list[tuple[int, int]]) -> None:
    x, y = np.array(tiles, dtype=np.int32).T
    parts = list(by_block(x, y))
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(x)))
    assert len({int(block_numbers(x, y)[part[0]]) for part in parts}) == len(parts)
    assert all(len(np.unique(block_numbers(x[part], y[part]))) == 1 for part in parts)


def test_the_map_of_a_region_is_counted_as_gdal_would(worldcover: Path) -> None:
    """The real file where it is at hand, else the made one: tiles of one region that both hold."""
    found = catalogue(Place(str(worldcover)), WORLDCOVER)
    (raster,) = found.rasters.values()
    x, y = tile_under(np.array([6.45, 6.5, 6.55, 6.6, 6.59, 6.45]), np.array([0.02, 0.05, 0.1, 0.15, 0.17, 0.02]))
    x, y = np.unique(np.stack([x, y], axis=1), axis=0).T
    chunk = GridChunk(x, y, (raster,), WORLDCOVER.ids)
    expected = np.stack([gdal_tile(Path(raster.place.url), int(x[i]), int(y[i]), WORLDCOVER) for i in range(len(x))])
    assert (chunk.maps() != expected).sum() == 0
    assert chunk.count().tolist() == [sliced_counts(ids).tolist() for ids in expected]
    assert (expected > 0).mean() > 0.2


def test_a_chunk_of_many_sparse_blocks_is_its_tiles_one_by_one(tmp_path: Path) -> None:
    codes = noise((2000, 9000), sorted(WORLDCOVER.ids))
    path = write_worldcover(tmp_path, 6, 0, {(20_000, 10_000): codes})
    raster = as_raster(path, (6, 0, 9, 3))
    lon = 6 + (10_000 + np.array([500, 3000, 5200, 8000, 8600])) / PER_DEGREE
    x, y = in_order(
        set(zip(*(axis.tolist() for axis in tile_under(lon, np.full(5, 3 - 21_000 / PER_DEGREE))), strict=True))
    )
    assert len(np.unique(block_numbers(x, y))) > 1
    together = GridChunk(x, y, (raster,), WORLDCOVER.ids).count()
    for index in range(len(x)):
        alone = GridChunk(x[[index]], y[[index]], (raster,), WORLDCOVER.ids).count()
        assert alone[0].tolist() == together[index].tolist()


def test_statistics_are_lazy_and_name_their_dimensions(tmp_path: Path) -> None:
    x, y = in_order({(8491, 8186), (8492, 8186)})
    chunk = GridChunk(x, y, (as_raster(tmp_path / "gone.tif"),), WORLDCOVER.ids)
    lazy = lazy_statistics(pa.array(["a", "b"]), [chunk])
    assert dict(lazy.sizes) == {"tile": 2, "patch": 6, "class": 12}
    assert lazy["counts"].dtype == np.int32
    assert lazy["counts"].chunks is not None
    assert lazy["class"].to_numpy()[[0, 1, 11]].tolist() == ["no_data", "water", "moss"]


@pytest.mark.parametrize("place", [("EPSG:4326", Affine(1 / PER_DEGREE, 0, 7.1, 0, -1 / PER_DEGREE, 1)), UTM])
def test_the_windows_that_are_told_hold_every_pixel_of_the_tiles(tmp_path: Path, place: tuple[str, Affine]) -> None:
    """What lies outside them can be anything."""
    codes = noise((3000, 3000), range(1, 12))
    sound = as_raster(write_raster(tmp_path / "map.tif", codes, *place))
    x, y = tile_under(np.array([7.21, 7.27]), np.array([0.88, 0.83]))
    told = np.zeros(codes.shape, dtype=np.bool_)
    with opened(sound, SATLAS.ids) as source:
        for window in source_windows(x, y, source):
            told[window.toslices()] = True
    other = as_raster(write_raster(tmp_path / "other.tif", np.where(told, codes, 77).astype(np.uint8), *place))
    before, after = (GridChunk(x, y, (raster,), SATLAS.ids).maps() for raster in (sound, other))
    assert (before == after).all()
    assert (before > 0).all()
    assert told.mean() < 0.4


def test_what_travels_to_a_worker_is_small_and_holds_no_handle(tmp_path: Path) -> None:
    x, y = in_order({(column, row) for column in range(16) for row in range(16)})
    raster = Raster("map.tif", Place("s3://bucket/map.tif", "a1b2"), "etag", (6, 0, 9, 3))
    content = pickle.dumps(GridChunk(x, y, (raster,), WORLDCOVER.ids))
    assert len(content) < 4096
    assert len(pickle.loads(content)) == 256
