"""Sentinel-2 scenes as a STAC catalogue describes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import shapely

from tasks.imagery.bands import BANDS, SCENE_CLASSES, band_name

OFFSET = 1_000
"""What processing baseline 04.00 and later adds to every pixel (Sentinel-2's BOA_ADD_OFFSET)."""

_FIRST_WITH_OFFSET = (4, 0)
_BASELINE = re.compile(r"(\d{2})\.(\d{2})")
_BASELINE_IN_NAME = re.compile(r"_N(\d{2})(\d{2})_")
_GEOTIFF = re.compile(r"tiff?\b|geotiff", re.IGNORECASE)


class UnusableItemError(ValueError):
    """A STAC item that is no scene we can read; says why."""


@dataclass(frozen=True)
class Scene:
    """One scene.

    Attributes:
        id: its STAC ID.
        acquired: when it was taken, ISO 8601.
        cloud: cloud cover of the whole scene in percent.
        baseline: ESA's processing baseline, such as 05.09; None where the catalogue does not say.
        added: what the catalogue says was added to every pixel and is still there: 0 or `OFFSET`.
        assets: the files of the bands and, where there is one, of the scene classification, by band.
        footprint: its outline in degrees, as well-known binary.
    """

    id: str
    acquired: str
    cloud: float
    baseline: str | None
    added: int
    assets: Mapping[str, str]
    footprint: bytes

    @cached_property
    def outline(self) -> shapely.Geometry:
        """Its outline in degrees."""
        return shapely.from_wkb(self.footprint)

    @property
    def season(self) -> int:
        """The quarter of the year that it was taken in, 0 to 3; 0 begins in December."""
        return int(self.acquired[5:7]) % 12 // 3


def scene(item: Mapping[str, Any]) -> Scene:
    """The scene that a STAC item describes; addresses are taken as they are.

    Raises:
        UnusableItemError: a band, its time or its outline is missing.
    """
    properties = item.get("properties") or {}
    acquired = properties.get("datetime") or properties.get("start_datetime")
    try:
        acquired = datetime.fromisoformat(str(acquired)).isoformat()
        footprint = shapely.to_wkb(shapely.geometry.shape(item["geometry"]))
    except (ValueError, TypeError, KeyError, AttributeError, shapely.errors.ShapelyError) as error:
        raise UnusableItemError("has no usable datetime or geometry") from error
    assets = _assets(item.get("assets") or {})
    if not assets:
        raise UnusableItemError("has no asset of a band at a plain address (signed ones expire: they are not kept)")
    if lacking := [band for band in BANDS if band not in assets]:
        raise UnusableItemError(f"has no asset of {', '.join(lacking)}")
    baseline = _baseline(str(item.get("id", "")), properties)
    return Scene(
        id=str(item["id"]),
        acquired=acquired,
        cloud=float(properties.get("eo:cloud_cover") or 0.0),
        baseline=baseline,
        added=_added(baseline, properties, item["assets"], assets),
        assets={band: str(item["assets"][key]["href"]) for band, key in assets.items()},
        footprint=footprint,
    )


def _assets(assets: Mapping[str, Any]) -> dict[str, str]:
    """The key of each band's asset: a GeoTIFF before any other form, the finest pixels before coarser ones."""
    found: dict[str, tuple[tuple[bool, float, str], str]] = {}
    for key, asset in assets.items():
        band = _band(key, asset)
        if band is None or "href" not in asset:
            continue
        form = str(asset.get("type") or asset["href"])
        rank = (not _GEOTIFF.search(form), _resolution(key, asset), key)
        found[band] = min(found.get(band, (rank, key)), (rank, key))
    return {band: key for band, (_, key) in found.items()}


def _band(key: str, asset: Mapping[str, Any]) -> str | None:
    """The band that an asset holds, by its key, such as B02, B02_10m, blue or blue-jp2, else by its band's name."""
    named = [str(band.get("name", "")) for band in (asset.get("eo:bands") or asset.get("bands") or [])]
    candidates = [key, re.split(r"[_-]", key)[0], *(named if len(named) == 1 else [])]
    wanted = {*BANDS, SCENE_CLASSES}
    return next((band for band in map(band_name, candidates) if band in wanted), None)


def _resolution(key: str, asset: Mapping[str, Any]) -> float:
    """Metres of a pixel, as far as the asset says."""
    raster = (asset.get("raster:bands") or asset.get("bands") or [{}])[0]
    told = asset.get("gsd") or raster.get("spatial_resolution") or raster.get("raster:spatial_resolution")
    if told:
        return float(told)
    found = re.search(r"_(\d+)m$", key)
    return float(found[1]) if found else 0.0


def _baseline(name: str, properties: Mapping[str, Any]) -> str | None:
    """The processing baseline, as text: catalogues keep it as a text, a number, or in the product's name alone."""
    for key in ("s2:processing_baseline", "processing:version", "sentinel:processing_baseline"):
        if properties.get(key):
            value = properties[key]
            text = f"{float(value):05.2f}" if isinstance(value, int | float) else str(value)
            if _BASELINE.fullmatch(text):
                return text
    for text in (str(properties.get("s2:product_uri", "")), name):
        if found := _BASELINE_IN_NAME.search(text):
            return f"{found[1]}.{found[2]}"
    return None


def _added(
    baseline: str | None, properties: Mapping[str, Any], assets: Mapping[str, Any], keys: Mapping[str, str]
) -> int:
    """What the catalogue says is still added to every pixel; whether that is so, the pixels tell."""
    known = _BASELINE.fullmatch(baseline or "")
    if known and (int(known[1]), int(known[2])) < _FIRST_WITH_OFFSET:
        return 0
    applied = properties.get("earthsearch:boa_offset_applied", properties.get("sentinel:boa_offset_applied"))
    if applied is not None:
        return 0 if applied else OFFSET
    asset = assets[keys[BANDS[0]]]
    raster = (asset.get("raster:bands") or asset.get("bands") or [{}])[0]
    offset = raster.get("offset", raster.get("raster:offset", asset.get("raster:offset")))
    if offset is not None:
        return OFFSET if float(offset) < 0 else 0
    return OFFSET if known else 0
