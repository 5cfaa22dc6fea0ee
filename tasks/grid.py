"""The grid: Web-Mercator tiles of zoom 14 at 256 px (XYZ order, row 0 in the north), and their zoom-10 blocks.

A zoom-14 pixel is 9.5546 m at the equator times the cosine of the latitude on the ground: 4.8 m at 60 degrees.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray

ZOOM = 14
TILES = 1 << ZOOM
"""Tiles along one side of the world."""

TILE_SIZE = 256
"""Pixels along one side of a tile."""

BLOCK_TILES = 16
"""Tiles along one side of a zoom-10 block."""

WORLD_PIXELS = TILES * TILE_SIZE
"""Zoom-14 pixels along one side of the world."""

LATITUDE_LIMIT = 85.0511287798066
"""Where the square Mercator world ends, in degrees."""

EARTH_CIRCUMFERENCE = 2 * np.pi * 6378137.0
"""Along the equator of EPSG:3857's sphere, in metres."""

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int32]

_BLOCKS_AT_ONCE = 4096
"""Blocks expanded to tiles at a time: a million tiles, 8 MB of coordinates each way."""

_TILE_ID = re.compile(r"(0|[1-9]\d{0,4})_(0|[1-9]\d{0,4})")


def longitude_of_edge(x: ArrayLike) -> Floats:
    """Longitude of the western edge of tile column ``x``, in degrees; exact."""
    return np.asarray(x, dtype=np.float64) * (360.0 / TILES) - 180.0


def latitude_of_edge(y: ArrayLike) -> Floats:
    """Latitude of the northern edge of tile row ``y``, in degrees."""
    angle = np.pi * (1.0 - 2.0 * np.asarray(y, dtype=np.float64) / TILES)
    return np.degrees(np.arctan(np.sinh(angle)))


def centres(x: Ints, y: Ints) -> tuple[Floats, Floats]:
    """Longitudes and latitudes of tile centres, in degrees."""
    return longitude_of_edge(np.asarray(x) + 0.5), latitude_of_edge(np.asarray(y) + 0.5)


def tile_under(lon: Floats, lat: Floats) -> tuple[Ints, Ints]:
    """Columns and rows of the tiles that hold points; latitudes beyond the Mercator limit count as at the limit."""
    x = np.floor((np.asarray(lon, dtype=np.float64) + 180.0) * (TILES / 360.0))
    radians = np.radians(np.clip(lat, -LATITUDE_LIMIT, LATITUDE_LIMIT))
    y = np.floor((1.0 - np.arcsinh(np.tan(radians)) / np.pi) * (TILES / 2))
    last = TILES - 1
    return (np.clip(x, 0, last).astype(np.int32), np.clip(y, 0, last).astype(np.int32))


def pixel_longitudes(columns: NDArray[np.int64]) -> Floats:
    """Longitudes of the centres of global zoom-14 pixel columns, in degrees; exact."""
    return longitude_of_edge((columns + 0.5) / TILE_SIZE)


def pixel_latitudes(rows: NDArray[np.int64]) -> Floats:
    """Latitudes of the centres of global zoom-14 pixel rows, in degrees."""
    return latitude_of_edge((rows + 0.5) / TILE_SIZE)


def tile_ids(x: Ints, y: Ints) -> pa.Array:
    """Tile IDs ``x_y`` as an Arrow array of strings."""
    return pc.binary_join_element_wise(pc.cast(pa.array(x), pa.string()), pc.cast(pa.array(y), pa.string()), "_")


def parse_tile_id(text: str) -> tuple[int, int] | None:
    """Column and row of a tile ID, or None where the text is none."""
    match = _TILE_ID.fullmatch(text)
    if match is None:
        return None
    x, y = int(match[1]), int(match[2])
    return (x, y) if x < TILES and y < TILES else None


def tile_numbers(x: Ints, y: Ints) -> NDArray[np.uint64]:
    """One number for each tile, row by row from the north-west."""
    return np.asarray(y, dtype=np.uint64) * np.uint64(TILES) + np.asarray(x, dtype=np.uint64)


def block_numbers(x: Ints, y: Ints) -> NDArray[np.uint64]:
    """One number for each tile's zoom-10 block, row by row from the north-west."""
    side = np.uint64(TILES // BLOCK_TILES)
    blocks = np.uint64(BLOCK_TILES)
    return np.asarray(y, dtype=np.uint64) // blocks * side + np.asarray(x, dtype=np.uint64) // blocks


def morton_order(x: Ints, y: Ints) -> NDArray[np.intp]:
    """An order in which blocks that follow each other are neighbours, and tiles run row by row inside a block."""
    column, row = (np.asarray(axis, dtype=np.uint64) for axis in (x, y))
    key = np.zeros(len(column), dtype=np.uint64)
    for bit in range(ZOOM - 4):
        source, one = np.uint64(bit + 4), np.uint64(1)
        key |= (column >> source & one) << np.uint64(2 * bit)
        key |= (row >> source & one) << np.uint64(2 * bit + 1)
    low = np.uint64(BLOCK_TILES - 1)
    return np.argsort((key << np.uint64(8)) | ((row & low) << np.uint64(4)) | (column & low), kind="stable")


def tiles_of_blocks(
    blocks: NDArray[np.int64], holds: Callable[[Floats, Floats], NDArray[np.bool_]]
) -> Iterator[tuple[Ints, Ints]]:
    """The tiles of zoom-10 blocks whose centres are held, in batches.

    Args:
        blocks: columns and rows of blocks, shape (n, 2), no block twice.
        holds: which of given points (degrees) are in.
    """
    row, column = np.divmod(np.arange(BLOCK_TILES**2), BLOCK_TILES)
    for start in range(0, len(blocks), _BLOCKS_AT_ONCE):
        some = blocks[start : start + _BLOCKS_AT_ONCE] * BLOCK_TILES
        x = (some[:, :1] + column).ravel().astype(np.int32)
        y = (some[:, 1:] + row).ravel().astype(np.int32)
        held = holds(*centres(x, y))
        if held.any():
            yield x[held], y[held]


def blocks_within(bounds: Sequence[tuple[float, float, float, float]]) -> NDArray[np.int64]:
    """Columns and rows (n, 2) of the zoom-10 blocks that touch boxes (west, south, east, north), each once."""
    found = []
    for west, south, east, north in bounds:
        x, y = tile_under(np.array([west, east]), np.array([north, south]))
        columns = np.arange(x[0] // BLOCK_TILES, x[1] // BLOCK_TILES + 1)
        rows = np.arange(y[0] // BLOCK_TILES, y[1] // BLOCK_TILES + 1)
        found.append(np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2))
    if not found:
        return np.empty((0, 2), dtype=np.int64)
    # Sorted by row, then column: north to south, west to east.
    return np.unique(np.concatenate(found).astype(np.int64)[:, ::-1], axis=0)[:, ::-1]
