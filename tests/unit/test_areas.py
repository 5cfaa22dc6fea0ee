"""Areas as tiles, against lists made by hand.

A zoom-14 tile is w = 360 / 16384 = 0.02197265625 degrees wide, so column x has its centre at -180 + (x + 0.5) w. At the
equator rows are as high: row 8191 has its centre at 0.010986 N, row 8192 at 0.010986 S, row 8190 at 0.032959 N. At
85.05 degrees a row is w cos(85.05) = 0.0018954 degrees high: the centres of rows 0, 1 and 2 are half of that, one and a
half and two and a half of it below the limit of 85.0511288, at 85.05018, 85.04829 and 85.04639 N, and the same from the
south.
"""

from __future__ import annotations

import json
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import InputError
from tasks.grid import centres
from tasks.planning.areas import Area, Box, Shape, TileList, area_from_file, box, included_tiles

W = 360 / 16384


def tiles(area: Area) -> list[tuple[int, int]]:
    """The tiles of an area, none of them twice."""
    found = [tile for x, y in area.tiles() for tile in zip(x.tolist(), y.tolist(), strict=True)]
    assert len(set(found)) == len(found)
    return sorted(found)


def product(columns: list[int], rows: list[int]) -> list[tuple[int, int]]:
    return sorted((x, y) for x in columns for y in rows)


def square(west: float, south: float, east: float, north: float) -> dict[str, object]:
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def written(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def feature(geometry: object) -> dict[str, object]:
    return {"type": "Feature", "properties": {}, "geometry": geometry}


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        # Centres from 179.95 on: 16382 (180 - 1.5 w = 179.96704) and 16383 (179.98901), not 16381 (179.94507); before
        # -179.97: 0 (-179.98901), not 1 (-179.96704).
        ((179.95, -0.02, -179.97, 0.02), product([16382, 16383, 0], [8191, 8192])),
        # The world's edge from either side.
        ((179.97, 0.0, 180.0, 0.02), product([16383], [8191])),
        ((-180.0, 0.0, -179.97, 0.02), product([0], [8191])),
        ((180.0, 0.0, -179.97, 0.02), product([0], [8191])),
        ((179.97, 0.0, -180.0, 0.02), product([16383], [8191])),
        # The Mercator limit: 190 / w = 8647.11, so 8647 (centre 10.00854) and 8648 (10.03052), not 8649 (10.05249).
        ((10.0, 85.047, 10.05, 90.0), product([8647, 8648], [0, 1])),
        ((10.0, -90.0, 10.05, -85.047), product([8647, 8648], [16382, 16383])),
        ((10.0, 85.05, 10.05, 85.06), product([8647, 8648], [0])),
        # Beyond both at once.
        ((179.98, 85.049, -179.98, 90.0), product([16383, 0], [0])),
        # Edges on the centres of columns 0 and 1: the western one is in, the eastern one is out.
        ((-180 + 0.5 * W, 0.0, -180 + 1.5 * W, 0.02), product([0], [8191])),
        # A box between centres holds none.
        ((0.001, 0.001, 0.002, 0.002), []),
    ],
)
def test_boxes_against_lists_made_by_hand(
    bounds: tuple[float, float, float, float], expected: list[tuple[int, int]]
) -> None:
    assert tiles(box(bounds)) == expected


def test_a_northern_edge_on_a_centre_is_in_and_a_southern_one_is_out() -> None:
    lat = float(centres(np.array([8192]), np.array([8000]))[1][0])
    assert tiles(box([0.0, lat - 0.01, W, lat])) == [(8192, 8000)]
    assert tiles(box([0.0, lat, W, lat + 0.01])) == []


@pytest.mark.parametrize(("west", "east"), [(10.0, 5.0), (10.0, 9.99), (0.01, 0.0), (-100.0, -100.001)])
def test_a_box_that_nearly_closes_the_circle_holds_no_tile_twice(west: float, east: float) -> None:
    found = tiles(box([west, 0.0, east, 0.02]))
    lon, _ = centres(np.arange(16384), np.zeros(16384))
    assert found == [(int(x), 8191) for x in np.flatnonzero((lon >= west) | (lon < east))]
    if (west, east) == (10.0, 5.0):
        # 5 / w = 227.6 and 10 / w = 455.1: centres k + 0.5 for k = 228 to 454 lie between, 227 columns.
        assert len(found) == 16384 - 227


def test_the_whole_world_is_every_tile() -> None:
    counts, numbers = 0, set()
    for x, y in box([-180.0, 84.9, 180.0, 90.0]).tiles():
        counts += len(x)
        numbers |= set((y.astype(np.int64) * 16384 + x).tolist())
    rows = sum(1 for y in range(200) if centres(np.array([0]), np.array([y]))[1][0] > 84.9)
    assert counts == len(numbers) == rows * 16384


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ([-181, 0, 1, 1], "from -180 to 180"),
        ([0, 0, 180.5, 1], "from -180 to 180"),
        ([0, -91, 1, 1], "from -90 to 90"),
        ([0, 0, 1, 91], "from -90 to 90"),
        ([1, 0, 1, 1], "empty"),
        ([0, 1, 1, 1], "empty"),
        ([0, 2, 1, 1], "empty"),
        ([180, 0, -180, 1], "empty"),
        ([0, 85.06, 1, 90], "85.0511"),
        ([0, -90, 1, -85.0512], "85.0511"),
        ([float("nan"), 0, 1, 1], "from -180 to 180"),
        ([0, 0, 1, float("nan")], "from -90 to 90"),
    ],
)
def test_boxes_that_are_none(bounds: list[float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        box(bounds)


lon_edges = st.floats(-179.9, 179.5) | st.integers(8, 16300).map(lambda x: -180 + (x + 0.5) * W)
lat_edges = st.floats(-85.2, 85.2) | st.integers(0, 16383).map(
    lambda y: float(centres(np.array([0]), np.array([y]))[1][0])
)


@settings(max_examples=60, deadline=None)
@given(lon_edges, lat_edges, st.floats(0.001, 0.3), st.integers(1, 12))
def test_a_polygon_of_a_boxs_edges_holds_the_boxs_tiles(west: float, north: float, height: float, columns: int) -> None:
    east, south = west + columns * W, north - height * np.cos(np.radians(min(abs(north), 85)))
    polygon = shapely.box(west, south, east, north)
    assert tiles(Shape(polygon)) == tiles(Box(west, south, east, north))


def test_polygons_side_by_side_share_the_tiles_out_even_where_their_edge_runs_through_centres() -> None:
    middle = 0.5 * W + 4 * W
    lat = float(centres(np.array([0]), np.array([8180]))[1][0])
    corners = [(0.0, 0.0, middle, lat), (middle, 0.0, 0.3, lat), (0.0, lat, middle, 0.4), (middle, lat, 0.3, 0.4)]
    parts = [tiles(Shape(shapely.box(*corner))) for corner in corners]
    assert sorted(tile for part in parts for tile in part) == tiles(box([0.0, 0.0, 0.3, 0.4]))


def test_a_triangle_and_a_hole_by_their_centres() -> None:
    outline = [(0.0, 0.0), (1.0, 0.03), (0.2, 0.9), (0.0, 0.0)]
    hole = [(0.3, 0.2), (0.4, 0.2), (0.35, 0.4), (0.3, 0.2)]
    polygon = shapely.Polygon(outline, [hole])
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(8190, 8240), np.arange(8145, 8195)))
    inside = shapely.contains_xy(polygon, *centres(x, y))
    assert tiles(Shape(polygon)) == sorted(zip(x[inside].tolist(), y[inside].tolist(), strict=True))


EQUATOR = square(0, 0, 0.05, 0.03)
ELSEWHERE = square(10, 85.047, 10.05, 86)
# 0.05 / w = 2.28: columns 8192 (centre 0.5 w) and 8193 (1.5 w), not 8194 (2.5 w).
AT_EQUATOR = product([8192, 8193], [8191])
AT_BOTH = sorted(AT_EQUATOR + product([8647, 8648], [0, 1]))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (EQUATOR, AT_EQUATOR),
        (feature(EQUATOR), AT_EQUATOR),
        ({"type": "FeatureCollection", "features": [feature(EQUATOR), feature(ELSEWHERE), feature(None)]}, AT_BOTH),
        ({"type": "FeatureCollection", "features": [feature(EQUATOR), feature(EQUATOR)]}, AT_EQUATOR),
        ({"type": "GeometryCollection", "geometries": [EQUATOR, ELSEWHERE]}, AT_BOTH),
        (
            feature({"type": "GeometryCollection", "geometries": [EQUATOR, {"type": "Point", "coordinates": [1, 1]}]}),
            AT_EQUATOR,
        ),
        ({"type": "MultiPolygon", "coordinates": [EQUATOR["coordinates"], ELSEWHERE["coordinates"]]}, AT_BOTH),
        # Cut in two at the antimeridian, as RFC 7946 wants it.
        (
            {
                "type": "GeometryCollection",
                "geometries": [square(179.95, -0.02, 180, 0.02), square(-180, -0.02, -179.97, 0.02)],
            },
            product([16382, 16383, 0], [8191, 8192]),
        ),
        # A hole around the centre of 8193 alone.
        (
            {
                "type": "Polygon",
                "coordinates": [*EQUATOR["coordinates"], *square(0.03, 0.01, 0.035, 0.012)["coordinates"]],
            },
            product([8192], [8191]),
        ),
        ({**EQUATOR, "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}}, AT_EQUATOR),
        ({**EQUATOR, "crs": None}, AT_EQUATOR),
        # With heights, and with a byte order mark.
        ({"type": "Polygon", "coordinates": [[[*point, 7] for point in EQUATOR["coordinates"][0]]]}, AT_EQUATOR),
        ("\ufeff" + json.dumps(EQUATOR), AT_EQUATOR),
    ],
)
def test_geojson(tmp_path: Path, content: object, expected: list[tuple[int, int]]) -> None:
    assert tiles(area_from_file(written(tmp_path / "area.geojson", content))) == expected


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not readable as GeoJSON"),
        ("[1, 2]", "not readable as GeoJSON"),
        ({"type": "Polygon"}, "not readable as GeoJSON"),
        ({"type": "Circle", "coordinates": [0, 0]}, "not readable as GeoJSON"),
        ({"type": "FeatureCollection", "features": 7}, "not readable as GeoJSON"),
        ({"type": "FeatureCollection", "features": [7]}, "not readable as GeoJSON"),
        (feature([1]), "not readable as GeoJSON"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}, "not readable as GeoJSON"),
        ({"type": "Polygon", "coordinates": "far"}, "GeoJSON|no polygon"),
        ({"type": "FeatureCollection", "features": []}, "no polygon"),
        (feature(None), "no polygon"),
        ({"type": "Point", "coordinates": [0, 0]}, "no polygon"),
        (square(1, 1, 1, 1), "empty"),
        (square(0, 85.1, 1, 86), "85.0511"),
        (square(0, -89, 1, -85.06), "85.0511"),
        (square(170, 0, 190, 1), "antimeridian"),
        (square(500000, 5000000, 500100, 5000100), "no degrees"),
        ({**EQUATOR, "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3857"}}}, "WGS 84"),
    ],
)
def test_geojson_that_is_none_is_named(tmp_path: Path, content: object, said: str) -> None:
    path = written(tmp_path / "area.geojson", content)
    with pytest.raises(InputError, match=said) as error:
        area_from_file(path)
    assert "area.geojson" in str(error.value)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32631", None])
def test_geoparquet_in_any_crs(tmp_path: Path, crs: str | None) -> None:
    # A margin of a hundredth of a tile: the edges of a square in degrees are no straight lines in UTM.
    shapes = geopandas.GeoSeries([shapely.box(0.005, 0.005, 0.05, 0.03), None], crs="EPSG:4326")
    shapes = shapes.to_crs(crs) if crs else shapes.set_crs(None, allow_override=True)
    geopandas.GeoDataFrame(geometry=shapes).to_parquet(tmp_path / "area.parquet")
    assert tiles(area_from_file(tmp_path / "area.parquet")) == AT_EQUATOR


def test_geoparquet_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"area.parquet: not readable as GeoParquet"):
        area_from_file(written(tmp_path / "area.parquet", "no parquet"))


def test_tile_ids_keep_their_order_and_come_once(tmp_path: Path) -> None:
    path = written(tmp_path / "tiles.txt", "\ufeff8491_8186\n\n# a comment\n0_0  \n8491_8186\n16383_16383")
    (x, y), *_ = area_from_file(path).tiles()
    assert list(zip(x.tolist(), y.tolist(), strict=True)) == [(8491, 8186), (0, 0), (16383, 16383)]


@pytest.mark.parametrize(
    ("content", "said"),
    [("0_0\n\n16384_0\n", "line 3: '16384_0'"), ("8491,8186", "line 1"), ("", "no tile ID"), ('{"type": ', "line 1")],
)
def test_a_bad_tile_id_is_named_with_its_line(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        area_from_file(written(tmp_path / "tiles.txt", content))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tiles.txt").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(InputError, match="not readable as text"):
        area_from_file(tmp_path / "tiles.txt")


def included(found: TileList) -> list[tuple[int, int]]:
    (x, y), *_ = found.tiles()
    return list(zip(x.tolist(), y.tolist(), strict=True))


@pytest.mark.parametrize(
    "content",
    [
        "13.377715,52.516280\n0,0\n",
        "13.377715 , 52.516280\n0.0,-0.001\n",
        "lon,lat\n13.377715,52.516280\n0,0\n",
        'name,latitude,Longitude\nBerlin,52.516280,13.377715\n"Null, Island",0,0\n',
        "tile_id\n8800_5373\n8192_8192\n",
        "name,tile_id\nBerlin,8800_5373\nNull Island,8192_8192\n",
        "8800_5373\n8192_8192\n8800_5373\n",
        "8800_5373\n0,0\n",
    ],
)
def test_included_points_and_ids(tmp_path: Path, content: str) -> None:
    assert included(included_tiles(written(tmp_path / "include.csv", content))) == [(8800, 5373), (8192, 8192)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("0,0\n181,0\n", "line 2: '181,0'"),
        ("lon,lat\n0,86\n", "line 2: '0,86'"),
        ("lon,lat\n0\n", "line 2"),
        ("0,0\nsomewhere,else\n", "line 2"),
        ("nan,0\n", "line 1"),
        ("99999_1\n", "line 1"),
        ("name,tile_id\nBerlin\n", "line 2"),
        ("lon,lat\n", "no point and no tile ID"),
        ("", "no point and no tile ID"),
    ],
)
def test_what_cannot_be_included_is_named_with_its_line(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        included_tiles(written(tmp_path / "include.csv", content))
