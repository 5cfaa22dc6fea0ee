"""Small rasters for tests, and what GDAL and plain slicing make of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from tasks.landcover.catalogue import Raster
from tasks.landcover.classes import ClassTable, built_in_products
from tasks.landcover.headers import unplaced_allowed
from tasks.storage import Place

WORLDCOVER = built_in_products()["worldcover-2020"]
WORLDCOVER_CODES = [10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100]
SATLAS = built_in_products()["satlas"]
PER_DEGREE = 12_000
SIDE = 3 * PER_DEGREE

HALF_WORLD = np.pi * 6378137.0
PIXEL = 2 * HALF_WORLD / (1 << 22)
"""Metres of EPSG:3857 along one zoom-14 pixel."""


def noise(shape: tuple[int, int], codes: Sequence[int], seed: int = 0) -> NDArray[np.uint8]:
    """Pixels that differ from their neighbours."""
    return np.random.default_rng(seed).choice(np.array(codes, dtype=np.uint8), shape)


def write_raster(
    path: Path,
    codes: NDArray[Any],
    crs: str | None,
    transform: Affine | None,
    mask: NDArray[Any] | None = None,
    **more: Any,
) -> Path:
    """Writes one band (with an internal mask, where given)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "GTiff", "width": codes.shape[1], "height": codes.shape[0], "count": 1, "dtype": codes.dtype}
    tags = more.pop("tags", {})
    with (
        unplaced_allowed(),
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", **profile, crs=crs, transform=transform, **more) as raster,
    ):
        raster.write(codes, 1)
        raster.update_tags(**tags)
        if mask is not None:
            raster.write_mask(mask)
    return path


def worldcover_name(west: int, south: int, version: str = "v100", year: int = 2020) -> str:
    vertical, horizontal = "N" if south >= 0 else "S", "E" if west >= 0 else "W"
    corner = f"{vertical}{abs(south):02d}{horizontal}{abs(west):03d}"
    return f"ESA_WorldCover_10m_{year}_{version}_{corner}_Map.tif"


def write_worldcover(
    folder: Path,
    west: int,
    south: int,
    parts: Mapping[tuple[int, int], NDArray[np.uint8]],
    name: str | None = None,
    **more: Any,
) -> Path:
    """Writes a file of 3 x 3 degrees as the public bucket has it, sparse but for some parts.

    Args:
        folder: the folder of the file.
        west: its western edge in degrees.
        south: its southern edge.
        parts: pixels by the row and column of their upper left corner; what leaves the file is cut off.
        name: the file's name, where not the bucket's.
        more: other options of the writer.
    """
    path = folder / (name or worldcover_name(west, south))
    path.parent.mkdir(parents=True, exist_ok=True)
    place = {"crs": "EPSG:4326", "transform": Affine(1 / PER_DEGREE, 0, west, 0, -1 / PER_DEGREE, south + 3)}
    tiling = {"tiled": True, "blockxsize": 1024, "blockysize": 1024, "compress": "deflate", "zlevel": 1}
    profile = {"driver": "GTiff", "width": SIDE, "height": SIDE, "count": 1, "dtype": "uint8", "nodata": 0}
    tags = more.pop("tags", {})
    with rasterio.open(path, "w", **(profile | place | tiling | more), sparse_ok=True) as raster:
        raster.update_tags(**tags)
        for (row, column), codes in parts.items():
            top, left = max(row, 0), max(column, 0)
            inside = codes[top - row : SIDE - row, left - column : SIDE - column]
            if inside.size:
                raster.write(inside, 1, window=Window(left, top, inside.shape[1], inside.shape[0]))
    return path


def as_raster(path: Path, bounds: tuple[float, float, float, float] | None = None) -> Raster:
    return Raster(path.name, Place(str(path)), "1", bounds)


def gdal_tile(path: Path, x: int, y: int, table: ClassTable) -> NDArray[np.uint8]:
    """Class ids of a tile by GDAL's own nearest warp of the file, exact to 1e-9 pixels; 0 where it has no data."""
    transform = Affine(PIXEL, 0, x * 256 * PIXEL - HALF_WORLD, 0, -PIXEL, HALF_WORLD - y * 256 * PIXEL)
    with (
        rasterio.open(path) as source,
        WarpedVRT(
            source,
            crs="EPSG:3857",
            transform=transform,
            width=256,
            height=256,
            resampling=Resampling.nearest,
            tolerance=1e-9,
            add_alpha=source.nodata is None,
        ) as warped,
    ):
        codes, valid = warped.read(1), warped.dataset_mask() > 0
    ids = np.zeros((256, 256), dtype=np.uint8)
    for code, index in table.ids.items():
        ids[valid & (codes == code)] = index
    return ids


def first_of(maps: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Of maps in order, the first class at each pixel."""
    ids = np.zeros_like(maps[0])
    for found in maps:
        ids = np.where(ids == 0, found, ids)
    return ids


def sliced_counts(ids: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Counts (6, 12) of a map of class ids, patch by patch: overall, the four quarters, the middle."""
    height, width = ids.shape
    half, across, quarter, aside = height // 2, width // 2, height // 4, width // 4
    patches = [
        ids,
        ids[:half, :across],
        ids[:half, across:],
        ids[half:, :across],
        ids[half:, across:],
        ids[quarter : height - quarter, aside : width - aside],
    ]
    return np.array([np.bincount(patch.ravel(), minlength=12) for patch in patches])


def spoil(path: Path, keep: Collection[tuple[int, int]] = ()) -> int:
    """Overwrites every block of pixels of a GeoTIFF, but some by block row and column; returns how many."""
    with rasterio.open(path) as raster:
        height, width = raster.block_shapes[0]
        blocks = np.ndindex(-(-raster.height // height), -(-raster.width // width))
        places = {
            (row, column): [
                raster.get_tag_item(f"BLOCK_{what}_{column}_{row}", "TIFF", bidx=1) for what in ("OFFSET", "SIZE")
            ]
            for row, column in blocks
        }
    # A sparse file has no place for a block that was never written.
    spoilt = [place for block, place in places.items() if block not in keep and place[0]]
    with path.open("r+b") as file:
        for offset, size in spoilt:
            file.seek(int(offset))
            file.write(b"\xaa" * int(size))
    return len(spoilt)
