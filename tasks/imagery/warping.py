"""Bands of a scene on the tiles' own grid: read for neighbours together, warped for each tile by itself.

Pixels are read and decoded once for all tiles of a group. Each tile is then warped from its own part of them by GDAL,
with a tolerance that makes the warp exact and a scale that does not follow from the part's size. So a tile's pixels are
the same, bit for bit, whatever it was read together with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.io import MemoryFile
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from tasks.errors import DamagedError, RefusedError, StoreError
from tasks.grid import TILE_SIZE
from tasks.imagery.bands import NO_DATA
from tasks.landcover.headers import gdal_reason
from tasks.landcover.opening import open_raster
from tasks.landcover.warping import grid_transform, source_window
from tasks.storage import Place

Tile = tuple[int, int]
"""Column and row of a zoom-14 tile."""

Bands = dict[str, NDArray[np.uint16]]
"""Bands of a tile by name, (256, 256) each."""


class UnreadableError(Exception):
    """A file of a scene cannot be read; says which and why."""


def read_tiles(files: Mapping[str, Place], tiles: Sequence[Tile], resampling: Resampling) -> dict[Tile, Bands]:
    """Bands of a scene under tiles.

    Args:
        files: the files by band; those that share a grid share the work of warping.
        tiles: neighbours: what lies between them is read, too.
        resampling: bilinear for reflectances, nearest for classes.

    Returns:
        The bands of each tile, 0 where there is no data or the scene does not reach.

    Raises:
        UnreadableError: a file cannot be read.
        StoreError: a store does not answer.
    """
    found: dict[Tile, Bands] = {tile: {} for tile in tiles}
    with ExitStack() as stack:
        datasets = {band: stack.enter_context(opened(band, file)) for band, file in files.items()}
        for bands in _by_grid(datasets):
            one = datasets[bands[0]]
            parts = {tile: part for tile in tiles if (part := _part(one, tile))}
            if parts:
                top, bottom = min(rows.start for rows, _ in parts.values()), max(r.stop for r, _ in parts.values())
                left, right = min(across.start for _, across in parts.values()), max(c.stop for _, c in parts.values())
                window = Window(left, top, right - left, bottom - top)
                pixels = np.stack([_pixels(band, files[band], datasets[band], window) for band in bands])
            for tile in tiles:
                if tile in parts:
                    rows, columns = parts[tile]
                    own = pixels[:, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
                    corner = one.transform @ Affine.translation(columns.start, rows.start)
                    warped = _warped(own, one.crs, corner, tile, resampling)
                else:
                    warped = np.zeros((len(bands), TILE_SIZE, TILE_SIZE), dtype=np.uint16)
                found[tile] |= dict(zip(bands, warped, strict=True))
    return found


def tile_transform(tile: Tile) -> Affine:
    """From columns and rows of a tile's pixels to metres of EPSG:3857."""
    x, y = tile
    return grid_transform(y * TILE_SIZE, x * TILE_SIZE)


@contextmanager
def opened(band: str, file: Place) -> Iterator[Any]:
    """Opens a band's file for this thread; yields rasterio's handle.

    Raises:
        UnreadableError: the file is missing, damaged or refused, now or while it is open.
        StoreError: its store does not answer.
    """
    try:
        with ExitStack() as stack:
            with told(band, file):
                dataset = stack.enter_context(open_raster(file))
            if dataset.crs is None or dataset.count != 1:
                raise UnreadableError(f"{band} ({file}) is no georeferenced raster of one band")
            yield dataset
    except (DamagedError, RefusedError) as error:
        raise UnreadableError(f"{band}: {error}") from error


@contextmanager
def told(band: str, file: Place) -> Iterator[None]:
    """Says of which file it is that GDAL fails."""
    try:
        yield
    except StoreError:
        raise  # Told by its own words.
    except (rasterio.errors.RasterioError, OSError) as error:
        reason = f"{band} ({file}) cannot be read (damaged or cut short?): {gdal_reason(error)}"
        raise UnreadableError(reason) from error


def _by_grid(datasets: Mapping[str, Any]) -> list[list[str]]:
    """Bands whose pixels lie on each other."""
    grids: dict[tuple[str, Affine, int, int], list[str]] = {}
    for band, dataset in datasets.items():
        key = (dataset.crs.to_wkt(), dataset.transform, dataset.width, dataset.height)
        grids.setdefault(key, []).append(band)
    return list(grids.values())


def _part(dataset: Any, tile: Tile) -> tuple[slice, slice] | None:  # noqa: ANN401 - rasterio ships no types
    """Rows and columns that a tile's warp needs; None where the scene does not reach it."""
    x, y = tile
    return source_window(dataset, y * TILE_SIZE, x * TILE_SIZE, TILE_SIZE, TILE_SIZE)


def _pixels(
    band: str,
    file: Place,
    dataset: Any,  # noqa: ANN401 - as above
    window: Window,
) -> NDArray[np.uint16]:
    """Pixels of a window, 0 where there is no data.

    Raises:
        UnreadableError: they cannot be read, or are no whole numbers of 16 bits.
    """
    kind = np.dtype(dataset.dtypes[0])
    if kind not in {np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.int16)}:
        raise UnreadableError(f"{band} holds {kind} pixels; expected whole numbers of 16 bits")
    with told(band, file):
        pixels = dataset.read(1, window=window)
    if dataset.nodata not in {None, NO_DATA}:
        pixels[pixels == dataset.nodata] = NO_DATA
    unsigned: NDArray[np.uint16] = np.maximum(pixels, 0).astype(np.uint16)
    return unsigned


def _warped(
    pixels: NDArray[np.uint16],
    crs: Any,  # noqa: ANN401 - as above
    transform: Affine,
    tile: Tile,
    resampling: Resampling,
) -> NDArray[np.uint16]:
    """Bands (n, height, width) of a part of a scene, on a tile's grid (n, 256, 256).

    Warped together, bands share the way to each pixel. But then a pixel is without data only where all of them are.
    """
    missing = pixels == NO_DATA
    if (missing != missing[0]).any():
        return np.concatenate([_warped(band[None], crs, transform, tile, resampling) for band in pixels])
    count, height, width = pixels.shape
    profile = {"driver": "GTiff", "count": count, "dtype": "uint16", "height": height, "width": width}
    with MemoryFile() as file:
        with file.open(**profile, crs=crs, transform=transform, nodata=NO_DATA) as memory:
            memory.write(pixels)
        with (
            file.open() as memory,
            WarpedVRT(
                memory,
                crs="EPSG:3857",
                transform=tile_transform(tile),
                height=TILE_SIZE,
                width=TILE_SIZE,
                resampling=resampling,
                tolerance=1e-9,
                # Else GDAL takes them from the sizes of part and tile, and a slanting part is larger than it should be.
                XSCALE=1,
                YSCALE=1,
            ) as warping,
        ):
            warped: NDArray[np.uint16] = warping.read()
            return warped
