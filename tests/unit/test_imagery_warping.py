"""Bands on the tiles' grid: GDAL's own warp bit for bit, alone and in groups, and at the edge of what there is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from made_scenes import MadeScene
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasters import HALF_WORLD, PIXEL, write_raster

from tasks.grid import TILE_SIZE, tile_under
from tasks.imagery.bands import BANDS
from tasks.imagery.warping import Tile, UnreadableError, read_tiles
from tasks.storage import Place

GROUP = [(x, y) for y in range(8188, 8192) for x in range(8488, 8492)]
COLD = {"crs": "EPSG:32633", "transform": Affine(10, 0, 720_000, 0, -10, 7_700_000)}
"""69 degrees north, at the edge of its zone: a tile lies aslant in it."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Place]:
    """A scene under all tiles of the group but for the easternmost column's last pixels; one band has holes."""

    def holes(band: str, pixels: NDArray[np.uint16]) -> NDArray[np.uint16]:
        if band == "B05":
            pixels[np.random.default_rng(9).random(pixels.shape) < 0.1] = 0
        return pixels

    folder = tmp_path_factory.mktemp("scene")
    MadeScene("S", change=holes).write(folder)
    return {band: Place(str(folder / "S" / f"{band}.tif")) for band in BANDS}


def gdals(file: Place, tile: Tile, resampling: Resampling = Resampling.bilinear) -> NDArray[np.uint16]:
    """A tile as GDAL alone warps it from the whole file, exactly."""
    x, y = tile
    transform = Affine(PIXEL, 0, x * TILE_SIZE * PIXEL - HALF_WORLD, 0, -PIXEL, HALF_WORLD - y * TILE_SIZE * PIXEL)
    grid = {"crs": "EPSG:3857", "transform": transform, "width": TILE_SIZE, "height": TILE_SIZE}
    with (
        rasterio.open(file.url) as dataset,
        WarpedVRT(dataset, resampling=resampling, tolerance=1e-9, **grid) as warped,
    ):
        pixels: NDArray[np.uint16] = warped.read(1)
        return pixels


def test_it_is_gdals_warp_bit_for_bit_alone_and_in_a_group(files: dict[str, Place]) -> None:
    together = read_tiles(files, GROUP, Resampling.bilinear)
    covered = 0
    for tile in (GROUP[0], GROUP[5], GROUP[6], GROUP[15]):
        (alone,) = read_tiles(files, [tile], Resampling.bilinear).values()
        for band in BANDS:
            assert np.array_equal(alone[band], together[tile][band])
            assert np.array_equal(alone[band], gdals(files[band], tile))
        covered += int((alone["B02"] > 0).sum())
    assert covered > 2 * TILE_SIZE**2


def test_where_the_scene_does_not_reach_there_is_no_data(files: dict[str, Place]) -> None:
    far = (8500, 8190)
    found = read_tiles(files, [GROUP[5], far], Resampling.bilinear)
    assert not any(found[far][band].any() for band in BANDS)
    assert found[GROUP[5]]["B02"].all()


def test_a_tile_aslant_is_the_same_alone_and_in_a_group(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(1, 10_000, (700, 700)).astype(np.uint16)
    file = Place(str(write_raster(tmp_path / "cold.tif", pixels, nodata=0, **COLD)))
    with rasterio.open(file.url) as dataset:
        lon, lat = dataset.lnglat()
    (x,), (y,) = tile_under(np.array([lon]), np.array([lat]))
    group = [(int(x) + dx, int(y) + dy) for dy in range(2) for dx in range(2)]
    together = read_tiles({"B02": file}, group, Resampling.bilinear)
    for tile in group:
        (alone,) = read_tiles({"B02": file}, [tile], Resampling.bilinear).values()
        assert np.array_equal(alone["B02"], together[tile]["B02"])
    assert all(bands["B02"].mean() > 1_000 for bands in together.values())


def test_classes_are_those_of_the_nearest_pixel(files: dict[str, Place]) -> None:
    file = Place(str(Path(files["B02"].url).with_name("SCL.tif")))
    (bands,) = read_tiles({"SCL": file}, [GROUP[5]], Resampling.nearest).values()
    assert np.array_equal(bands["SCL"], gdals(file, GROUP[5], Resampling.nearest))


def test_another_no_data_value_is_none_either(tmp_path: Path) -> None:
    pixels = np.full((700, 700), 500, dtype=np.int16)
    pixels[:, :350] = -999
    file = write_raster(tmp_path / "band.tif", pixels, "EPSG:32632", Affine(10, 0, 221_000, 0, -10, 8_500), nodata=-999)
    (bands,) = read_tiles({"B02": Place(str(file))}, [GROUP[5]], Resampling.bilinear).values()
    assert set(np.unique(bands["B02"])) <= {0, 500}


@pytest.mark.parametrize("fault", ["cut short", "gone", "no raster", "floats"])
def test_a_broken_file_is_named(fault: str, tmp_path: Path) -> None:
    file = tmp_path / "B05.tif"
    kind = np.float32 if fault == "floats" else np.uint16
    pixels = np.random.default_rng(0).integers(1, 10_000, (1024, 1024)).astype(kind)
    layout = {"tiled": True, "blockxsize": 256, "blockysize": 256}
    write_raster(file, pixels, "EPSG:32632", Affine(10, 0, 221_000, 0, -10, 8_500), **layout)
    if fault == "cut short":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 3])
    elif fault == "gone":
        file.unlink()
    elif fault == "no raster":
        file.write_text("<html>not found</html>")
    with pytest.raises(UnreadableError, match="B05"):
        read_tiles({"B05": Place(str(file))}, GROUP, Resampling.bilinear)
