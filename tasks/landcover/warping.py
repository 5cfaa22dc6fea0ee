"""A raster in any CRS, warped to the grid by GDAL's nearest neighbour through rioxarray.

The tolerance is 1e-9 px: with GDAL's default of 0.125 px a pixel would depend on what it was read together with.
"""

from __future__ import annotations

import math
import warnings
from typing import cast

import numpy as np
import rasterio
import rioxarray
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.warp import transform_bounds

from tasks.errors import SourceError
from tasks.landcover.coding import UnknownCodeError, to_ids
from tasks.landcover.headers import gdal_reason
from tasks.landcover.reading import OpenRaster
from tasks.planning.grid import EARTH_CIRCUMFERENCE, WORLD_PIXELS

_PIXEL = EARTH_CIRCUMFERENCE / WORLD_PIXELS
"""Metres of EPSG:3857 along one zoom-14 pixel."""

_MARGIN = 4
"""Source pixels read beyond the window, so that no rounding of its outline loses one."""


def warp(source: OpenRaster, row: int, column: int, height: int, width: int) -> NDArray[np.uint8] | None:
    """Class ids of a window of the grid.

    Args:
        source: the raster.
        row: the window's first global zoom-14 pixel row.
        column: its first global pixel column.
        height: its height in pixels.
        width: its width in pixels.

    Returns:
        Class ids (height, width), 0 where the raster has no data or does not reach; None where it reaches no pixel.

    Raises:
        SourceError: the pixels cannot be read, or a code is not in the class table.
    """
    part = source_window(source, row, column, height, width)
    if part is None:
        return None
    rows, columns = part
    transform = _transform(row, column)
    dataset = source.dataset
    try:
        opened = rioxarray.open_rasterio(dataset.name, masked=True, lock=False, cache=False)
        # One raster of one or more bands is one array; only files of subdatasets are more.
        with cast(xr.DataArray, opened) as bands:
            codes = bands.isel(band=0, y=rows, x=columns).load()
            with warnings.catch_warnings():
                # NaN becomes no data below; what a cast of it to a whole number would give is never used.
                warnings.simplefilter("ignore", RuntimeWarning)
                warped = codes.rio.reproject(
                    "EPSG:3857",
                    transform=transform,
                    shape=(height, width),
                    resampling=Resampling.nearest,
                    nodata=np.nan,
                    tolerance=1e-9,
                )
    except (rasterio.errors.RasterioError, OSError) as error:
        where = f"rows {rows.start} to {rows.stop - 1}, columns {columns.start} to {columns.stop - 1}"
        reason = f"cannot be read in {where} (damaged or cut short?): {gdal_reason(error)}"
        raise SourceError({source.raster.name: reason}) from error
    try:
        return to_ids(warped.to_numpy(), source.ids)
    except UnknownCodeError as error:
        # The same code stands in the source's own pixels, whose row and column a person can look up.
        row, column = (int(axis) for axis in np.argwhere(codes.to_numpy() == error.code)[0])
        reason = UnknownCodeError(error.code, row, column).reason(rows.start, columns.start)
        raise SourceError({source.raster.name: reason}) from error


def source_window(source: OpenRaster, row: int, column: int, height: int, width: int) -> tuple[slice, slice] | None:
    """Rows and columns of the raster that `warp` reads, with its arguments; None for none."""
    transform = _transform(row, column)
    bounds = (transform.c, transform.f - height * _PIXEL, transform.c + width * _PIXEL, transform.f)
    dataset = source.dataset
    try:
        west, south, east, north = transform_bounds("EPSG:3857", dataset.crs, *bounds)
    except rasterio.errors.RasterioError:
        return None
    corners = [~dataset.transform * point for point in ((west, north), (east, north), (west, south), (east, south))]
    if not all(math.isfinite(value) for corner in corners for value in corner):
        return None
    columns, rows = ([corner[axis] for corner in corners] for axis in (0, 1))
    left, right = max(math.floor(min(columns)) - _MARGIN, 0), min(math.ceil(max(columns)) + _MARGIN, dataset.width)
    top, bottom = max(math.floor(min(rows)) - _MARGIN, 0), min(math.ceil(max(rows)) + _MARGIN, dataset.height)
    return (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None


def _transform(row: int, column: int) -> Affine:
    """From columns and rows of a window of the grid to metres of EPSG:3857."""
    half = EARTH_CIRCUMFERENCE / 2
    return Affine(_PIXEL, 0, column * _PIXEL - half, 0, -_PIXEL, half - row * _PIXEL)
