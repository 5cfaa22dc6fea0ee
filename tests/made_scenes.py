"""Sentinel-2 scenes made for tests: COGs of noise with clouds, and the STAC items that describe them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.warp import transform_geom

from tasks.imagery.bands import BANDS

FINE = ("B02", "B03", "B04", "B08")
CLOUD, CLEAR = 9, 4
_EPSG = 32632


@dataclass(frozen=True)
class MadeScene:
    """A scene: its pixels, and what its item says of it.

    Attributes:
        id: its ID.
        west: easting of its western edge in UTM zone 32, metres.
        north: northing of its northern edge.
        side: its side in metres, a multiple of 20.
        seed: another seed, other pixels.
        acquired: when it was taken.
        cloud: cloud cover that its item tells, in percent.
        baseline: its processing baseline.
        added: what is added to its pixels in truth.
        properties: further properties of its item.
        change: changes a band's pixels before they are written.
        classes: its scene classification of pixels of 20 m; None for all clear.
        block: side of its files' blocks in pixels.
    """

    id: str
    west: float = 221_000
    north: float = 8_500
    side: int = 10_240
    seed: int = 0
    acquired: str = "2020-03-01T10:00:00Z"
    cloud: float = 1.0
    baseline: str = "02.14"
    added: int = 0
    properties: Mapping[str, Any] = field(default_factory=dict)
    change: Callable[[str, NDArray[np.uint16]], NDArray[np.uint16]] = lambda _band, pixels: pixels
    classes: NDArray[np.uint8] | None = None
    block: int = 512

    def pixels(self, band: str) -> NDArray[np.uint16]:
        """A band: a slope with noise, from dark to bright, a different one for each band."""
        side = self.side // (10 if band in FINE else 20)
        rng = np.random.default_rng([self.seed, BANDS.index(band)])
        slope = np.linspace(80, 1800, side)
        pixels = slope[:, None] / 2 + slope / 2 + rng.integers(0, 500, (side, side)) + self.added
        return self.change(band, pixels.astype(np.uint16))

    def write(self, folder: Path) -> dict[str, Any]:
        """Writes the scene's files, and returns its item with addresses relative to the folder above."""
        (folder / self.id).mkdir(parents=True, exist_ok=True)
        for band in BANDS:
            _write_cog(
                folder / self.id / f"{band}.tif",
                self.pixels(band),
                self._transform(10 if band in FINE else 20),
                self.block,
            )
        classes = self.classes
        if classes is None:
            classes = np.full((self.side // 20, self.side // 20), CLEAR, dtype=np.uint8)
        _write_cog(folder / self.id / "SCL.tif", classes, self._transform(20), self.block, Resampling.nearest)
        return self.item()

    def item(self) -> dict[str, Any]:
        """The item that a catalogue has of the scene."""
        east, south = self.west + self.side, self.north - self.side
        ring = [(self.west, self.north), (self.west, south), (east, south), (east, self.north), (self.west, self.north)]
        outline = {"type": "Polygon", "coordinates": [ring]}
        geometry = json.loads(json.dumps(transform_geom(f"EPSG:{_EPSG}", "EPSG:4326", outline)))
        lon, lat = zip(*geometry["coordinates"][0], strict=True)
        media = "image/tiff; application=geotiff; profile=cloud-optimized"
        assets = {
            band: {"href": f"./{self.id}/{band}.tif", "type": media, "roles": ["data"]} for band in (*BANDS, "SCL")
        }
        return {
            "type": "Feature",
            "stac_version": "1.0.0",
            "id": self.id,
            "collection": "sentinel-2-l2a",
            "geometry": geometry,
            "bbox": [min(lon), min(lat), max(lon), max(lat)],
            "properties": {
                "datetime": self.acquired,
                "eo:cloud_cover": self.cloud,
                "s2:processing_baseline": self.baseline,
                **self.properties,
            },
            "links": [],
            "assets": assets,
        }

    def _transform(self, metres: int) -> Affine:
        return Affine(metres, 0, self.west, 0, -metres, self.north)


def write_catalogue(folder: Path, scenes: Sequence[MadeScene]) -> Path:
    """Writes scenes and an ItemCollection of them; returns the collection's file."""
    return write_items(folder, [scene.write(folder) for scene in scenes])


def write_items(folder: Path, items: Sequence[Mapping[str, Any]]) -> Path:
    """Writes an ItemCollection."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "items.json"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": list(items)}))
    return file


def _write_cog(
    file: Path, pixels: NDArray[Any], transform: Affine, block: int, resampling: Resampling = Resampling.average
) -> None:
    height, width = pixels.shape
    profile = {"driver": "GTiff", "count": 1, "dtype": pixels.dtype.name, "height": height, "width": width, "nodata": 0}
    layout = {"tiled": True, "blockxsize": block, "blockysize": block, "compress": "deflate", "predictor": 2}
    place = {"crs": f"EPSG:{_EPSG}", "transform": transform}
    with rasterio.open(file, "w", **profile, **layout, **place) as dataset:
        dataset.write(pixels, 1)
        dataset.build_overviews([2, 4], resampling)
