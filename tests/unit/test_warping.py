"""Rasters in any CRS against GDAL's own nearest warp, pixel for pixel; their masks, and where they overlap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from rasters import PER_DEGREE, SATLAS, as_raster, first_of, gdal_tile, noise, sliced_counts, write_raster

from tasks.errors import SourceError
from tasks.grid import tile_under
from tasks.landcover.catalogue import Raster
from tasks.landcover.classes import ClassTable, built_in_products
from tasks.statistics.blocks import GridChunk

DYNAMIC_WORLD = built_in_products()["dynamic-world"]
ESRI = built_in_products()["esri"]
IDS = range(1, 12)
UTM = {"crs": "EPSG:32632", "transform": Affine(10, 0, 500_000, 0, -10, 5_100_000)}
DEGREES = {"crs": "EPSG:4326", "transform": Affine(1 / PER_DEGREE, 0, 9, 0, -1 / PER_DEGREE, 46)}


def tiles_of(path: Path, columns: int = 2, rows: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Tiles around the middle of a raster."""
    with rasterio.open(path) as raster:
        middle = raster.transform @ (raster.width / 2, raster.height / 2)
        lon, lat = Transformer.from_crs(raster.crs, 4326, always_xy=True).transform(*middle)
    x, y = tile_under(np.array([lon]), np.array([lat]))
    xs, ys = np.meshgrid((np.arange(columns) - columns // 2 + x) % 16384, np.arange(rows) - rows // 2 + y)
    return xs.ravel().astype(np.int32), ys.ravel().astype(np.int32)


def maps_of(paths: list[Path], x: np.ndarray, y: np.ndarray, table: ClassTable = SATLAS) -> np.ndarray:
    """Maps of tiles, whose counts are found to be theirs."""
    chunk = GridChunk(x, y, tuple(as_raster(path) for path in paths), table.ids)
    maps = chunk.maps()
    assert chunk.count().tolist() == [sliced_counts(ids).tolist() for ids in maps]
    return maps


def agrees_with_gdal(paths: list[Path], x: np.ndarray, y: np.ndarray, table: ClassTable = SATLAS) -> int:
    """Asserts that each pixel is GDAL's, of the first raster with a class; returns how many carry one."""
    maps = maps_of(paths, x, y, table)
    for index in range(len(x)):
        expected = first_of([gdal_tile(path, int(x[index]), int(y[index]), table) for path in paths])
        assert (maps[index] != expected).sum() == 0
    return int((maps > 0).sum())


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:32632", Affine(10, 0, 500_000, 0, -10, 5_100_000)),
        ("EPSG:32632", Affine(10, 0, 250_000, 0, -10, 6_500_000)),
        ("EPSG:32719", Affine(10, 0, 300_000, 0, -10, 6_300_000)),
        ("EPSG:32660", Affine(10, 0, 830_000, 0, -10, 60_000)),
        ("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 7_800_000)),
        ("EPSG:3035", Affine(10, 0, 4_000_000, 0, -10, 2_600_000)),
        ("EPSG:3857", Affine(10, 0, 1_000_000, 0, -10, 5_800_000)),
        # South-up and rotated ones, in metres and in degrees.
        ("EPSG:32632", Affine(10, 0, 500_000, 0, 10, 5_100_000)),
        ("EPSG:32632", Affine(10, 0, 500_000, 0, -10, 5_100_000) @ Affine.rotation(25)),
        ("EPSG:4326", Affine(1 / PER_DEGREE, 0, 9, 0, 1 / PER_DEGREE, 46)),
        ("EPSG:4326", Affine(1 / PER_DEGREE, 0, 9, 0, -1 / PER_DEGREE, 46) @ Affine.rotation(-25)),
    ],
)
def test_a_warped_tile_is_gdals(tmp_path: Path, crs: str, transform: Affine) -> None:
    path = write_raster(tmp_path / "map.tif", noise((500, 600), IDS), crs, transform)
    assert agrees_with_gdal([path], *tiles_of(path)) > 100_000


@pytest.fixture(scope="module")
def utm_map(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_raster(tmp_path_factory.mktemp("utm") / "map.tif", noise((900, 900), IDS), **UTM)


@pytest.fixture(scope="module")
def grouped(utm_map: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, y = tiles_of(utm_map, 6, 6)
    return x, y, GridChunk(x, y, (as_raster(utm_map),), SATLAS.ids).maps()


@settings(max_examples=12, deadline=None)
@given(some=st.lists(st.integers(0, 35), min_size=1, max_size=4, unique=True))
def test_a_tiles_pixels_do_not_depend_on_what_it_is_warped_with(
    utm_map: Path, grouped: tuple[np.ndarray, np.ndarray, np.ndarray], some: list[int]
) -> None:
    x, y, together = grouped
    alone = GridChunk(x[some], y[some], (as_raster(utm_map),), SATLAS.ids).maps()
    assert (alone == together[some]).all()


def valid_half(codes: np.ndarray) -> np.ndarray:
    mask = np.full(codes.shape, 255, dtype=np.uint8)
    mask[:, : codes.shape[1] // 2] = 0
    return mask


@pytest.mark.parametrize("place", [UTM, DEGREES])
@pytest.mark.parametrize("how", ["nothing", "nodata", "mask", "alpha"])
def test_dynamic_worlds_water_is_never_no_data(tmp_path: Path, place: dict[str, object], how: str) -> None:
    """Code 0 is water; no data comes from the nodata tag, the mask, an alpha band, or lies outside."""
    codes = noise((600, 600), range(9))
    masked = np.zeros(codes.shape, dtype=np.bool_)
    path = tmp_path / "map.tif"
    if how == "nodata":
        masked = valid_half(codes) == 0
        write_raster(path, np.where(masked, 200, codes).astype(np.uint8), **place, nodata=200)
    elif how == "mask":
        masked = valid_half(codes) == 0
        # Under the mask stand codes that would count, and one that no table knows.
        write_raster(path, np.where(masked & (codes == 3), 99, codes).astype(np.uint8), **place, mask=valid_half(codes))
    elif how == "alpha":
        masked = valid_half(codes) == 0
        profile = {"driver": "GTiff", "width": 600, "height": 600, "count": 2, "dtype": "uint8"}
        with rasterio.open(path, "w", **profile, **place, photometric="minisblack", alpha="yes") as raster:
            raster.write(np.stack([codes, valid_half(codes)]))
    else:
        write_raster(path, codes, **place)
    x, y = tiles_of(path, 3, 3)
    maps = maps_of([path], x, y, DYNAMIC_WORLD)
    ids = np.array([DYNAMIC_WORLD.ids[code] for code in range(9)], dtype=np.uint8)[codes]
    truth = write_raster(tmp_path / "truth.tif", np.where(masked, 0, ids).astype(np.uint8), **place, nodata=0)
    expected = np.stack([gdal_tile(truth, int(x[i]), int(y[i]), SATLAS) for i in range(len(x))])
    assert (maps != expected).sum() == 0
    assert (maps == 1).sum() > 10_000
    assert (maps == 0).any()


def test_where_rasters_overlap_the_first_by_path_with_a_class_gives_the_pixel(tmp_path: Path) -> None:
    """ESRI's cloud (10) and no data (0) are no class: they give way."""
    first = write_raster(tmp_path / "a.tif", noise((500, 500), range(12), seed=1), **UTM)
    shifted = {**UTM, "transform": Affine(10, 0, 501_003, 0, -10, 5_099_007)}
    second = write_raster(tmp_path / "b.tif", noise((500, 500), range(12), seed=2), **shifted)
    x, y = tiles_of(first)
    assert agrees_with_gdal([first, second], x, y, ESRI) > 200_000
    both, alone = (
        GridChunk(x, y, tuple(as_raster(path) for path in paths), ESRI.ids).maps()
        for paths in ([first, second], [first])
    )
    assert (both[alone > 0] == alone[alone > 0]).all()
    assert (both > 0).sum() > (alone > 0).sum() + 10_000


def test_zones_and_degrees_lie_side_by_side_and_over_each_other(tmp_path: Path) -> None:
    other_zone = {"crs": "EPSG:32631", "transform": Affine(10, 0, 964_000, 0, -10, 5_118_000)}
    degrees = {**DEGREES, "transform": Affine(1 / PER_DEGREE, 0, 9.02, 0, -1 / PER_DEGREE, 46.04)}
    rasters = [("a.tif", UTM), ("b.tif", degrees), ("c.tif", other_zone)]
    paths = [
        write_raster(tmp_path / name, noise((500, 500), [0, *IDS], seed=index), **place)
        for index, (name, place) in enumerate(rasters)
    ]
    x, y = tiles_of(paths[0], 3, 3)
    alone = [GridChunk(x, y, (as_raster(path),), SATLAS.ids).maps() for path in paths]
    assert agrees_with_gdal(paths, x, y) > max(int((ids > 0).sum()) for ids in alone)
    assert all((ids > 0).sum() > 100_000 for ids in alone)


def test_rasters_in_degrees_that_overlap(tmp_path: Path) -> None:
    shifted = {**DEGREES, "transform": Affine(1 / PER_DEGREE, 0, 9.013, 0, -1 / PER_DEGREE, 45.99)}
    first = write_raster(tmp_path / "a.tif", noise((700, 700), [0, *IDS], seed=1), **DEGREES)
    second = write_raster(tmp_path / "b.tif", noise((700, 700), [0, *IDS], seed=2), **shifted)
    x, y = tiles_of(first)
    assert agrees_with_gdal([first, second], x, y) > agrees_with_gdal([first], x, y)


def test_a_raster_elsewhere_adds_nothing(tmp_path: Path, utm_map: Path) -> None:
    far = write_raster(tmp_path / "far.tif", noise((50, 50), IDS), "EPSG:32719", Affine(10, 0, 3e5, 0, -10, 6.3e6))
    x, y = tiles_of(utm_map, 1, 1)
    assert (maps_of([far], x, y) == 0).all()
    assert (maps_of([far, utm_map], x, y) == maps_of([utm_map], x, y)).all()


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32"])
def test_an_unknown_code_names_its_pixel_in_the_file(tmp_path: Path, dtype: str) -> None:
    codes = noise((300, 300), IDS).astype(dtype)
    codes[140:150, 151] = 77
    path = write_raster(tmp_path / "map.tif", codes, **UTM)
    with pytest.raises(SourceError) as error:
        GridChunk(*tiles_of(path), (as_raster(path),), SATLAS.ids).count()
    assert error.value.reasons["map.tif"].startswith("pixel at row 140, column 151 has code 77")


def test_an_unknown_code_beside_the_tile_does_not_fail_it(tmp_path: Path, utm_map: Path) -> None:
    """A few pixels more than the tile's are read; they are nobody's business."""
    x, y = tiles_of(utm_map, 1, 1)
    with rasterio.open(utm_map) as raster:
        codes = raster.read(1)
    whole = GridChunk(x, y, (as_raster(utm_map),), SATLAS.ids).maps()
    # Spoil what the tile does not show: all that lies more than a pixel outside.
    west, north = 2 * np.pi * 6378137 / 16384 * np.array([int(x[0]), -int(y[0])]) + np.pi * 6378137 * np.array([-1, 1])
    side = 2 * np.pi * 6378137 / 16384
    corners = [(west, north), (west + side, north), (west, north - side), (west + side, north - side)]
    to_utm = Transformer.from_crs(3857, 32632, always_xy=True)
    pixels = np.array([~UTM["transform"] @ to_utm.transform(*corner) for corner in corners])
    (left, top), (right, bottom) = np.floor(pixels.min(axis=0)).astype(int), np.ceil(pixels.max(axis=0)).astype(int)
    spoilt = np.full_like(codes, 77)
    inside = slice(top - 1, bottom + 1), slice(left - 1, right + 1)
    spoilt[inside] = codes[inside]
    path = write_raster(tmp_path / "map.tif", spoilt, **UTM)
    assert (maps_of([path], x, y) == whole).all()


def test_a_damaged_raster_in_utm_names_its_pixels(tmp_path: Path) -> None:
    path = write_raster(
        tmp_path / "map.tif",
        noise((600, 600), IDS),
        **UTM,
        tiled=True,
        blockxsize=256,
        blockysize=256,
        compress="deflate",
    )
    content = bytearray(path.read_bytes())
    content[len(content) // 4 :] = b"\xaa" * (len(content) - len(content) // 4)
    path.write_bytes(content)
    source: Raster = as_raster(path)
    with pytest.raises(SourceError) as error:
        GridChunk(*tiles_of(utm_like(path)), (source,), SATLAS.ids).count()
    assert "damaged or cut short?" in error.value.reasons["map.tif"]


def utm_like(path: Path) -> Path:
    """A sound raster where a damaged one lies, to take tiles from."""
    return write_raster(path.with_name("sound.tif"), np.ones((600, 600), np.uint8), **UTM)
