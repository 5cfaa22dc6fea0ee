"""The page's map: where the tiles lie and how they stand, drawn without any map service.

The map is in Web-Mercator, in which zoom-14 tiles are squares of one size. Where there are too many to see, a cell of
the map is a square of 2 x 2, 4 x 4 ... tiles: the tiles of a lower zoom.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STATUSES = ("planned", "kept", "excluded", "failed")
"""A tile's statuses; a status code is an index into them."""

_WORLD = 1 << 14
"""Zoom-14 tiles around the world."""
_MOST_CELLS = 128
_STEPS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 90)
_EQUATOR_KM = 40_075.017
# Farther apart, one scale bar is wrong for most of the map.
_SPAN_OF_ONE_SCALE = 15

Cells = NDArray[np.int64]


@dataclass(frozen=True)
class Layer:
    """The cells of one colour, as an SVG path in units of cells."""

    status: str
    strength: int
    path: str


@dataclass(frozen=True)
class Line:
    """A meridian or parallel: its label, and where it lies in percent from the left or from the top."""

    label: str
    at: float


@dataclass(frozen=True)
class TileMap:
    """A drawn map.

    Attributes:
        columns, rows: the map's size in cells.
        tiles_across: tiles along the side of a cell.
        crowded: whether some cell stands for more than one tile.
        layers: the cells by the commonest status in them and by how many tiles they hold (strength 1 to 3).
        failures: path of the marks on cells of another colour that hold failed tiles.
        meridians, parallels: the graticule.
        scale: length and width in percent of the scale bar; None where the map spans too many latitudes for one.
        placed: tiles on the map.
    """

    columns: int
    rows: int
    tiles_across: int
    crowded: bool
    layers: tuple[Layer, ...]
    failures: str
    meridians: tuple[Line, ...]
    parallels: tuple[Line, ...]
    scale: Line | None
    placed: int


def draw(lon: NDArray[np.floating], lat: NDArray[np.floating], status: NDArray[np.integer]) -> TileMap | None:
    """Draws the tiles that have coordinates.

    Args:
        lon: centres in degrees east, NaN for tiles without georeference.
        lat: centres in degrees north, likewise.
        status: indices into `STATUSES`.

    Returns:
        The map; None where no tile has coordinates.
    """
    placed = np.isfinite(lon) & np.isfinite(lat)
    if not placed.any():
        return None
    x, y = _tiles(lon[placed], lat[placed])
    x = _unwrap(x)
    level = 0
    while max(np.ptp(x >> level), np.ptp(y >> level)) >= _MOST_CELLS:
        level += 1
    x, y = x >> level, y >> level
    left, columns = _widened(int(x.min()), int(x.max()), least=12)
    top, rows = _widened(int(y.min()), int(y.max()), least=8)
    left, columns = _stretched(left, columns, to=math.ceil(0.8 * rows))
    top, rows = _stretched(top, rows, to=math.ceil(columns / 2.4))
    cells = ((y - top) * columns + x - left) * len(STATUSES) + status[placed]
    counts = np.bincount(cells, minlength=rows * columns * len(STATUSES)).reshape(rows, columns, len(STATUSES))

    side = 1 << level
    west, east = (_longitude(edge * side) for edge in (left, left + columns))
    north, south = (_latitude(edge * side) for edge in (top, top + rows))
    return TileMap(
        columns=columns,
        rows=rows,
        tiles_across=side,
        crowded=bool(counts.sum(axis=2).max() > 1),
        layers=_layers(counts),
        failures=_squares((counts[..., _FAILED] > 0) & (counts.argmax(axis=2) != _FAILED), inset=0.25),
        meridians=_graticule(west, east, 10, _longitude_label, lambda degrees: (degrees - west) / (east - west)),
        parallels=_graticule(
            south,
            north,
            20,
            _latitude_label,
            lambda degrees: (float(_mercator(np.float64(degrees))) / side - top) / rows,
        ),
        scale=_scale(west, east, south, north),
        placed=int(placed.sum()),
    )


_FAILED = STATUSES.index("failed")


def _tiles(lon: NDArray[np.floating], lat: NDArray[np.floating]) -> tuple[Cells, Cells]:
    """Columns and rows of the zoom-14 tiles that points lie in; those beyond the grid's poles are put on its edge."""
    x = np.floor((lon.astype(np.float64) / 360 + 0.5) * _WORLD).astype(np.int64) % _WORLD
    y = np.floor(_mercator(lat.astype(np.float64))).astype(np.int64)
    return x, np.clip(y, 0, _WORLD - 1)


def _mercator(lat: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    """Tile rows, fractions included, of latitudes in degrees."""
    rows: NDArray[np.float64] = (
        0.5 - np.arcsinh(np.tan(np.radians(np.clip(lat, -85.06, 85.06)))) / (2 * np.pi)
    ) * _WORLD
    return rows


def _longitude(x: float) -> float:
    return x / _WORLD * 360 - 180


def _latitude(y: float) -> float:
    return math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * y / _WORLD))))


def _unwrap(x: Cells) -> Cells:
    """Columns that go on beyond the antimeridian where this makes the map less than half a world wide."""
    columns = np.unique(x)
    gaps = np.diff(columns, append=columns[0] + _WORLD)
    after = int(gaps.argmax())
    if after == len(columns) - 1 or _WORLD - gaps[after] >= _WORLD // 2:
        return x
    start = columns[after + 1]
    unwrapped: Cells = (x - start) % _WORLD + start
    return unwrapped


def _widened(first: int, last: int, least: int) -> tuple[int, int]:
    """First cell and number of cells with a margin on either side, at least ``least`` in all."""
    margin = max(1, (last - first + 1) // 10)
    return _stretched(first - margin, last - first + 1 + 2 * margin, to=least)


def _stretched(first: int, size: int, to: int) -> tuple[int, int]:
    missing = max(0, to - size)
    return first - missing // 2, size + missing


def _layers(counts: Cells) -> tuple[Layer, ...]:
    """One layer per status and strength; where every cell holds one tile, all are of full strength."""
    total = counts.sum(axis=2)
    most = total.max()
    strength = 1 + (total * 16 >= most) + (total * 4 >= most)
    commonest = counts.argmax(axis=2)
    layers = (
        Layer(name, level, _squares((commonest == code) & (strength == level) & (total > 0)))
        for code, name in enumerate(STATUSES)
        for level in (1, 2, 3)
    )
    return tuple(layer for layer in layers if layer.path)


def _squares(mask: NDArray[np.bool_], inset: float = 0) -> str:
    side = f"{1 - 2 * inset:g}"
    rows, columns = np.nonzero(mask)
    return "".join(
        f"M{column + inset:g} {row + inset:g}h{side}v{side}h-{side}z"
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
    )


def _graticule(
    low: float, high: float, first: int, label: Callable[[float, int], str], place: Callable[[float], float]
) -> tuple[Line, ...]:
    """At most four lines at round degrees, none so near an edge (before ``first`` percent) that labels would meet."""
    step = next(step for step in _STEPS if (high - low) / step <= 4 or step == _STEPS[-1])
    decimals = 3 if step < 0.01 else 2 if step < 0.1 else 1 if step < 1 else 0
    degrees = (number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1))
    lines = (Line(label(value, decimals), round(100 * place(value), 2)) for value in degrees)
    return tuple(line for line in lines if first <= line.at <= 88)


def position(lon: float, lat: float) -> str | None:
    """A point for people, to about 100 m; None where it is not one."""
    if not (math.isfinite(lon) and math.isfinite(lat)):
        return None
    return f"{_latitude_label(lat, 3)}, {_longitude_label(lon, 3)}"


def _longitude_label(degrees: float, decimals: int) -> str:
    wrapped = (degrees + 180) % 360 - 180
    return _label(wrapped, decimals, "" if abs(wrapped) == 180 else "EW")


def _latitude_label(degrees: float, decimals: int) -> str:
    return _label(degrees, decimals, "NS")


def _label(degrees: float, decimals: int, sides: str) -> str:
    text = f"{abs(degrees):.{decimals}f}"
    if not sides or float(text) == 0:
        return f"{text}°"
    return f"{text}° {sides[degrees < 0]}"


def _scale(west: float, east: float, south: float, north: float) -> Line | None:
    """The longest round length within a quarter of the map's width, at its middle latitude."""
    if north - south > _SPAN_OF_ONE_SCALE:
        return None
    width = (east - west) / 360 * _EQUATOR_KM * math.cos(math.radians((south + north) / 2))
    power = 10 ** math.floor(math.log10(width / 4))
    length = next(times * power for times in (5, 2, 1) if times * power <= width / 4)
    return Line(f"{length:,g} km", round(100 * length / width, 2))
