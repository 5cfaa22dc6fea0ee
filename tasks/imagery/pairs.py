"""The user's own images, paired with land-cover chips by name: what a Dask worker makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray

from tasks.errors import InputError, SourceError
from tasks.imagery.bands import Pixels, eight_bit, red_green_blue
from tasks.imagery.files import Chip, chip_path, write_chip
from tasks.imagery.gates import bleak, incomplete
from tasks.imagery.table import DONE, FAILED, REJECTED, Row
from tasks.landcover.catalogue import Raster, list_rasters
from tasks.landcover.chips import SUFFIXES, chip_id, read_chip
from tasks.landcover.classes import ClassTable
from tasks.landcover.headers import gdal_reason
from tasks.landcover.reading import opened_chip
from tasks.storage import Place

UNPLACED = "unplaced"
"""The folder of chips without georeference."""


@dataclass(frozen=True)
class Pair:
    """A land-cover chip and the image of its name.

    Attributes:
        tile_id: the tile.
        block: its block, or `UNPLACED`.
        landcover: the land-cover chip.
        image: the image; None where there is none.
    """

    tile_id: str
    block: str
    landcover: Raster
    image: Raster | None


@dataclass(frozen=True)
class PairGroup:
    """Pairs that one Dask task makes chips of.

    Attributes:
        pairs: the pairs.
        bands: the names of the images' bands, in their order.
        table: the land-cover product.
        source: the folder of the images, for messages.
        dataset: where chips are written.
    """

    pairs: tuple[Pair, ...]
    bands: tuple[str, ...]
    table: ClassTable
    source: str
    dataset: Place

    def __len__(self) -> int:
        return len(self.pairs)

    def make(self) -> list[Row]:
        """Writes the chips of the pairs that are usable, and tells what became of each tile."""
        return [self._make(pair) for pair in self.pairs]

    def _make(self, pair: Pair) -> Row:
        if pair.image is None:
            return Row(tile_id=pair.tile_id, status=REJECTED, reason=f"no image of its name in {self.source}")
        try:
            ids = read_chip(pair.landcover, self.table)
            image, valid = _read_image(pair.image, self.bands)
            landcover = _described(pair.landcover)
        except SourceError as error:
            return Row(tile_id=pair.tile_id, status=FAILED, reason=str(error))
        reason = _misfit(image, landcover, ids) or incomplete(1 - float(valid.mean()))
        if reason is None:
            reason = bleak(red_green_blue(eight_bit(image.pixels, image.bands), image.bands), ids)
        if reason:
            return Row(tile_id=pair.tile_id, status=REJECTED, reason=f"{pair.image.name}: {reason}")
        path = chip_path(pair.block, pair.tile_id)
        acquired = _acquired(image.tags) or _acquired(landcover.tags)
        tags = {"scene": pair.image.name} | ({"acquired": acquired} if acquired else {})
        write_chip(self.dataset, path, replace(image, tags=tags), ids)
        return Row(
            tile_id=pair.tile_id,
            status=DONE,
            chip=path,
            scene=pair.image.name,
            acquired=acquired,
            bands=self.bands,
            tried=[],
        )


def images_by_tile(source: Place) -> Mapping[str, Raster]:
    """The images below a folder by the ID of the tile that they show.

    Raises:
        InputError: there is none, or two have one name.
    """
    images: dict[str, Raster] = {}
    for raster in list_rasters(source, SUFFIXES, below=source):
        tile_id = chip_id(raster.name)
        if tile_id in images:
            raise InputError(
                f"imagery.source {source}: {images[tile_id].name} and {raster.name} both belong to the tile {tile_id}; "
                "rename one of them"
            )
        images[tile_id] = raster
    if not images:
        raise InputError(f"imagery.source {source}: no image found; looked for files ending with {', '.join(SUFFIXES)}")
    return images


def _read_image(image: Raster, bands: tuple[str, ...]) -> tuple[Chip, NDArray[np.bool_]]:
    """An image as it is, 8-bit or as unsigned 16-bit numbers, and which of its pixels carry data.

    Raises:
        SourceError: it cannot be read, has another number of bands, or other pixels.
    """
    with opened_chip(image) as dataset:
        if dataset.count != len(bands):
            listed = ", ".join(bands)
            reason = f"has {dataset.count} bands; expected {len(bands)}, those of `imagery.bands` ({listed})"
            raise SourceError({image.name: reason})
        kind = np.dtype(dataset.dtypes[0])
        if not np.issubdtype(kind, np.integer) or kind.itemsize > 2:
            reason = f"holds {kind} pixels; expected whole numbers: reflectance x 10,000, or 8-bit"
            raise SourceError({image.name: reason})
        try:
            pixels = dataset.read()
            valid = dataset.dataset_mask() > 0
        except (rasterio.errors.RasterioError, OSError) as error:
            reason = f"cannot be read (damaged or cut short?): {gdal_reason(error)}"
            raise SourceError({image.name: reason}) from error
        unsigned: Pixels = np.maximum(pixels, 0).astype(np.uint8 if kind == np.uint8 else np.uint16)
        return Chip(unsigned, bands, dataset.crs, dataset.transform, dataset.tags()), valid


@dataclass(frozen=True)
class _Described:
    """Where a land-cover chip lies, and its tags."""

    crs: Any
    transform: Affine
    tags: Mapping[str, str]


def _described(raster: Raster) -> _Described:
    if raster.name.lower().endswith(".png"):
        return _Described(None, Affine.identity(), {})
    with opened_chip(raster) as dataset:
        return _Described(dataset.crs, dataset.transform, dataset.tags())


def _misfit(image: Chip, landcover: _Described, ids: NDArray[np.uint8]) -> str | None:
    """Why an image is no image of its land cover; None where it may be."""
    size, expected = image.pixels.shape[1:], ids.shape
    if size != expected:
        return f"is {size[1]} x {size[0]} px, its land cover {expected[1]} x {expected[0]}"
    if image.crs is None or landcover.crs is None:
        return None
    corners = [(0, 0), (size[1], size[0])]
    apart = max(
        abs(ours - theirs)
        for corner in corners
        for ours, theirs in zip(image.transform @ corner, landcover.transform @ corner, strict=True)
    )
    if image.crs != landcover.crs or apart > abs(landcover.transform.a) / 2:
        return "lies elsewhere than its land cover"
    return None


def _acquired(tags: Mapping[str, str]) -> str | None:
    """When an image was taken, as its tags, or those of its land cover, say."""
    known = {name.lower(): value for name, value in tags.items()}
    return next((known[name] for name in ("acquired", "datetime", "tifftag_datetime") if known.get(name)), None)
