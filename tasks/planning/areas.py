"""The area of a campaign, as tiles: a tile belongs to it when its centre lies in it (west and north edges in)."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from tasks.errors import InputError
from tasks.grid import (
    LATITUDE_LIMIT,
    TILES,
    Floats,
    Ints,
    blocks_within,
    latitude_of_edge,
    longitude_of_edge,
    parse_tile_id,
    tile_numbers,
    tile_under,
    tiles_of_blocks,
)


class Area(Protocol):
    """Something that holds tiles."""

    def tiles(self) -> Iterator[tuple[Ints, Ints]]:
        """Columns and rows of its tiles, in batches; no tile twice."""


@dataclass(frozen=True)
class Box:
    """A box in degrees; ``west > east`` crosses the antimeridian."""

    west: float
    south: float
    east: float
    north: float

    def tiles(self) -> Iterator[tuple[Ints, Ints]]:
        """Columns and rows of its tiles, in batches."""
        # Both sides of the antimeridian at once: a box that nearly closes the circle has a block in both.
        halves = [(self.west, 180.0), (-180.0, self.east)] if self.west > self.east else [(self.west, self.east)]
        bounds = [(west, self.south, east, self.north) for west, east in halves]
        yield from tiles_of_blocks(blocks_within(bounds), self.holds)

    def holds(self, lon: Floats, lat: Floats) -> NDArray[np.bool_]:
        """Which points lie in it."""
        after_west, before_east = lon >= self.west, lon < self.east
        between = after_west | before_east if self.west > self.east else after_west & before_east
        return between & (lat > self.south) & (lat <= self.north)


@dataclass(frozen=True)
class Shape:
    """Polygons in degrees."""

    geometry: BaseGeometry

    def tiles(self) -> Iterator[tuple[Ints, Ints]]:
        """Columns and rows of its tiles, in batches."""
        shapely.prepare(self.geometry)
        yield from tiles_of_blocks(_blocks_touching(self.geometry), self.holds)

    def holds(self, lon: Floats, lat: Floats) -> NDArray[np.bool_]:
        """Which points lie in it."""
        # A point on a western or northern edge is in: looking just south-east of each point says so.
        inside: NDArray[np.bool_] = shapely.contains_xy(
            self.geometry, np.nextafter(lon, np.inf), np.nextafter(lat, -np.inf)
        )
        return inside


@dataclass(frozen=True)
class TileList:
    """Tiles named one by one."""

    x: Ints
    y: Ints

    def tiles(self) -> Iterator[tuple[Ints, Ints]]:
        """Columns and rows of its tiles, each once."""
        _, first = np.unique(tile_numbers(self.x, self.y), return_index=True)
        first.sort()
        yield self.x[first], self.y[first]


def _blocks_touching(geometry: BaseGeometry) -> NDArray[np.int64]:
    """The zoom-10 blocks that a geometry touches, found from zoom 4 downwards."""
    side = np.arange(16)
    cells = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    for zoom in range(4, 11):
        tiles = TILES >> zoom
        west, east = longitude_of_edge(cells[:, 0] * tiles), longitude_of_edge((cells[:, 0] + 1) * tiles)
        north, south = latitude_of_edge(cells[:, 1] * tiles), latitude_of_edge((cells[:, 1] + 1) * tiles)
        cells = cells[shapely.intersects(geometry, shapely.box(west, south, east, north))]
        if zoom < 10:
            children = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
            cells = (cells[:, None, :] * 2 + children).reshape(-1, 2)
    return cells[np.lexsort((cells[:, 0], cells[:, 1]))].astype(np.int64)


def box(bounds: Sequence[float]) -> Box:
    """An area from ``[west, south, east, north]``.

    Raises:
        InputError: it is empty, out of range or wholly beyond the Mercator limit.
    """
    west, south, east, north = bounds
    if not (-180 <= west <= 180 and -180 <= east <= 180):
        raise InputError(
            f"area {list(bounds)}: expected longitudes from -180 to 180 (west > east crosses the antimeridian)"
        )
    if not (-90 <= south <= 90 and -90 <= north <= 90):
        raise InputError(f"area {list(bounds)}: expected latitudes from -90 to 90")
    if west == east or (west, east) == (180, -180) or south >= north:
        raise InputError(f"area {list(bounds)} is empty: expected west, south, east, north with south < north")
    if south >= LATITUDE_LIMIT or north <= -LATITUDE_LIMIT:
        raise InputError(f"area {list(bounds)} lies wholly beyond 85.0511 degrees, where the Mercator grid ends")
    return Box(west, south, east, north)


def area_from_file(path: Path) -> Area:
    """An area from a file: GeoJSON, GeoParquet, or tile IDs one a line, told by the file's suffix.

    Raises:
        InputError: the file cannot be read as what its suffix says, or holds no area.
    """
    suffix = path.suffix.lower()
    if suffix in {".geojson", ".json"}:
        return _shape(path, _read_geojson(path))
    if suffix in {".parquet", ".geoparquet"}:
        return _shape(path, _read_geoparquet(path))
    return _tile_list(path)


def _shape(path: Path, geometries: list[BaseGeometry]) -> Shape:
    polygons = [part for part in geometries if part.geom_type in {"Polygon", "MultiPolygon"} and part.area > 0]
    if not polygons:
        raise InputError(f"{path}: holds no polygon, or empty ones only; expected Polygon or MultiPolygon geometries")
    geometry = shapely.union_all(shapely.make_valid(np.array(polygons, dtype=object)))
    west, south, east, north = geometry.bounds
    if west < -180 or east > 180 or south < -90 or north > 90:
        raise InputError(
            f"{path}: coordinates {west:g} to {east:g}, {south:g} to {north:g} are no degrees of EPSG:4326; "
            "expected longitudes -180 to 180 (cut in two at the antimeridian) and latitudes -90 to 90"
        )
    if south >= LATITUDE_LIMIT or north <= -LATITUDE_LIMIT:
        raise InputError(f"{path} lies wholly beyond 85.0511 degrees, where the Mercator grid ends")
    return Shape(geometry)


def _read_geojson(path: Path) -> list[BaseGeometry]:
    """The geometries of a GeoJSON file (RFC 7946)."""
    try:
        content = json.loads(path.read_text("utf-8-sig"))
        crs = json.dumps(content["crs"]) if isinstance(content, dict) and content.get("crs") else ""
        if crs and not any(name in crs for name in ("CRS84", "EPSG::4326", "EPSG:4326")):
            raise InputError(f"{path}: RFC 7946 knows longitude and latitude of WGS 84 only, found crs {crs}")
        return [part for mapping in _geometries(content) for part in _parts(shapely.from_geojson(json.dumps(mapping)))]
    except (OSError, UnicodeDecodeError, ValueError, TypeError, shapely.errors.ShapelyError) as error:
        raise InputError(f"{path}: not readable as GeoJSON: {error}") from error


def _geometries(content: object) -> Iterator[Mapping[str, Any]]:
    """The geometry objects inside a GeoJSON object."""
    if not isinstance(content, dict):
        raise ValueError("expected an object with a type")  # noqa: TRY004 - a JSON file of the wrong shape
    if content.get("type") == "FeatureCollection":
        for feature in content.get("features") or []:
            yield from _geometries(feature)
    elif content.get("type") == "Feature":
        if content.get("geometry") is not None:
            yield content["geometry"]
    else:
        yield content


def _parts(geometry: BaseGeometry) -> list[BaseGeometry]:
    """A geometry's parts, with collections taken apart."""
    if geometry.geom_type == "GeometryCollection":
        return [inner for part in shapely.get_parts(geometry) for inner in _parts(part)]
    return [geometry]


def _read_geoparquet(path: Path) -> list[BaseGeometry]:
    import geopandas  # noqa: PLC0415 - a second of imports that other areas do not need

    try:
        frame = geopandas.read_parquet(path, use_threads=False, pre_buffer=False)
        if frame.crs is not None:
            frame = frame.to_crs("EPSG:4326")
    except Exception as error:
        raise InputError(f"{path}: not readable as GeoParquet: {error}") from error
    return [part for geometry in frame.geometry if geometry is not None for part in _parts(geometry)]


def _tile_list(path: Path) -> TileList:
    tiles: list[tuple[int, int]] = []
    for number, line in lines(path):
        tile = parse_tile_id(line)
        if tile is None:
            raise InputError(
                f"{path}, line {number}: {line[:80]!r} is no tile ID; expected zoom-14 tiles such as 8491_8186, "
                "one a line (GeoJSON files end with .geojson, GeoParquet files with .parquet)"
            )
        tiles.append(tile)
    if not tiles:
        raise InputError(f"{path}: holds no tile ID")
    x, y = np.array(tiles, dtype=np.int32).T
    return TileList(x, y)


def included_tiles(path: Path) -> TileList:
    """The tiles of an ``include`` file: points (lon, lat) or tile IDs, one a line.

    A first line of names (``lon,lat`` or ``longitude,latitude`` among others, or ``tile_id``) tells the columns;
    without one, two numbers are longitude and latitude.

    Raises:
        InputError: names the first line that is neither.
    """
    rows = [(number, next(csv.reader([line]))) for number, line in lines(path)]
    names = [name.strip().lower() for name in rows[0][1]] if rows else []
    lon = next((names.index(name) for name in ("lon", "longitude") if name in names), None)
    lat = next((names.index(name) for name in ("lat", "latitude") if name in names), None)
    id_column = names.index("tile_id") if "tile_id" in names else None
    if id_column is not None or (lon is not None and lat is not None):
        rows = rows[1:]
    tiles = [_included(path, number, row, lon or 0, 1 if lat is None else lat, id_column) for number, row in rows]
    if not tiles:
        raise InputError(f"{path}: holds no point and no tile ID")
    x, y = np.array(tiles, dtype=np.int32).T
    return TileList(x, y)


def _included(
    path: Path, number: int, row: Sequence[str], lon: int, lat: int, id_column: int | None
) -> tuple[int, int]:
    if id_column is not None or len(row) == 1:
        tile = parse_tile_id(row[id_column or 0].strip()) if len(row) > (id_column or 0) else None
        if tile is not None:
            return tile
    elif len(row) > max(lon, lat):
        try:
            point = float(row[lon]), float(row[lat])
        except ValueError:
            point = (np.nan, np.nan)
        if -180 <= point[0] <= 180 and -LATITUDE_LIMIT <= point[1] <= LATITUDE_LIMIT:
            x, y = tile_under(np.array([point[0]]), np.array([point[1]]))
            return int(x[0]), int(y[0])
    found = ",".join(row)[:80]
    raise InputError(f"{path}, line {number}: {found!r} is neither a point (longitude, latitude) nor a tile ID")


def lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a text file that say something, with their numbers."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not readable as text: {error}") from error
    return [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
