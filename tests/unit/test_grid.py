"""The grid: places that are known, and the order of blocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.grid import (
    LATITUDE_LIMIT,
    block_numbers,
    centres,
    latitude_of_edge,
    longitude_of_edge,
    morton_order,
    parse_tile_id,
    pixel_longitudes,
    tile_ids,
    tile_numbers,
    tile_under,
)

numbers = st.integers(0, 2**14 - 1)


def under(lon: float, lat: float) -> tuple[int, int]:
    x, y = tile_under(np.array([lon]), np.array([lat]))
    return int(x[0]), int(y[0])


@pytest.mark.parametrize(
    ("lon", "lat", "tile"),
    [
        # West and north edges belong to a tile: the world's middle is the corner of the first south-eastern one.
        (0.0, 0.0, (8192, 8192)),
        (-180.0, LATITUDE_LIMIT, (0, 0)),
        (180.0, -LATITUDE_LIMIT, (16383, 16383)),
        (-180.0, 90.0, (0, 0)),
        # The Brandenburg Gate is zoom-17 tile 70406, 42987 in every map of the web: an eighth of that at zoom 14.
        (13.377715, 52.516280, (8800, 5373)),
        # São Tomé, and the contract's example below the equator.
        (6.73, 0.34, (8498, 8176)),
        (6.58, 0.12, (8491, 8186)),
    ],
)
def test_known_places(lon: float, lat: float, tile: tuple[int, int]) -> None:
    assert under(lon, lat) == tile


@given(numbers, numbers)
def test_a_tile_holds_its_centre_and_its_north_western_corner(x: int, y: int) -> None:
    lon, lat = centres(np.array([x]), np.array([y]))
    assert under(float(lon[0]), float(lat[0])) == (x, y)
    assert under(float(longitude_of_edge(x)), float(lat[0])) == (x, y)
    assert latitude_of_edge(y) > lat[0] > latitude_of_edge(y + 1)


@given(st.integers(0, 2**22 - 1))
def test_pixel_columns_are_exact(column: int) -> None:
    """WorldCover's global column by whole numbers, (2k + 1) * 16875 >> 15, is that of the longitude."""
    lon = pixel_longitudes(np.array([column]))[0]
    assert np.floor((lon + 180) * 12_000 + 1e-10) == ((2 * column + 1) * 16875) >> 15


@given(numbers, numbers)
def test_tile_ids_can_be_read_again(x: int, y: int) -> None:
    text = tile_ids(np.array([x], dtype=np.int32), np.array([y], dtype=np.int32)).to_pylist()[0]
    assert text == f"{x}_{y}"
    assert parse_tile_id(text) == (x, y)


@pytest.mark.parametrize("text", ["", "1", "1_", "_1", "01_1", "-1_1", "1_2_3", "16384_0", "0_16384", "1_2 ", "１_2"])
def test_what_is_no_tile_id(text: str) -> None:
    assert parse_tile_id(text) is None


def test_tiles_and_blocks_have_a_number_of_their_own() -> None:
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(40), np.arange(16364, 16384)))
    assert len(np.unique(tile_numbers(x, y))) == 800
    assert len(np.unique(block_numbers(x, y))) == 6
    assert tile_numbers(np.array([16383]), np.array([16383])) == 2**28 - 1


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=60, unique=True))
def test_a_block_is_in_one_piece_in_morton_order_and_its_tiles_run_row_by_row(tiles: list[tuple[int, int]]) -> None:
    x, y = np.array(tiles, dtype=np.int32).T
    order = morton_order(x, y)
    assert sorted(order) == list(range(len(tiles)))
    blocks = block_numbers(x[order], y[order])
    assert len(np.flatnonzero(np.diff(blocks))) + 1 == len(np.unique(blocks))
    for block in np.unique(blocks):
        inside = tile_numbers(x[order], y[order])[blocks == block]
        assert (np.diff(inside.astype(np.int64)) > 0).all()


def test_neighbouring_blocks_follow_each_other() -> None:
    """Four blocks of a square come before the next square's."""
    x, y = (axis.ravel() * 16 for axis in np.meshgrid(np.arange(4), np.arange(4)))
    order = morton_order(x, y)
    assert [(int(x[i]) // 16, int(y[i]) // 16) for i in order[:5]] == [(0, 0), (1, 0), (0, 1), (1, 1), (2, 0)]
