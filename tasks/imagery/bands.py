"""Sentinel-2's bands as chips hold them, and how they are seen as 8-bit pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

BANDS = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B11", "B12")
"""The nine bands of a chip, in their order: blue, green, red, three of the red edge, and three of the infrared."""

SCENE_CLASSES = "SCL"
"""Level 2A's scene classification, a code for each pixel of 20 m."""

QUANTIFICATION = 10_000
"""A chip's pixel is reflectance times this."""

COPERNICUS = "Contains modified Copernicus Sentinel data."
"""What the Sentinel data's legal notice asks of who passes on what was made from them; with the years, where known."""

NO_DATA = 0
"""Level 2A's pixel without data."""

_COMMON_NAMES = {
    "blue": "B02",
    "green": "B03",
    "red": "B04",
    "rededge1": "B05",
    "rededge2": "B06",
    "rededge3": "B07",
    "nir": "B08",
    "swir16": "B11",
    "swir22": "B12",
    "scl": SCENE_CLASSES,
}
"""What catalogues call the bands, beside their own names."""

_RED_GREEN_BLUE = ("B04", "B03", "B02")

_FULL = 255
_TRUE_COLOUR_WHITE = 3_558
"""The pixel that is 255 in a true-colour image of level 1C (Sentinel-2's user guide): what the original's are."""

_OTHERS_STEP = 32
"""What the original divides the other bands' pixels by."""

Pixels: TypeAlias = NDArray[np.uint16] | NDArray[np.uint8]
"""Bands of a chip, shape (bands, height, width)."""


def band_name(name: str) -> str:
    """A band by its own name, whatever a catalogue or a person calls it: `red` is `B04`, `b2` is `B02`."""
    known = _COMMON_NAMES.get(name.lower())
    if known:
        return known
    upper = name.upper()
    return f"B0{upper[1]}" if len(upper) == 2 and upper[0] == "B" and upper[1].isdigit() else upper


def eight_bit(pixels: Pixels, names: Sequence[str]) -> NDArray[np.uint8]:
    """Bands as the original set has them: the visible ones as in a true-colour image, the others divided by 32.

    Args:
        pixels: the bands, shape (bands, height, width); what is 8-bit already stays as it is.
        names: their names.

    Returns:
        The same bands from 0 to 255. In the visible ones 0 is no data alone.
    """
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint8)
    view = np.empty(pixels.shape, dtype=np.uint8)
    for band, name in enumerate(names):
        visible = band_name(name) in _RED_GREEN_BLUE
        view[band] = _true_colour(pixels[band]) if visible else np.minimum(pixels[band] // _OTHERS_STEP, _FULL)
    return view


def _true_colour(band: Pixels) -> NDArray[np.uint8]:
    wide = band.astype(np.uint32)
    rounded = (2 * _FULL * wide + _TRUE_COLOUR_WHITE) // (2 * _TRUE_COLOUR_WHITE)
    return np.where(band == NO_DATA, 0, np.clip(rounded, 1, _FULL)).astype(np.uint8)


def red_green_blue(view: NDArray[np.uint8], names: Sequence[str]) -> NDArray[np.uint8]:
    """The picture (height, width, 3) in an 8-bit view of bands; grey, of the first band, where a colour is missing."""
    own = [band_name(name) for name in names]
    shown = [own.index(name) for name in _RED_GREEN_BLUE] if set(_RED_GREEN_BLUE) <= set(own) else [0, 0, 0]
    return view[shown].transpose(1, 2, 0)
