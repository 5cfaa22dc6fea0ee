"""Which rasters a source holds, and which of them lie under a tile: against every pixel, by brute force."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from rasters import SATLAS, WORLDCOVER, worldcover_name, write_raster, write_worldcover

from tasks.errors import InputError
from tasks.grid import pixel_latitudes, pixel_longitudes, tile_under
from tasks.landcover.catalogue import LaidOut, Raster, Scanned, catalogue
from tasks.landcover.classes import built_in_products
from tasks.storage import Place

LAYOUT = WORLDCOVER.layout
assert LAYOUT is not None
FOLDER = LAYOUT.directory
WORLDCOVER_2021 = built_in_products()["worldcover-2021"]


def laid_out(*corners: tuple[int, int]) -> LaidOut:
    rasters = {}
    for west, south in sorted(corners):
        name = f"{FOLDER}/{worldcover_name(west, south)}"
        rasters[name] = Raster(name, Place(f"/none/{name}"), "1", (west, south, west + 3, south + 3))
    return LaidOut(LAYOUT, rasters)


def touched(folder: Path, *names: str) -> Place:
    """A folder of empty files."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return Place(str(folder))


def under(found: LaidOut | Scanned, lon: float, lat: float) -> str | None:
    index, names = found.under(np.array([lon]), np.array([lat]))
    return names[index[0]] if index[0] >= 0 else None


def files_of_pixels(x: int, y: int) -> set[str]:
    """The files of a tile's pixels, one by one, by the corner that their names state."""
    lon = pixel_longitudes(np.arange(x * 256, x * 256 + 256))
    lat = pixel_latitudes(np.arange(y * 256, y * 256 + 256))
    corners = {(int(w), int(s)) for w in np.floor(lon / 3) * 3 for s in np.ceil(lat / 3) * 3 - 3}
    return {f"{FOLDER}/{worldcover_name(west, south)}" for west, south in corners}


@pytest.mark.parametrize(
    ("lon", "lat", "corner"),
    [
        (6.7, 0.3, "N00E006"),
        (-0.1, -0.1, "S03W003"),
        (-3.0, -3.0, "S06W003"),
        (2.999, 3.0, "N00E000"),
        (-180.0, 60.5, "N60W180"),
        (179.999, -59.9, "S60E177"),
        (-179.999, 83.0, "N81W180"),
        (-70.1, -33.4, "S36W072"),
    ],
)
def test_the_file_under_a_point_is_named_by_its_south_western_corner(lon: float, lat: float, corner: str) -> None:
    """A file's western and northern edges belong to it."""
    assert under(laid_out(), lon, lat) == f"{FOLDER}/ESA_WorldCover_10m_2020_v100_{corner}_Map.tif"


# Tiles around the borders of files, where one needs two or four of them: every third degree is a border.
near_borders = st.tuples(st.integers(-60, 59), st.integers(-19, 26), st.integers(-1, 1), st.integers(-1, 1))


@settings(max_examples=80, deadline=None)
@given(near_borders)
def test_the_files_that_a_tile_needs_are_those_of_its_pixels(place: tuple[int, int, int, int]) -> None:
    column, row, right, down = place
    x, y = tile_under(np.array([column * 3.0]), np.array([row * 3.0]))
    x, y = np.clip(x + right, 0, 16383).astype(np.int32), np.clip(y + down, 0, 16383).astype(np.int32)
    expected = files_of_pixels(int(x[0]), int(y[0]))
    source = laid_out((0, 0))
    assert source.needed(x, y) == sorted(expected)
    for name in [*expected, f"{FOLDER}/{worldcover_name(141, 33)}"]:
        assert source.needing(name, x, y).tolist() == [name in expected]


def test_needing_something_else_than_a_file_of_the_layout_needs_nothing() -> None:
    assert not laid_out().needing("other.tif", np.array([8192]), np.array([8192])).any()


def test_the_tiles_of_a_laid_out_source_are_those_of_the_files_that_are_there() -> None:
    found = [
        tile for x, y in laid_out((177, 0), (-180, 0)).tiles() for tile in zip(x.tolist(), y.tolist(), strict=True)
    ]
    # 3 degrees are 136.53 tiles: the first 137 columns have their centres in W180 (136.5 < 136.53), the last 137 in
    # E177. Northwards row 8192 - 137 has its centre at 2.99841 N, row 8192 - 138 beyond 3 N.
    columns, rows = [*range(137), *range(16384 - 137, 16384)], range(8192 - 137, 8192)
    assert sorted(found) == sorted((x, y) for x in columns for y in rows)


def test_a_laid_out_source_is_known_by_its_names_alone(tmp_path: Path) -> None:
    names = [f"{FOLDER}/{worldcover_name(*corner)}" for corner in [(6, 0), (-180, -3), (177, 81)]]
    source = touched(tmp_path, *names, f"{FOLDER}/readme.txt", f"{FOLDER}/other.tif", f"{FOLDER}/.hidden.tif", "x.tif")
    found = catalogue(source, WORLDCOVER)
    assert list(found.rasters) == sorted(names)
    assert found.rasters[names[1]].bounds == (-180, -3, -177, 0)
    assert found.unreadable == {}


@pytest.mark.parametrize(
    ("names", "product"),
    [
        ([f"{FOLDER}/{worldcover_name(6, 0)}"], WORLDCOVER_2021),
        ([worldcover_name(6, 0)], WORLDCOVER_2021),
        ([f"maps/{worldcover_name(6, 0, 'v200', 2021)}"], WORLDCOVER),
        ([f"{FOLDER}/{worldcover_name(6, 0)}", f"{FOLDER}/{worldcover_name(9, 0, 'v200', 2021)}"], WORLDCOVER),
        ([worldcover_name(6, 0), worldcover_name(9, 0, "v200", 2021)], WORLDCOVER),
        ([worldcover_name(6, 0), worldcover_name(9, 0, "v200", 2021)], SATLAS),
    ],
)
def test_worldcovers_versions_are_never_mixed(tmp_path: Path, names: list[str], product: object) -> None:
    with pytest.raises(InputError, match="never mixed") as error:
        catalogue(touched(tmp_path, *names), product)
    assert any(name.rsplit("/", 1)[-1] in str(error.value) for name in names)


def test_a_bucket_that_holds_both_versions_in_their_folders_is_read_by_product(tmp_path: Path) -> None:
    names = [f"{FOLDER}/{worldcover_name(6, 0)}", f"v200/2021/map/{worldcover_name(6, 0, 'v200', 2021)}"]
    source = touched(tmp_path, *names)
    assert list(catalogue(source, WORLDCOVER).rasters) == names[:1]
    assert list(catalogue(source, WORLDCOVER_2021).rasters) == names[1:]


TAGS_2020 = {"title": "ESA WorldCover product 2020", "product_version": "V1.0.0"}
TAGS_2021 = {"title": "ESA WorldCover product 2021", "product_version": "V2.0.0"}
PLACE = {"crs": "EPSG:4326", "transform": Affine(0.001, 0, 6, 0, -0.001, 1)}
CODES = np.full((40, 50), 10, dtype=np.uint8)


def test_a_renamed_file_is_told_by_its_tags(tmp_path: Path) -> None:
    write_raster(tmp_path / "renamed.tif", CODES, **PLACE, tags=TAGS_2021)
    source = Place(str(tmp_path))
    assert list(catalogue(source, WORLDCOVER_2021).rasters) == ["renamed.tif"]
    with pytest.raises(InputError, match=r"renamed\.tif, which is WorldCover v200"):
        catalogue(source, WORLDCOVER)
    write_raster(tmp_path / "other.tif", CODES, **PLACE, tags=TAGS_2020)
    with pytest.raises(InputError, match="two WorldCover versions"):
        catalogue(source, SATLAS)


def utm(zone: int, easting: float, northing: float, size: float = 10) -> dict[str, object]:
    return {"crs": f"EPSG:{32600 + zone}", "transform": Affine(size, 0, easting, 0, -size, northing)}


def position(zone: int, easting: float, northing: float) -> tuple[np.ndarray, np.ndarray]:
    lon, lat = Transformer.from_crs(32600 + zone, 4326, always_xy=True).transform(easting, northing)
    return np.array([lon]), np.array([lat])


def test_a_folder_of_utm_rasters_is_known_by_its_headers(tmp_path: Path) -> None:
    write_raster(tmp_path / "b" / "31.tif", np.ones((2000, 2000), np.uint8), **utm(31, 730_000, 5_100_000))
    write_raster(tmp_path / "a" / "32.tif", np.ones((2000, 2000), np.uint8), **utm(32, 270_000, 5_100_000))
    found = catalogue(Place(str(tmp_path)), SATLAS)
    assert isinstance(found, Scanned)
    assert list(found.rasters) == ["a/32.tif", "b/31.tif"]
    # A degree is 77.3 km wide here: zone 31's raster runs from 5.97 to 6.23 E, zone 32's from 6.03 to 6.28 E.
    both, only = position(31, 745_000, 5_090_000), position(31, 731_000, 5_090_000)
    assert under(found, float(only[0][0]), float(only[1][0])) == "b/31.tif"
    assert under(found, float(both[0][0]), float(both[1][0])) == "a/32.tif", "the first by path"
    assert under(found, 0.0, 0.0) is None
    x, y = tile_under(*both)
    assert found.needed(x, y) == ["a/32.tif", "b/31.tif"]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-40, 40), st.integers(-40, 40)), min_size=1, max_size=25),
    st.sampled_from([(1, 500_000, 0.0), (32, 300_000, 5_000_000), (60, 760_000, 100_000), (33, 500_000, 8_900_000)]),
    st.sampled_from([0, 25]),
)
def test_the_rasters_that_a_tile_needs_are_those_that_hold_its_pixels(
    tmp_path_factory: pytest.TempPathFactory,
    offsets: list[tuple[int, int]],
    corner: tuple[int, float, float],
    angle: int,
) -> None:
    zone, easting, northing = corner
    folder = tmp_path_factory.mktemp("scan")
    for name, shift in (("a.tif", 0), ("b.tif", 30_000)):
        place = utm(zone, easting + shift, northing + shift, size=400)
        place["transform"] = place["transform"] @ Affine.rotation(angle)
        write_raster(folder / name, np.ones((100, 130), np.uint8), **place)
    found = catalogue(Place(str(folder)), SATLAS)
    lon, lat = position(zone, easting + 30_000, northing)
    middle_x, middle_y = tile_under(lon, lat)
    x = ((middle_x + np.array([column for column, _ in offsets])) % 16384).astype(np.int32)
    y = np.clip(middle_y + np.array([row for _, row in offsets]), 0, 16383).astype(np.int32)
    needed = found.needed(x, y)
    for name in found.rasters:
        need = found.needing(name, x, y)
        assert need.any() == (name in needed)
        with rasterio.open(folder / name) as raster:
            back = ~raster.transform
        step = np.arange(0, 256, 15)
        for index in range(len(x)):
            lons, lats = np.meshgrid(pixel_longitudes(x[index] * 256 + step), pixel_latitudes(y[index] * 256 + step))
            columns, rows = back @ Transformer.from_crs(4326, 32600 + zone, always_xy=True).transform(lons, lats)
            holds = ((columns >= 0) & (columns < 130) & (rows >= 0) & (rows < 100)).any()
            assert need[index] or not holds, f"{name} holds pixels of {x[index]}_{y[index]}"


def test_a_rasters_curved_edge_counts_though_its_corners_lie_lower(tmp_path: Path) -> None:
    """600 km along a zone bulge by 11 km at 56 N: by metres more than a box around some points of the edge shows."""
    place = utm(32, 213_600, 6_200_000, size=100)
    write_raster(tmp_path / "wide.tif", np.ones((100, 6000), np.uint8), **place)
    found = catalogue(Place(str(tmp_path)), SATLAS)
    for easting in np.linspace(213_605, 813_595, 301):
        lon, lat = position(32, float(easting), 6_199_999.5)
        assert under(found, float(lon[0]), float(lat[0])) == "wide.tif"


def test_a_raster_across_the_antimeridian_has_tiles_on_both_sides(tmp_path: Path) -> None:
    write_raster(tmp_path / "fiji.tif", np.ones((20, 400), np.uint8), **utm(60, 814_000, 12_000, size=100))
    found = catalogue(Place(str(tmp_path)), SATLAS)
    x = {int(column) for columns, _ in found.tiles() for column in columns}
    assert {0, 16383} <= x
    assert max(x) - min(x) == 16383
    assert len(x) < 25


def test_a_raster_in_degrees_that_reaches_past_180_is_named(tmp_path: Path) -> None:
    write_raster(tmp_path / "past.tif", CODES, "EPSG:4326", Affine(0.01, 0, 179.95, 0, -0.01, 1.0))
    write_raster(tmp_path / "upto.tif", np.ones((10, 10), np.uint8), "EPSG:4326", Affine(0.01, 0, 179.9, 0, -0.01, 1.0))
    found = catalogue(Place(str(tmp_path)), SATLAS)
    assert list(found.rasters) == ["upto.tif"]
    assert "cut at 180 degrees" in found.unreadable["past.tif"]


def test_a_raster_that_cannot_be_opened_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    good = write_raster(tmp_path / "good.tif", CODES, **PLACE)
    (tmp_path / "short.tif").write_bytes(good.read_bytes()[:60])
    (tmp_path / "text.tif").write_text("no raster")
    (tmp_path / "empty.tif").touch()
    write_raster(tmp_path / "nowhere.tif", CODES, None, None)
    found = catalogue(Place(str(tmp_path)), SATLAS)
    assert list(found.rasters) == ["good.tif"]
    assert list(found.unreadable) == ["empty.tif", "nowhere.tif", "short.tif", "text.tif"]
    assert "no coordinate reference system" in found.unreadable["nowhere.tif"]
    assert "cannot be opened as a raster" in found.unreadable["text.tif"]


@pytest.mark.parametrize("table", [SATLAS, WORLDCOVER])
def test_one_raster_is_a_source_too(tmp_path: Path, table: object) -> None:
    path = write_raster(tmp_path / "map.TIF", CODES, **PLACE)
    write_raster(tmp_path / "other.tif", CODES, **PLACE)
    found = catalogue(Place(str(path)), table)
    assert list(found.rasters) == ["map.TIF"]
    assert under(found, 6.01, 0.99) == "map.TIF"
    assert under(found, 6.0, 1.0) == "map.TIF", "its north-western corner belongs to it"
    assert under(found, 6.05, 0.99) is None, "its eastern edge does not"


def test_one_file_of_the_bucket_is_a_source_too(tmp_path: Path) -> None:
    path = write_worldcover(tmp_path, 6, 0, {})
    found = catalogue(Place(str(path)), WORLDCOVER)
    assert list(found.rasters) == [path.name]
    assert under(found, 6.5, 0.5) == path.name


@pytest.mark.parametrize("exists", [True, False])
def test_a_source_without_a_raster_says_what_was_looked_for(tmp_path: Path, exists: bool) -> None:
    source = touched(tmp_path, "readme.txt") if exists else Place(str(tmp_path / "missing"))
    with pytest.raises(InputError, match=rf"looked for {FOLDER}/\*\.tif, .* ending with \.tif, \.tiff"):
        catalogue(source, WORLDCOVER)
    with pytest.raises(InputError, match=r"looked for files ending with"):
        catalogue(source, SATLAS)


def test_a_rasters_identity_is_its_contents(tmp_path: Path) -> None:
    def identity() -> str:
        return catalogue(Place(str(tmp_path)), SATLAS).rasters["map.tif"].identity

    write_raster(tmp_path / "map.tif", CODES, **PLACE)
    before = identity()
    assert identity() == before
    write_raster(tmp_path / "map.tif", np.concatenate([CODES, CODES]), **PLACE)
    assert identity() != before
