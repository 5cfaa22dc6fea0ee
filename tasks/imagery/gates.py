"""What makes an image unusable: nothing there, black, white, or under clouds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.imagery.bands import NO_DATA, Pixels
from tasks.landcover.classes import ID_OF_TOKEN

_CLOUDY = (3, 8, 9, 10)
"""Codes of level 2A's scene classification: cloud shadow, clouds of medium and of high probability, thin cirrus."""

_MOST_BLACK = 0.2
_MOST_WHITE = 0.2
_WHITE = 230
"""The two gates of SatlasPretrain, from which the original takes its tiles: black in all channels, or above this."""


def cloud_share(classes: NDArray[np.unsignedinteger]) -> float:
    """The share of cloudy pixels of a scene classification (height, width), of those that carry a class."""
    valid = np.count_nonzero(classes)
    return float(np.isin(classes, _CLOUDY).sum() / valid) if valid else 0.0


def missing_share(pixels: Pixels) -> float:
    """The share of pixels (bands, height, width) that carry no data in some band."""
    return float((pixels == NO_DATA).any(axis=0).mean())


def incomplete(missing: float) -> str | None:
    """Why a chip of which a share is missing is not taken; None where all is there."""
    return f"partial: {_percent(missing)} of its pixels carry no data" if missing else None


def cloudy(share: float, most: float) -> str | None:
    """Why a chip is not taken for its clouds.

    Args:
        share: the share of cloudy pixels.
        most: most cloud cover, in percent.
    """
    return f"cloudy: {_percent(share)} of its pixels, over {most:g} %" if 100 * share > most else None


def bleak(picture: NDArray[np.uint8], ids: NDArray[np.uint8]) -> str | None:
    """Why a picture is taken for black or white.

    Where the land cover has snow, white is as it should be.

    Args:
        picture: red, green and blue, shape (height, width, 3).
        ids: the land cover's class ids, shape (height, width).
    """
    black = float((picture == 0).all(axis=-1).mean())
    if black > _MOST_BLACK:
        return f"black: {_percent(black)} of its pixels, over {_percent(_MOST_BLACK)}"
    white = float(((picture > _WHITE).all(axis=-1) & (ids != ID_OF_TOKEN["snow"])).mean())
    if white > _MOST_WHITE:
        return f"white: {_percent(white)} of its pixels are white and no snow, over {_percent(_MOST_WHITE)}"
    return None


def _percent(share: float) -> str:
    """A share for people: what is there never reads 0."""
    return f"{100 * share:.0f} %" if share == 0 or share >= 0.01 else f"{max(100 * share, 0.001):.3f} %"
