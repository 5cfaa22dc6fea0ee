"""Land-cover maps made for benchmarks, laid out like the public WorldCover bucket."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.grid import Ints, morton_order
from tasks.landcover.catalogue import LaidOut, catalogue
from tasks.landcover.classes import ClassTable, class_table
from tasks.scene import write_scene
from tasks.storage import place

PRODUCT = "worldcover-2020"
DEGREES = 3
SIDE = 36_000
BLOCK = 1_024

_PATCH = 16
_ACROSS = -(-SIDE // BLOCK)
_PIXELS_PER_DEGREE = SIDE // DEGREES
_TYPES = {"H": 3, "I": 4, "d": 12, "s": 2}
"""TIFF's number for each of struct's types."""

Blocks = Sequence[NDArray[np.uint8]]
"""Blocks of codes, shape (1024, 1024)."""


def table() -> ClassTable:
    """The class table of all benchmarks."""
    return class_table(PRODUCT)


def listed(source: Path) -> LaidOut:
    """The maps of a folder."""
    found = catalogue(place(source), table())
    assert isinstance(found, LaidOut)
    return found


def whole_file(scratch: Path) -> Path:
    """A folder with one map of 3 x 3 degrees: the real one where it is at hand, else the made scene."""
    given = os.environ.get("EARTHSCRIBE_TEST_DATA")
    real = (Path(given) if given else Path(__file__).parents[3] / "shared" / "data") / "worldcover"
    if real.is_dir():
        return real
    write_scene(scratch / "scene")
    return scratch / "scene"


def tiles_of(found: LaidOut) -> tuple[Ints, Ints]:
    """Columns and rows of all tiles of some maps, in `morton_order`."""
    batches = list(found.tiles())
    x, y = (np.concatenate([batch[axis] for batch in batches]) for axis in (0, 1))
    order = morton_order(x, y)
    return x[order], y[order]


def eleven_classes(count: int, seed: int = 0) -> list[NDArray[np.uint8]]:
    """Blocks of all eleven classes in patches of 16 px, each block another one."""
    codes = np.array([code for code, index in table().ids.items() if index], dtype=np.uint8)
    rng = np.random.default_rng(seed)
    side = BLOCK // _PATCH
    return [np.kron(rng.choice(codes, (side, side)), np.ones((_PATCH, _PATCH), dtype=np.uint8)) for _ in range(count)]


def write_maps(source: Path, corners: Sequence[tuple[int, int]], blocks: Blocks) -> None:
    """Writes maps of 36,000 x 36,000 px, each of a few megabytes: their blocks are given ones over and over.

    Every block of a map is there to be read and costs what it would cost in a map of its own, but takes up no place.

    Args:
        source: the folder.
        corners: west and south of each map in degrees, multiples of three.
        blocks: the blocks; none for a map that holds no data.
    """
    layout = table().layout
    assert layout is not None
    folder = source / layout.directory
    folder.mkdir(parents=True, exist_ok=True)
    packed = [zlib.compress(block.tobytes(), 1) for block in blocks]
    for west, south in corners:
        corner = f"{'S' if south < 0 else 'N'}{abs(south):02}{'W' if west < 0 else 'E'}{abs(west):03}"
        name = f"ESA_WorldCover_10m_{layout.year}_{layout.version}_{corner}_Map.tif"
        (folder / name).write_bytes(_tiff(west, south + DEGREES, packed))


def corners(count: int, *, south: int = 0) -> list[tuple[int, int]]:
    """West and south of maps side by side, from the equator (or another multiple of three) northwards."""
    around = 360 // DEGREES
    return [(-180 + index % around * DEGREES, south + index // around * DEGREES) for index in range(count)]


def _tiff(west: int, north: int, packed: Sequence[bytes]) -> bytes:
    """A tiled TIFF of one band of bytes in EPSG:4326, deflated; its tiles are the packed ones in turn."""
    n_tiles = _ACROSS * _ACROSS
    starts = 8 + np.cumsum([0, *map(len, packed)])
    which = np.arange(n_tiles) % max(len(packed), 1)
    # A tile of offset and size nought is one that is not there.
    offsets = starts[which] if packed else np.zeros(n_tiles, dtype=np.int64)
    sizes = np.array([len(one) for one in packed])[which] if packed else offsets
    degree = 1 / _PIXELS_PER_DEGREE
    tags: list[tuple[int, str, Sequence[float] | bytes]] = [
        (256, "I", [SIDE]),  # width
        (257, "I", [SIDE]),  # height
        (258, "H", [8]),  # bits a sample
        (259, "H", [8]),  # deflate
        (262, "H", [1]),  # black is nought
        (277, "H", [1]),  # samples a pixel
        (322, "I", [BLOCK]),  # a tile's width
        (323, "I", [BLOCK]),  # a tile's height
        (324, "I", offsets.tolist()),
        (325, "I", sizes.tolist()),
        (33550, "d", [degree, degree, 0.0]),  # a pixel's size
        (33922, "d", [0.0, 0.0, 0.0, float(west), float(north), 0.0]),  # where the first pixel lies
        # Geographic, pixels are areas, EPSG:4326.
        (34735, "H", [1, 1, 0, 3, 1024, 0, 1, 2, 1025, 0, 1, 1, 2048, 0, 1, 4326]),
        (42113, "s", b"0\0"),  # no data
    ]
    directory_at = int(starts[-1])
    values_at = directory_at + 2 + 12 * len(tags) + 4
    directory, values = struct.pack("<H", len(tags)), b""
    for tag, kind, content in tags:
        value = content if isinstance(content, bytes) else struct.pack(f"<{len(content)}{kind}", *content)
        directory += struct.pack("<HHI", tag, _TYPES[kind], len(content))
        if len(value) <= 4:
            directory += value.ljust(4, b"\0")
        else:
            directory += struct.pack("<I", values_at + len(values))
            values += value
    return struct.pack("<2sHI", b"II", 42, directory_at) + b"".join(packed) + directory + bytes(4) + values
