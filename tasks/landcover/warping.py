"""A raster in any CRS, warped to the grid by GDAL's nearest neighbour.

The tolerance is 1e-9 px: with GDAL's default of 0.125 px a pixel would depend on what it was read together with. It is
`WarpedVRT` that heeds it, and rioxarray reads that; `rasterio.warp.reproject`, which rioxarray's own `reproject` calls,
drops it in rasterio 1.4.
"""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
import rasterio
import rioxarray
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.io import MemoryFile
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from tasks.errors import SourceError
from tasks.grid import EARTH_CIRCUMFERENCE, WORLD_PIXELS
from tasks.landcover.classes import NO_DATA
from tasks.landcover.coding import UNKNOWN, UnknownCodeError, mark_unknown
from tasks.landcover.reading import OpenRaster

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
    part = source_window(source.dataset, row, column, height, width)
    if part is None:
        return None
    window = Window.from_slices(*part)
    codes = np.empty((window.height, window.width), dtype=source.dataset.dtypes[0])
    source.read(window, codes)
    ids = mark_unknown(codes, source.ids)
    warped = _warped(source, ids, window, grid_transform(row, column), (height, width))
    if (warped == UNKNOWN).any():
        # The same code stands in the source's own pixels, whose row and column a person can look up.
        at, across = (int(axis) for axis in np.argwhere(ids == UNKNOWN)[0])
        error = UnknownCodeError(int(codes[at, across]), at, across)
        raise SourceError({source.raster.name: error.reason(window.row_off, window.col_off)})
    return warped


def _warped(
    source: OpenRaster, ids: NDArray[np.uint8], window: Window, transform: Affine, shape: tuple[int, int]
) -> NDArray[np.uint8]:
    """Class ids of a window of the raster, in the grid's pixels.

    The window is read and decoded once, and GDAL warps it from memory, class ids in which no data is always 0.
    """
    height, width = shape
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "height": ids.shape[0], "width": ids.shape[1]}
    corner = Affine.translation(window.col_off, window.row_off)
    place = {"crs": source.dataset.crs, "transform": source.dataset.transform @ corner}
    with MemoryFile() as file:
        with file.open(**profile, **place, nodata=NO_DATA) as memory:
            memory.write(ids, 1)
        with (
            file.open() as memory,
            WarpedVRT(
                memory,
                crs="EPSG:3857",
                transform=transform,
                height=height,
                width=width,
                resampling=Resampling.nearest,
                tolerance=1e-9,
            ) as warping,
            cast(
                xr.DataArray, rioxarray.open_rasterio(warping, parse_coordinates=False, lock=False, cache=False)
            ) as bands,
        ):
            return bands.isel(band=0).to_numpy()


def source_window(
    dataset: Any,  # noqa: ANN401 - rasterio ships no types
    row: int,
    column: int,
    height: int,
    width: int,
) -> tuple[slice, slice] | None:
    """Rows and columns of an open raster that a warp to a window of the grid needs, as `warp` has it; None for none."""
    transform = grid_transform(row, column)
    bounds = (transform.c, transform.f - height * _PIXEL, transform.c + width * _PIXEL, transform.f)
    try:
        west, south, east, north = transform_bounds("EPSG:3857", dataset.crs, *bounds)
    except rasterio.errors.RasterioError:
        return None
    corners = [~dataset.transform @ point for point in ((west, north), (east, north), (west, south), (east, south))]
    if not all(math.isfinite(value) for corner in corners for value in corner):
        return None
    columns, rows = ([corner[axis] for corner in corners] for axis in (0, 1))
    left, right = max(math.floor(min(columns)) - _MARGIN, 0), min(math.ceil(max(columns)) + _MARGIN, dataset.width)
    top, bottom = max(math.floor(min(rows)) - _MARGIN, 0), min(math.ceil(max(rows)) + _MARGIN, dataset.height)
    return (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None


def grid_transform(row: int, column: int) -> Affine:
    """From columns and rows of a window of the grid to metres of EPSG:3857."""
    half = EARTH_CIRCUMFERENCE / 2
    return Affine(_PIXEL, 0, column * _PIXEL - half, 0, -_PIXEL, half - row * _PIXEL)
