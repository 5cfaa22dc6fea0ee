"""The files of a chip: its bands as GeoTIFF, the 8-bit view of them, and pictures of image and land cover."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from PIL import Image
from rasterio.io import MemoryFile

from tasks.imagery.bands import NO_DATA, Pixels, eight_bit, red_green_blue
from tasks.landcover.pictures import palette_png
from tasks.storage import Place, write

_BLOCK = 256
"""Pixels along one side of a chip's tiles."""


@dataclass(frozen=True)
class Chip:
    """One chip.

    Attributes:
        pixels: its bands, shape (bands, height, width).
        bands: their names.
        crs: its coordinate reference system, as rasterio has it; None without georeference.
        transform: from columns and rows to its coordinates.
        tags: what is known of it: ``scene``, ``acquired``, ``processing_baseline``, ``offset_applied`` ...
    """

    pixels: Pixels
    bands: tuple[str, ...]
    crs: Any
    transform: Affine
    tags: Mapping[str, str] = field(default_factory=dict)


def chip_path(block: str, tile_id: str) -> str:
    """A chip's path below the dataset; its view and pictures lie beside it.

    Args:
        block: the tile's block: neighbours share a folder.
        tile_id: the tile.
    """
    return f"imagery/chips/{block}/{tile_id}.tif"


def view_path(chip: str) -> str:
    """The path of a chip's 8-bit view."""
    return f"{chip.removesuffix('.tif')}_8bit.tif"


def picture_path(chip: str) -> str:
    """The path of a chip's picture in red, green and blue."""
    return f"{chip.removesuffix('.tif')}_rgb.png"


def map_path(chip: str) -> str:
    """The path of the picture of a chip's land cover."""
    return f"{chip.removesuffix('.tif')}_landcover.png"


def write_chip(dataset: Place, path: str, chip: Chip, ids: NDArray[np.uint8]) -> None:
    """Writes a chip and what goes with it; the chip itself last, so that where it is, all is.

    Args:
        dataset: the dataset's folder.
        path: where below it, see `chip_path`.
        chip: the chip.
        ids: class ids of the land cover under it, shape (height, width).
    """
    view = eight_bit(chip.pixels, chip.bands)
    files = {
        view_path(path): geotiff(view, chip),
        picture_path(path): rgb_png(red_green_blue(view, chip.bands)),
        map_path(path): palette_png(ids),
        path: geotiff(chip.pixels, chip),
    }
    for name, content in files.items():
        write(dataset.join(name), lambda stream, content=content: stream.write(content))  # type: ignore[misc]  # mypy knows no lambda with a default


def geotiff(pixels: Pixels, chip: Chip) -> bytes:
    """Bands on a chip's grid as GeoTIFF, the same bytes every time."""
    count, height, width = pixels.shape
    profile = {
        "driver": "GTiff",
        "count": count,
        "height": height,
        "width": width,
        "dtype": pixels.dtype.name,
        "nodata": NO_DATA,
        "tiled": True,
        "blockxsize": _BLOCK,
        "blockysize": _BLOCK,
        "interleave": "band",
        "compress": "deflate",
        "predictor": 2,
        "photometric": "minisblack",
    }
    place = {"crs": chip.crs, "transform": chip.transform} if chip.crs is not None else {}
    with MemoryFile() as file, warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with file.open(**profile, **place) as dataset:
            dataset.write(pixels)
            dataset.update_tags(**chip.tags)
            for band, name in enumerate(chip.bands, 1):
                dataset.set_band_description(band, name)
        return bytes(file.read())


def rgb_png(picture: NDArray[np.uint8]) -> bytes:
    """A picture (height, width, 3) as PNG, the same bytes every time."""
    stream = BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(stream, "PNG")
    return stream.getvalue()
