"""What a raster's header says of where it lies; no pixel is read."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer
from pyproj.exceptions import ProjError

from tasks.errors import StoreError
from tasks.grid import Floats
from tasks.storage import Place

_ROOM = 0.05
"""Degrees added around a raster: its curved edges are followed at some points only. Pixels decide in the end."""


_MOST_LONGITUDE = 180 + 1e-6
"""Degrees, with room for a rounded corner."""


@dataclass(frozen=True)
class Header:
    """Where a raster lies.

    Attributes:
        crs: its coordinate reference system, as WKT.
        transform: from column and row to its coordinates.
        width: columns.
        height: rows.
        degrees: boxes (west, south, east, north) in EPSG:4326 that hold it, with room to spare; two where it crosses
            the antimeridian.
        worldcover_version: v100 or v200 where its tags say that it is a WorldCover map.
    """

    crs: str
    transform: Affine
    width: int
    height: int
    degrees: tuple[tuple[float, float, float, float], ...]
    worldcover_version: str | None = None

    def _pixels(self, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
        """Columns and rows (fractional) of points; infinite where the CRS does not reach."""
        easting, northing = _from_degrees(self.crs).transform(lon, lat)
        with np.errstate(invalid="ignore"):
            columns, rows = ~self.transform @ (np.asarray(easting), np.asarray(northing))
        return columns, rows

    def holds(self, lon: Floats, lat: Floats) -> NDArray[np.bool_]:
        """Which points (degrees) lie on one of its pixels."""
        columns, rows = self._pixels(lon, lat)
        inside: NDArray[np.bool_] = (columns >= 0) & (columns < self.width) & (rows >= 0) & (rows < self.height)
        return inside

    def touches(self, west: Floats, south: Floats, east: Floats, north: Floats) -> NDArray[np.bool_]:
        """Which boxes (degrees) overlap it, by the box around each one's outline in its own pixels."""
        share = np.linspace(0, 1, 5)
        across, along = (
            west[:, None] + (east - west)[:, None] * share,
            south[:, None] + (north - south)[:, None] * share,
        )
        steady = np.ones(5)
        lon = np.concatenate([across, across, west[:, None] * steady, east[:, None] * steady], axis=1)
        lat = np.concatenate([south[:, None] * steady, north[:, None] * steady, along, along], axis=1)
        columns, rows = self._pixels(lon.ravel(), lat.ravel())
        columns, rows = columns.reshape(lon.shape), rows.reshape(lat.shape)
        overlap: NDArray[np.bool_] = (
            (columns.max(axis=1) > 0)
            & (columns.min(axis=1) < self.width)
            & (rows.max(axis=1) > 0)
            & (rows.min(axis=1) < self.height)
            & np.isfinite(columns).all(axis=1)
        )
        return overlap


@lru_cache(maxsize=256)
def _from_degrees(crs: str) -> Transformer:
    """From longitude and latitude to a CRS; made once for all rasters of a UTM zone."""
    return Transformer.from_crs("EPSG:4326", crs, always_xy=True)


def read_header(where: Place) -> Header | str:
    """A raster's header, or in words why it cannot be used."""
    import rasterio  # noqa: PLC0415 - loading GDAL costs a second that commands without rasters need not pay
    from rasterio.warp import transform_bounds  # noqa: PLC0415

    from tasks.landcover.opening import open_raster  # noqa: PLC0415

    try:
        with open_raster(where) as raster:
            if raster.crs is None:
                return "has no coordinate reference system; expected a georeferenced raster (or `grid: chips`)"
            outline = _outline(raster)
            if raster.crs.is_geographic and max(abs(outline[0]), abs(outline[2])) > _MOST_LONGITUDE:
                # What lies beyond would silently be no data: GDAL's warp does not look for it on the other side.
                return f"reaches from {outline[0]:g} to {outline[2]:g} degrees; expected a raster cut at 180 degrees"
            degrees = transform_bounds(raster.crs, "EPSG:4326", *outline)
            return Header(
                crs=raster.crs.to_wkt(),
                transform=raster.transform,
                width=raster.width,
                height=raster.height,
                degrees=_boxes(*degrees),
                worldcover_version=worldcover_version(raster.tags()),
            )
    except StoreError as error:
        return f"cannot be read: {error}"
    except (rasterio.errors.RasterioError, ProjError, OSError, ValueError) as error:
        return f"cannot be opened as a raster: {gdal_reason(error)}"


def _outline(raster: Any) -> tuple[float, float, float, float]:  # noqa: ANN401 - rasterio ships no types
    """Left, bottom, right and top of a raster in its CRS, be it rotated or south-up."""
    corners = [raster.transform @ (column, row) for column in (0, raster.width) for row in (0, raster.height)]
    across, along = zip(*corners, strict=True)
    return min(across), min(along), max(across), max(along)


def _boxes(west: float, south: float, east: float, north: float) -> tuple[tuple[float, float, float, float], ...]:
    """Boxes that hold what lies between bounds; ``west > east`` crosses the antimeridian."""
    south, north = max(south - _ROOM, -90.0), min(north + _ROOM, 90.0)
    if west > east:
        return (west - _ROOM, south, 180.0, north), (-180.0, south, east + _ROOM, north)
    return ((max(west - _ROOM, -180.0), south, min(east + _ROOM, 180.0), north),)


@contextmanager
def unplaced_allowed() -> Iterator[None]:
    """Keeps GDAL's binding from warning of rasters without georeference: what must have one is checked for it.

    The filter is the whole process's: to be entered around threads, not in them.
    """
    import rasterio  # noqa: PLC0415 - as above

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        yield


def gdal_reason(error: BaseException) -> str:
    """What GDAL said, which rasterio keeps as the cause."""
    parts = [str(part) for part in (error, error.__cause__) if part is not None and str(part)]
    return "; ".join(dict.fromkeys(" ".join(part.split()) for part in parts)) or type(error).__name__


def worldcover_version(tags: dict[str, str]) -> str | None:
    """The version, v100 or v200, of a WorldCover map by its own tags; None for any other raster."""
    if "WorldCover" not in tags.get("title", ""):
        return None
    version = tags.get("product_version", "")
    return {"V1": "v100", "V2": "v200"}.get(version[:2])
