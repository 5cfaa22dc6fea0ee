"""Pixels of a raster, read as few source blocks as its tiles touch.

EPSG:4326 to EPSG:3857 is separable: columns depend on longitude alone, rows on latitude alone. So the nearest-neighbour
warp of a raster in EPSG:4326 is two index vectors. A raster in any other CRS goes through GDAL's warp
(`tasks.landcover.warping`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import MaskFlags
from rasterio.windows import Window

from tasks.errors import SourceError, StoreError
from tasks.grid import Floats, pixel_latitudes, pixel_longitudes
from tasks.landcover.catalogue import Raster
from tasks.landcover.classes import NO_DATA
from tasks.landcover.headers import gdal_reason, unplaced_allowed, worldcover_version
from tasks.landcover.opening import open_raster

_SAME_PIXEL = 1e-10
"""What GDAL's nearest-neighbour warp adds before it rounds down (alg/gdalwarpkernel.cpp), in pixels."""


@dataclass(frozen=True)
class OpenRaster:
    """A raster open for reading in one thread.

    Attributes:
        raster: which one.
        dataset: rasterio's handle.
        ids: class id by code, with the raster's own no-data value and the code of masked pixels.
        masked: the code that pixels under the raster's mask are given; None without such a mask.
    """

    raster: Raster
    dataset: Any
    ids: Mapping[int, int]
    masked: int | None

    @property
    def is_separable(self) -> bool:
        """Whether columns are longitudes and rows latitudes."""
        transform = self.dataset.transform
        upright = transform.b == 0 and transform.d == 0 and transform.a > 0 and transform.e < 0
        return bool(upright and self.dataset.crs.to_epsg() == 4326)

    def columns(self, lon: Floats) -> NDArray[np.intp]:
        """The column under each longitude; outside 0 to width - 1 where the raster does not reach."""
        transform = self.dataset.transform
        index: NDArray[np.intp] = np.floor((lon - transform.c) / transform.a + _SAME_PIXEL).astype(np.intp)
        return index

    def rows(self, lat: Floats) -> NDArray[np.intp]:
        """The row under each latitude, likewise."""
        transform = self.dataset.transform
        index: NDArray[np.intp] = np.floor((lat - transform.f) / transform.e + _SAME_PIXEL).astype(np.intp)
        return index

    def read(self, window: Window, out: NDArray[Any]) -> None:
        """Reads a window's codes into ``out``, masked pixels as `masked`.

        Raises:
            SourceError: the pixels cannot be read.
        """
        try:
            self.dataset.read(1, window=window, out=out)
            if self.masked is not None:
                out[self.dataset.read_masks(1, window=window) == 0] = self.masked
        except (rasterio.errors.RasterioError, OSError) as error:
            rows = f"rows {window.row_off} to {window.row_off + window.height - 1}"
            columns = f"columns {window.col_off} to {window.col_off + window.width - 1}"
            reason = f"cannot be read in {rows}, {columns} (damaged or cut short?): {gdal_reason(error)}"
            raise SourceError({self.raster.name: reason}) from error


@contextmanager
def opened(raster: Raster, ids: Mapping[int, int]) -> Iterator[OpenRaster]:
    """Opens a raster for this thread and checks that it is what its name promises.

    Args:
        raster: which one.
        ids: class id by code, of the product.

    Raises:
        SourceError: it cannot be opened, is no map of whole numbers, or has a size or place that does not fit its name.
    """
    with opened_chip(raster) as dataset:
        reason = _misfit(raster, dataset)
        if reason:
            raise SourceError({raster.name: reason})
        yield _prepare(raster, dataset, ids)


@contextmanager
def opened_chip(raster: Raster) -> Iterator[Any]:
    """Opens a raster for this thread as it is; yields rasterio's handle.

    Raises:
        SourceError: it cannot be opened, or its bucket fails while it is open.
    """
    with ExitStack() as stack:
        stack.enter_context(unplaced_allowed())
        stack.enter_context(_store_failures(raster))
        try:
            dataset = stack.enter_context(open_raster(raster.place))
        except StoreError:
            raise
        except (rasterio.errors.RasterioError, OSError) as error:
            reason = f"cannot be opened as a raster (damaged or cut short?): {gdal_reason(error)}"
            raise SourceError({raster.name: reason}) from error
        yield dataset


@contextmanager
def _store_failures(raster: Raster) -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        raise SourceError({raster.name: f"cannot be read: {error}"}) from error


def _misfit(raster: Raster, dataset: Any) -> str:  # noqa: ANN401 - rasterio ships no types
    if dataset.crs is None:
        return "has no coordinate reference system; expected a georeferenced raster (or `grid: chips`)"
    if not np.issubdtype(np.dtype(dataset.dtypes[0]), np.integer):
        return f"holds {dataset.dtypes[0]} pixels; expected whole numbers, the product's class codes"
    if raster.bounds is not None:
        version = worldcover_version(dataset.tags())
        if version is not None and f"_{version}_" not in raster.name:
            return f"is WorldCover {version} by its tags, which its name denies; the versions are never mixed"
        west, south, east, north = raster.bounds
        found = dataset.bounds
        half = abs(dataset.transform.a) / 2
        if (
            max(abs(found.left - west), abs(found.bottom - south), abs(found.right - east), abs(found.top - north))
            > half
        ):
            return (
                f"{dataset.width} x {dataset.height} px from {found.left:g}, {found.bottom:g} to {found.right:g}, "
                f"{found.top:g} do not fit its name, which promises {west:g}, {south:g} to {east:g}, {north:g}"
            )
    return ""


def _prepare(raster: Raster, dataset: Any, ids: Mapping[int, int]) -> OpenRaster:  # noqa: ANN401 - as above
    own = dict(ids)
    if dataset.nodata is not None and float(dataset.nodata).is_integer():
        own[int(dataset.nodata)] = NO_DATA
    masked = None
    flags = dataset.mask_flag_enums[0]
    if MaskFlags.per_dataset in flags:
        limits = np.iinfo(dataset.dtypes[0])
        masked = next(code for code in range(limits.max, limits.min - 1, -1) if code not in own)
        own[masked] = NO_DATA
    return OpenRaster(raster, dataset, own, masked)


@dataclass(frozen=True)
class Reach:
    """What of a block of the grid a separable raster reaches: a rectangle of pixels.

    Attributes:
        rows: the raster's row for each pixel row of the block that it reaches, ascending.
        columns: the raster's column for each such pixel column, ascending.
        first_row: the first pixel row of the block that it reaches.
        first_column: the first such pixel column.
    """

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    first_row: int
    first_column: int

    def overlaps(self, other: Reach) -> bool:
        """Whether both reach a pixel of the block."""
        return (
            self.first_row < other.first_row + len(other.rows)
            and other.first_row < self.first_row + len(self.rows)
            and self.first_column < other.first_column + len(other.columns)
            and other.first_column < self.first_column + len(self.columns)
        )


def reach(source: OpenRaster, pixel_rows: NDArray[np.int64], pixel_columns: NDArray[np.int64]) -> Reach | None:
    """What of a block a separable raster reaches; None for nothing.

    Args:
        source: the raster.
        pixel_rows: global zoom-14 pixel rows of the block, consecutive.
        pixel_columns: likewise its columns.
    """
    rows, first_row = _reached(source.rows(pixel_latitudes(pixel_rows)), source.dataset.height)
    columns, first_column = _reached(source.columns(pixel_longitudes(pixel_columns)), source.dataset.width)
    return Reach(rows, columns, first_row, first_column) if len(rows) and len(columns) else None


def gather(source: OpenRaster, part: Reach, tiles: NDArray[np.intp], tile_size: int) -> NDArray[Any]:
    """Reads the pixels that tiles need, each source block that they touch once.

    Args:
        source: a separable raster.
        part: what of the block it reaches.
        tiles: row and column of each wanted tile within the block, shape (n, 2), in tiles.
        tile_size: pixels along one side of a tile.

    Returns:
        The raster's codes from ``part.rows[0]`` and ``part.columns[0]`` on; what no tile needs is 0, and not read.

    Raises:
        SourceError: the pixels cannot be read.
    """
    top, left = int(part.rows[0]), int(part.columns[0])
    codes = np.zeros((int(part.rows[-1]) + 1 - top, int(part.columns[-1]) + 1 - left), source.dataset.dtypes[0])
    for window in wanted_windows(source, part, tiles, tile_size):
        row, column = window.row_off - top, window.col_off - left
        source.read(window, codes[row : row + window.height, column : column + window.width])
    return codes


def wanted_windows(source: OpenRaster, part: Reach, tiles: NDArray[np.intp], tile_size: int) -> Iterator[Window]:
    """The windows that `gather` reads, with its arguments."""
    down = [_span(part.rows, part.first_row, int(row) * tile_size, tile_size) for row in tiles[:, 0]]
    across = [_span(part.columns, part.first_column, int(column) * tile_size, tile_size) for column in tiles[:, 1]]
    wanted = [(rows, columns) for rows, columns in zip(down, across, strict=True) if rows and columns]
    yield from windows(wanted, source.dataset.block_shapes[0], part)


def _reached(index: NDArray[np.intp], size: int) -> tuple[NDArray[np.intp], int]:
    """The part of an ascending index vector that lies within a raster, and where it begins."""
    start, stop = np.searchsorted(index, [0, size])
    return index[start:stop], int(start)


def _span(index: NDArray[np.intp], first: int, start: int, size: int) -> tuple[int, int] | None:
    """First and last source row (or column) under a tile, or None where the raster does not reach it."""
    part = index[max(start - first, 0) : max(start + size - first, 0)]
    return (int(part[0]), int(part[-1])) if len(part) else None


def windows(
    wanted: list[tuple[tuple[int, int], tuple[int, int]]], block: tuple[int, int], part: Reach
) -> Iterator[Window]:
    """Windows that cover the source blocks under wanted spans, each source block in one window only.

    Args:
        wanted: first and last row, first and last column of each tile's pixels in the raster.
        block: height and width of the raster's blocks.
        part: the raster's rows and columns that may be read.
    """
    height, width = block
    top, left, bottom, right = (int(edge) for edge in (part.rows[0], part.columns[0], part.rows[-1], part.columns[-1]))
    first_row, first_column = top // height, left // width
    touched = np.zeros((bottom // height - first_row + 1, right // width - first_column + 1), dtype=np.bool_)
    for (row_start, row_stop), (column_start, column_stop) in wanted:
        touched[
            row_start // height - first_row : row_stop // height - first_row + 1,
            column_start // width - first_column : column_stop // width - first_column + 1,
        ] = True
    row = 0
    while row < len(touched):
        # Rows of blocks that are touched alike are read as one.
        stop = row + 1
        while stop < len(touched) and np.array_equal(touched[stop], touched[row]):
            stop += 1
        edges = np.flatnonzero(np.diff(np.concatenate([[0], touched[row].astype(np.int8), [0]])))
        for start, end in edges.reshape(-1, 2):
            upper = max((first_row + row) * height, top)
            lower = min((first_row + stop) * height - 1, bottom)
            west = max((first_column + int(start)) * width, left)
            east = min((first_column + int(end)) * width - 1, right)
            yield Window(west, upper, east - west + 1, lower - upper + 1)
        row = stop
