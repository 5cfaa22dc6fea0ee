"""What a raster's header says of where it lies; no pixel is read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer
from pyproj.exceptions import ProjError

from tasks.planning.grid import Floats
from tasks.storage import Place, gdal_environment


@dataclass(frozen=True)
class Header:
    """Where a raster lies.

    Attributes:
        crs: its coordinate reference system, as WKT.
        transform: from column and row to its coordinates.
        width: columns.
        height: rows.
        degrees: boxes (west, south, east, north) in EPSG:4326 that hold it; two where it crosses the antimeridian.
        worldcover_version: v100 or v200 where its tags say that it is a WorldCover map.
    """

    crs: str
    transform: Affine
    width: int
    height: int
    degrees: tuple[tuple[float, float, float, float], ...]
    worldcover_version: str | None = None

    @cached_property
    def _from_degrees(self) -> Transformer:
        return Transformer.from_crs("EPSG:4326", self.crs, always_xy=True)

    def _pixels(self, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
        """Columns and rows (fractional) of points; infinite where the CRS does not reach."""
        easting, northing = self._from_degrees.transform(lon, lat)
        with np.errstate(invalid="ignore"):
            columns, rows = ~self.transform * (np.asarray(easting), np.asarray(northing))
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


def read_header(where: Place) -> Header | str:
    """A raster's header, or in words why it cannot be used."""
    import rasterio  # noqa: PLC0415 - loading GDAL costs a second that commands without rasters need not pay
    from rasterio.warp import transform_bounds  # noqa: PLC0415

    try:
        with gdal_environment(where), rasterio.open(where.gdal_path) as raster:
            if raster.crs is None:
                return "has no coordinate reference system; expected a georeferenced raster (or `grid: chips`)"
            west, south, east, north = transform_bounds(raster.crs, "EPSG:4326", *raster.bounds)
            halves: tuple[tuple[float, float, float, float], ...] = ((west, south, east, north),)
            if west > east:
                halves = ((west, south, 180.0, north), (-180.0, south, east, north))
            return Header(
                crs=raster.crs.to_wkt(),
                transform=raster.transform,
                width=raster.width,
                height=raster.height,
                degrees=halves,
                worldcover_version=_worldcover_version(raster.tags()),
            )
    except (rasterio.errors.RasterioError, ProjError, OSError, ValueError) as error:
        return f"cannot be opened as a raster: {gdal_reason(error)}"


def gdal_reason(error: BaseException) -> str:
    """What GDAL said, which rasterio keeps as the cause."""
    parts = [str(part) for part in (error, error.__cause__) if part is not None and str(part)]
    return "; ".join(dict.fromkeys(" ".join(part.split()) for part in parts)) or type(error).__name__


def _worldcover_version(tags: dict[str, str]) -> str | None:
    if "WorldCover" not in tags.get("title", ""):
        return None
    version = tags.get("product_version", "")
    return {"V1": "v100", "V2": "v200"}.get(version[:2])
