"""Which rasters a land-cover source holds, and which of them lie under a tile.

A WorldCover source laid out like the public bucket is known by its file names alone, and says which files are lacking.
Any other folder is known by its rasters' headers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import shapely
from numpy.typing import NDArray

from tasks.errors import InputError
from tasks.grid import (
    TILE_SIZE,
    Floats,
    Ints,
    blocks_within,
    latitude_of_edge,
    longitude_of_edge,
    pixel_latitudes,
    pixel_longitudes,
    tiles_of_blocks,
)
from tasks.landcover.classes import ClassTable, Layout
from tasks.landcover.headers import Header, read_header, unplaced_allowed
from tasks.storage import Place, asking, filesystem

_WORLDCOVER = re.compile(
    r"ESA_WorldCover_10m_(?P<year>\d{4})_(?P<version>v\d{3})_(?P<corner>[NS]\d{2}[EW]\d{3})_Map\.tif"
)
_RASTERS = (".tif", ".tiff", ".vrt", ".jp2", ".img")
_DEGREES = 3
"""Degrees along one side of a WorldCover file."""

_CELLS_AROUND = 360 // _DEGREES
"""WorldCover files around the world."""

_POINTS_AT_ONCE = 1 << 16
_OPEN_AT_ONCE = 8


@dataclass(frozen=True)
class Raster:
    """One raster of a source.

    Attributes:
        name: its path below the source, by which people and tables know it.
        place: where it lies.
        identity: its ETag, or size and time: another identity is another content.
        bounds: what its name promises (west, south, east, north in degrees); None where the name promises nothing.
    """

    name: str
    place: Place
    identity: str
    bounds: tuple[float, float, float, float] | None = None


class Catalogue(Protocol):
    """The rasters of a source and where they lie."""

    @property
    def rasters(self) -> Mapping[str, Raster]:
        """The rasters that are there, by name, in order of their names."""

    @property
    def unreadable(self) -> Mapping[str, str]:
        """Rasters whose header cannot be read, with the reason."""

    def under(self, lon: Floats, lat: Floats) -> tuple[NDArray[np.int32], list[str]]:
        """The raster under each point: an index into the names that are returned beside it, -1 for none.

        A name may be that of a raster that should be there and is not.
        """

    def needed(self, x: Ints, y: Ints) -> list[str]:
        """The rasters that any of the tiles needs, by name; those too that should be there and are not."""

    def needing(self, name: str, x: Ints, y: Ints) -> NDArray[np.bool_]:
        """Which of the tiles need a raster."""

    def tiles(self) -> Iterator[tuple[Ints, Ints]]:
        """All tiles whose centre lies on a raster, in batches."""


@dataclass(frozen=True)
class LaidOut:
    """A source laid out like the public WorldCover bucket."""

    layout: Layout
    rasters: Mapping[str, Raster]
    unreadable: Mapping[str, str] = field(default_factory=dict)

    def name(self, west: int, south: int) -> str:
        """The name of the file with a south-west corner, in degrees."""
        return f"{self.layout.directory}/{_file_name(self.layout, west, south)}"

    def under(self, lon: Floats, lat: Floats) -> tuple[NDArray[np.int32], list[str]]:
        """The file under each point, whether it is there or not."""
        cells, index = np.unique(self._cells(lon, lat), return_inverse=True)
        return index.ravel().astype(np.int32), self._names(cells)

    def needed(self, x: Ints, y: Ints) -> list[str]:
        """The files that any of the tiles needs, there or not."""
        cells = np.unique(np.concatenate(self._corners(x, y)))
        return sorted(self._names(cells))

    def needing(self, name: str, x: Ints, y: Ints) -> NDArray[np.bool_]:
        """Which of the tiles need a file."""
        match = _WORLDCOVER.fullmatch(name.rsplit("/", 1)[-1])
        if match is None:
            return np.zeros(len(x), dtype=np.bool_)
        west, south = _corner(match["corner"])
        wanted = self._cells(np.array([west + _DEGREES / 2]), np.array([south + _DEGREES / 2]))[0]
        need: NDArray[np.bool_] = np.logical_or.reduce([corner == wanted for corner in self._corners(x, y)])
        return need

    def _corners(self, x: Ints, y: Ints) -> list[NDArray[np.int64]]:
        """The cell under each of the four corner pixels of tiles."""
        left, right = (pixel_longitudes(x.astype(np.int64) * TILE_SIZE + pixel) for pixel in (0, TILE_SIZE - 1))
        upper, lower = (pixel_latitudes(y.astype(np.int64) * TILE_SIZE + pixel) for pixel in (0, TILE_SIZE - 1))
        return [self._cells(lon, lat) for lon in (left, right) for lat in (upper, lower)]

    @staticmethod
    def _cells(lon: Floats, lat: Floats) -> NDArray[np.int64]:
        """The 3 x 3 degrees cell under each point, as one number."""
        column = np.floor(lon / _DEGREES).astype(np.int64)
        # A file's northern edge belongs to it, as its pixels' do.
        row = (np.ceil(lat / _DEGREES) - 1).astype(np.int64)
        return row * _CELLS_AROUND + column + _CELLS_AROUND // 2

    def _names(self, cells: Iterable[np.int64]) -> list[str]:
        """The names of the files of cells."""
        places = [divmod(int(cell), _CELLS_AROUND) for cell in cells]
        return [self.name((column - _CELLS_AROUND // 2) * _DEGREES, row * _DEGREES) for row, column in places]

    def tiles(self) -> Iterator[tuple[Ints, Ints]]:
        """All tiles whose centre lies on a file that is there."""
        bounds = [raster.bounds for raster in self.rasters.values() if raster.bounds]
        yield from tiles_of_blocks(blocks_within(bounds), self._covers)

    def _covers(self, lon: Floats, lat: Floats) -> NDArray[np.bool_]:
        index, names = self.under(lon, lat)
        there: NDArray[np.bool_] = np.array([name in self.rasters for name in names], dtype=np.bool_)[index]
        return there


@dataclass(frozen=True)
class Scanned:
    """A source known by its rasters' headers."""

    rasters: Mapping[str, Raster]
    headers: Mapping[str, Header]
    unreadable: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def _header_names(self) -> list[str]:
        return list(self.headers)

    @cached_property
    def _boxes(self) -> tuple[shapely.STRtree, NDArray[np.intp]]:
        """A tree of the rasters' boxes in degrees, and the raster of each box (two at the antimeridian)."""
        boxes, owner = [], []
        for index, header in enumerate(self.headers.values()):
            for bounds in header.degrees:
                boxes.append(shapely.box(*bounds))
                owner.append(index)
        return shapely.STRtree(boxes), np.array(owner, dtype=np.intp)

    def under(self, lon: Floats, lat: Floats) -> tuple[NDArray[np.int32], list[str]]:
        """The first raster, by name, under each point."""
        found = np.full(len(lon), -1, dtype=np.int32)
        tree, owner = self._boxes
        headers = list(self.headers.values())
        for start in range(0, len(lon), _POINTS_AT_ONCE):
            some = slice(start, start + _POINTS_AT_ONCE)
            point, box = tree.query(shapely.points(lon[some], lat[some]))
            order = np.argsort(owner[box], kind="stable")
            near, first = np.unique(owner[box][order], return_index=True)
            points = np.split(point[order] + start, first[1:])
            # From the last raster to the first, so that the first stays.
            for raster, at in zip(near[::-1], points[::-1] if len(near) else [], strict=True):
                found[at[headers[raster].holds(lon[at], lat[at])]] = raster
        return found, self._header_names

    def needed(self, x: Ints, y: Ints) -> list[str]:
        """The rasters that any of the tiles needs."""
        tree, owner = self._boxes
        headers = list(self.headers.values())
        needed = np.zeros(len(headers), dtype=np.bool_)
        for start in range(0, len(x), _POINTS_AT_ONCE):
            edges = _edges(x[start : start + _POINTS_AT_ONCE], y[start : start + _POINTS_AT_ONCE])
            tile, box = tree.query(shapely.box(*edges))
            raster = owner[box]
            open_question = ~needed[raster]
            tile, raster = tile[open_question], raster[open_question]
            order = np.argsort(raster, kind="stable")
            found, first = np.unique(raster[order], return_index=True)
            for index, tiles in zip(found, np.split(tile[order], first[1:]), strict=False):
                needed[index] = headers[index].touches(*(edge[tiles] for edge in edges)).any()
        return [self._header_names[index] for index in np.flatnonzero(needed)]

    def needing(self, name: str, x: Ints, y: Ints) -> NDArray[np.bool_]:
        """Which of the tiles need a raster."""
        header = self.headers[name]
        edges = west, south, east, north = _edges(x, y)
        need = np.zeros(len(x), dtype=np.bool_)
        for left, bottom, right, top in header.degrees:
            need |= (west <= right) & (east >= left) & (south <= top) & (north >= bottom)
        near = np.flatnonzero(need)
        need[near] = header.touches(*(edge[near] for edge in edges))
        return need

    def tiles(self) -> Iterator[tuple[Ints, Ints]]:
        """All tiles whose centre lies on a raster."""
        bounds = [box for header in self.headers.values() for box in header.degrees]
        yield from tiles_of_blocks(blocks_within(bounds), lambda lon, lat: self.under(lon, lat)[0] >= 0)


def _edges(x: Ints, y: Ints) -> tuple[Floats, Floats, Floats, Floats]:
    """West, south, east and north of tiles, in degrees."""
    return longitude_of_edge(x), latitude_of_edge(y + 1), longitude_of_edge(x + 1), latitude_of_edge(y)


def catalogue(source: Place, table: ClassTable) -> Catalogue:
    """Lists a source and tells how its rasters lie.

    Args:
        source: a bucket or folder laid out like the public WorldCover bucket, any other folder of rasters, or a raster.
        table: the product.

    Raises:
        InputError: the listing fails, holds no raster, or holds rasters of another WorldCover version.
    """
    if table.layout is not None:
        directory = source.join(table.layout.directory)
        listed = list_rasters(directory, _RASTERS, below=source)
        if listed:
            return _laid_out(table, listed)
    listed = list_rasters(source, _RASTERS, below=source)
    if not listed:
        layout = f"{table.layout.directory}/*.tif, as in the public bucket, and for " if table.layout else ""
        endings = ", ".join(_RASTERS)
        raise InputError(f"landcover.source {source}: no raster found; looked for {layout}files ending with {endings}")
    _refuse_mixed_versions(source, table, listed)
    return _scanned(source, table, listed)


def list_rasters(folder: Place, suffixes: Sequence[str], *, below: Place) -> list[Raster]:
    """All rasters in a folder and the folders under it, by name; or the one raster where ``folder`` is a file.

    Args:
        folder: where to look.
        suffixes: endings of the files that count, in lower case.
        below: what the names are relative to.

    Raises:
        InputError: the listing fails; a missing folder is an empty listing.
    """
    files, path = filesystem(folder)
    try:
        with asking(folder):
            found = files.find(path, detail=True)
    except FileNotFoundError:
        return []
    except OSError as error:
        # A refusal, a time-out, no such host: never to be taken for open sea.
        raise InputError(f"landcover.source: the listing failed: {error}") from error
    root = path.rpartition("/")[0] if path in found else filesystem(below)[1].rstrip("/")
    rasters = []
    for path_found, info in sorted(found.items()):
        name = path_found[len(root) :].lstrip("/")
        hidden = any(part.startswith(".") for part in name.split("/"))
        if name.lower().endswith(tuple(suffixes)) and info["type"] == "file" and not hidden:
            where = Place(f"s3://{path_found}" if folder.url.startswith("s3://") else path_found, folder.access)
            rasters.append(Raster(name, where, _identity(info)))
    return rasters


def _identity(info: Mapping[str, Any]) -> str:
    if "ETag" in info:
        return str(info["ETag"]).strip('"')
    return f"{info.get('size')}-{info.get('mtime')}"


def _laid_out(table: ClassTable, listed: Sequence[Raster]) -> LaidOut:
    assert table.layout is not None  # noqa: S101 - the caller looked; this tells the type checker
    rasters = {}
    for raster in listed:
        match = _WORLDCOVER.fullmatch(raster.name.rsplit("/", 1)[-1])
        if match is None:
            continue
        if match["version"] != table.layout.version:
            raise InputError(_mixed(table, raster.name, match["version"]))
        west, south = _corner(match["corner"])
        bounds = (float(west), float(south), float(west + _DEGREES), float(south + _DEGREES))
        rasters[raster.name] = replace(raster, bounds=bounds)
    return LaidOut(table.layout, rasters)


def _file_name(layout: Layout, west: int, south: int) -> str:
    vertical, horizontal = "N" if south >= 0 else "S", "E" if west >= 0 else "W"
    corner = f"{vertical}{abs(south):02d}{horizontal}{abs(west):03d}"
    return f"ESA_WorldCover_10m_{layout.year}_{layout.version}_{corner}_Map.tif"


def _corner(text: str) -> tuple[int, int]:
    """West and south of a corner such as N00E006, in degrees."""
    south, west = int(text[1:3]), int(text[4:])
    return (west if text[3] == "E" else -west, south if text[0] == "N" else -south)


def _refuse_mixed_versions(source: Place, table: ClassTable, listed: Sequence[Raster]) -> None:
    versions: dict[str, str] = {}
    for raster in listed:
        match = _WORLDCOVER.fullmatch(raster.name.rsplit("/", 1)[-1])
        if match:
            versions.setdefault(match["version"], raster.name)
    if table.layout is not None:
        for version, name in versions.items():
            if version != table.layout.version:
                raise InputError(_mixed(table, name, version))
    elif len(versions) > 1:
        names = " and ".join(versions.values())
        raise InputError(
            f"landcover.source {source} holds {names}: WorldCover's versions use different algorithms and are never "
            "mixed; point `source` at the folder of one"
        )


def _mixed(table: ClassTable, name: str, version: str) -> str:
    assert table.layout is not None  # noqa: S101 - only WorldCover products come here
    return (
        f"landcover.source holds {name}, which is WorldCover {version}, but product {table.name} is "
        f"{table.layout.version}: the versions use different algorithms and are never mixed; "
        "change `product` or point `source` at the other version's folder"
    )


def _scanned(source: Place, table: ClassTable, listed: Sequence[Raster]) -> Scanned:
    """Opens every raster's header; what cannot be opened is named and left out."""
    with unplaced_allowed(), ThreadPoolExecutor(_OPEN_AT_ONCE) as pool:
        results = list(pool.map(lambda raster: read_header(raster.place), listed))
    rasters, headers, unreadable = {}, {}, {}
    for raster, result in zip(listed, results, strict=True):
        if isinstance(result, str):
            unreadable[raster.name] = result
            continue
        version = result.worldcover_version
        if table.layout is not None and version is not None and version != table.layout.version:
            raise InputError(_mixed(table, raster.name, version))
        rasters[raster.name] = raster
        headers[raster.name] = result
    if len({header.worldcover_version for header in headers.values()} - {None}) > 1:
        raise InputError(f"landcover.source {source} holds rasters of two WorldCover versions, which are never mixed")
    return Scanned(rasters, headers, unreadable)
