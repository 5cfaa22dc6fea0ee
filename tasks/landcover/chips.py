"""A folder of ready-made land-cover rasters, each of them one tile on its own grid.

GeoTIFFs hold the product's class codes; PNGs hold the legend's colours, or class codes where they are grey.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from rasterio.warp import transform as transform_points

from tasks.errors import InputError, SourceError
from tasks.landcover.catalogue import Raster, list_rasters
from tasks.landcover.classes import NO_DATA, ClassTable
from tasks.landcover.coding import UnknownCodeError, to_ids
from tasks.landcover.headers import gdal_reason, unplaced_allowed
from tasks.landcover.reading import opened_chip
from tasks.storage import Place, reading

SUFFIXES = (".tif", ".tiff", ".png")
"""Files below the source that are chips."""

_OPEN_AT_ONCE = 8
_UNKNOWN_COLOUR = 255
_OPAQUE = 255


@dataclass(frozen=True)
class Chip:
    """One chip.

    Attributes:
        tile_id: made from its path below the source.
        raster: the file.
    """

    tile_id: str
    raster: Raster


def find_chips(source: Place) -> list[Chip]:
    """The chips below a source, by path.

    Raises:
        InputError: there are none, or two of them have one tile ID.
    """
    rasters = list_rasters(source, SUFFIXES, below=source)
    if not rasters:
        raise InputError(
            f"landcover.source {source}: no chip found; looked for files ending with {', '.join(SUFFIXES)}"
        )
    chips: dict[str, Chip] = {}
    for raster in rasters:
        tile_id = chip_id(raster.name)
        if tile_id in chips:
            raise InputError(
                f"landcover.source {source}: {chips[tile_id].raster.name} and {raster.name} both have the tile ID "
                f"{tile_id}; rename one of them"
            )
        chips[tile_id] = Chip(tile_id, raster)
    return list(chips.values())


def chip_id(name: str) -> str:
    """The tile ID of a chip, from its path below the source."""
    stem = name.rsplit(".", 1)[0]
    return re.sub(r"[^A-Za-z0-9_-]", "-", stem.replace("/", "__"))


def footprints(chips: Sequence[Chip]) -> tuple[NDArray[np.float64], NDArray[np.float64], dict[str, str]]:
    """Where chips lie, from their headers.

    Returns:
        Centres (n, 2) and rings (n, 5, 2) as longitude and latitude, NaN for a chip without georeference; and the
        chips that cannot be opened, by name, with the reason.
    """
    with unplaced_allowed(), ThreadPoolExecutor(_OPEN_AT_ONCE) as pool:
        outlines = list(pool.map(lambda chip: _outline(chip.raster), chips))
    unreadable = {
        chip.raster.name: outline for chip, outline in zip(chips, outlines, strict=True) if isinstance(outline, str)
    }
    nowhere = np.full((6, 2), np.nan)
    points = np.array([nowhere if isinstance(outline, str) else outline for outline in outlines])
    return points[:, 0], points[:, 1:], unreadable


def _outline(raster: Raster) -> NDArray[np.float64] | str:
    """Centre and closed ring of a chip (6, 2) in degrees, NaN where it has none; or why it cannot be opened."""
    nowhere = np.full((6, 2), np.nan)
    if raster.name.lower().endswith(".png"):
        return nowhere
    try:
        with opened_chip(raster) as dataset:
            if dataset.crs is None:
                return nowhere
            width, height = dataset.width, dataset.height
            pixels = [(width / 2, height / 2), (0, 0), (0, height), (width, height), (width, 0), (0, 0)]
            easting, northing = zip(*(dataset.transform @ pixel for pixel in pixels), strict=True)
            points = np.array(transform_points(dataset.crs, "EPSG:4326", easting, northing)).T
    except SourceError as error:
        return error.reasons[raster.name]
    except rasterio.errors.RasterioError:
        return nowhere
    else:
        # In one piece where it crosses the antimeridian: longitudes run on beyond 180 degrees from the centre's.
        points[:, 0] = points[0, 0] + (points[:, 0] - points[0, 0] + 180) % 360 - 180
        return points if np.isfinite(points).all() else nowhere


def read_chip(raster: Raster, table: ClassTable) -> NDArray[np.uint8]:
    """Class ids of a chip's pixels, shape (height, width).

    Raises:
        SourceError: it cannot be read, has sides that cannot be divided by four, or holds an unknown code or colour.
    """
    read = _read_png if raster.name.lower().endswith(".png") else _read_geotiff
    try:
        ids = read(raster, table)
    except UnknownCodeError as error:
        raise SourceError({raster.name: error.reason()}) from error
    height, width = ids.shape
    if height % 4 or width % 4 or not height or not width:
        raise SourceError({raster.name: f"is {width} x {height} px; expected sides that can be divided by four"})
    return ids


def _read_geotiff(raster: Raster, table: ClassTable) -> NDArray[np.uint8]:
    with opened_chip(raster) as dataset:
        if dataset.count != 1:
            raise SourceError({raster.name: f"has {dataset.count} bands; expected one band of class codes"})
        if not np.issubdtype(np.dtype(dataset.dtypes[0]), np.integer):
            raise SourceError({raster.name: f"holds {dataset.dtypes[0]} pixels; expected whole numbers, class codes"})
        try:
            codes = dataset.read(1)
            valid = dataset.read_masks(1) > 0
        except (rasterio.errors.RasterioError, OSError) as error:
            reason = f"cannot be read (damaged or cut short?): {gdal_reason(error)}"
            raise SourceError({raster.name: reason}) from error
    return to_ids(codes, table.ids, valid)


def _read_png(raster: Raster, table: ClassTable) -> NDArray[np.uint8]:
    try:
        with reading(raster.place) as stream, Image.open(stream) as image:
            if image.mode in {"L", "I", "I;16", "1"}:
                return to_ids(np.asarray(image.convert("I") if image.mode != "L" else image), table.ids)
            pixels = np.asarray(image.convert("RGBA"))
    except UnidentifiedImageError as error:
        # Pillow names the open file by its address in memory.
        reason = "cannot be read as PNG (damaged or cut short?): it is no picture"
        raise SourceError({raster.name: reason}) from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = f"cannot be read as PNG (damaged or cut short?): {error}"
        raise SourceError({raster.name: reason}) from error
    return _from_colours(raster.name, pixels, table.colours)


def _from_colours(
    name: str, pixels: NDArray[np.uint8], colours: Mapping[tuple[int, int, int], int]
) -> NDArray[np.uint8]:
    """Class ids of pixels (height, width, 4) in the legend's colours; transparent ones are no data."""
    packed = pixels[..., :3].astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], dtype=np.uint32)
    ids = np.full(packed.shape, _UNKNOWN_COLOUR, dtype=np.uint8)
    for (red, green, blue), index in colours.items():
        ids[packed == (red << 16 | green << 8 | blue)] = index
    ids[(pixels[..., 3] > 0) & (pixels[..., 3] < _OPAQUE)] = _UNKNOWN_COLOUR
    ids[pixels[..., 3] == 0] = NO_DATA
    if (ids == _UNKNOWN_COLOUR).any():
        row, column = (int(axis) for axis in np.argwhere(ids == _UNKNOWN_COLOUR)[0])
        red, green, blue, alpha = (int(value) for value in pixels[row, column])
        colour = f"{red},{green},{blue}" + (f" (opacity {alpha} of 255)" if alpha < _OPAQUE else "")
        known = "; ".join(",".join(map(str, known_colour)) for known_colour in colours)
        reason = f"pixel at row {row}, column {column} has colour {colour}, which is not in the legend ({known})"
        raise SourceError({name: reason})
    return ids
