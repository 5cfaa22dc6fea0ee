"""The made scene: laid out like the public bucket, varied, small, and the same for one seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

from tasks.landcover.classes import TOKENS, built_in_products
from tasks.scene import SCENE_AREA, SCENE_PRODUCT, Ids, paint, scene_window, write_scene

KEY = "v100/2020/map/ESA_WorldCover_10m_2020_v100_N00E006_Map.tif"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scene")
    write_scene(folder)
    return folder


@pytest.fixture(scope="module")
def ids() -> Ids:
    return paint()


def test_the_file_is_laid_out_like_the_public_bucket(folder: Path) -> None:
    assert [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()] == [KEY]
    with rasterio.open(folder / KEY) as raster:
        assert (raster.width, raster.height, raster.count, raster.dtypes) == (36_000, 36_000, 1, ("uint8",))
        assert raster.crs.to_epsg() == 4326
        assert raster.nodata == 0
        assert raster.block_shapes == [(1024, 1024)]
        assert raster.bounds == pytest.approx((6, 0, 9, 3))
        assert set(raster.colormap(1)) >= set(built_in_products()[SCENE_PRODUCT].ids)


def test_the_file_is_small_and_empty_outside_the_scene(folder: Path) -> None:
    assert (folder / KEY).stat().st_size < 2_000_000
    with rasterio.open(folder / KEY) as raster:
        assert not raster.read(1, window=Window(20_000, 10_000, 2_000, 2_000)).any()


def test_the_pixels_are_the_painted_ids_in_the_codes_of_the_product(folder: Path, ids: Ids) -> None:
    ids_of = np.zeros(256, dtype=np.uint8)
    for code, class_id in built_in_products()[SCENE_PRODUCT].ids.items():
        ids_of[code] = class_id
    with rasterio.open(folder / KEY) as raster:
        np.testing.assert_array_equal(ids_of[raster.read(1, window=scene_window())], ids)


def test_what_is_painted_goes_a_tile_beyond_the_area_so_that_edge_tiles_are_whole() -> None:
    west, south, east, north = SCENE_AREA
    tile = 12_000 * 360 / 2**14
    window = scene_window()
    assert window.col_off <= (west - 6) * 12_000 - tile
    assert window.col_off + window.width >= (east - 6) * 12_000 + tile
    assert window.row_off <= (3 - north) * 12_000 - tile
    assert window.row_off + window.height == (3 - south) * 12_000, "tiles begin at the equator"


def test_the_scene_holds_every_class_it_speaks_of_and_mixes_them(ids: Ids) -> None:
    present = {TOKENS[class_id] for class_id in np.unique(ids) if (ids == class_id).mean() > 0.005}
    assert present >= set(TOKENS[1:]) - {"snow", "moss"}
    # Tiles of about the size that the campaign cuts: most of them mix several classes, no two hold the same counts.
    size = 264
    tiles = [
        np.bincount(ids[row : row + size, column : column + size].ravel(), minlength=12)
        for row in range(0, ids.shape[0] - size, size)
        for column in range(0, ids.shape[1] - size, size)
    ]
    mixed = [counts for counts in tiles if (counts[1:] >= size * size // 100).sum() >= 3]
    assert len(mixed) > 0.6 * len(tiles)
    assert len({tuple(counts) for counts in mixed}) == len(mixed)


def test_writing_again_replaces_the_file_with_the_same_bytes_and_leaves_nothing_else(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / KEY).parent.mkdir(parents=True)
    (tmp_path / KEY).write_bytes(b"half a file")
    write_scene(tmp_path)
    assert [path.name for path in (tmp_path / KEY).parent.iterdir()] == [(tmp_path / KEY).name]
    assert (tmp_path / KEY).read_bytes() == (folder / KEY).read_bytes()


def test_another_seed_is_another_scene(ids: Ids) -> None:
    assert (paint(1) != ids).mean() > 0.2
