"""What is added to a scene's pixels, by the catalogue's word and by the pixels' own.

From processing baseline 04.00 on, ESA adds 1,000 to every pixel, so that reflectances below zero can be stored.
Catalogues keep some scenes as they are and take it off of others, and are sometimes wrong about which. A scene has dark
pixels (water, shadow, woods; snow in the short-wave infrared): with the offset on, next to none is below 1,000, and
its darkest lie right above.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tasks.imagery.bands import NO_DATA
from tasks.imagery.scenes import OFFSET, Scene
from tasks.imagery.warping import opened, told
from tasks.storage import Place

_LOOKED_AT = ("B02", "B12")
"""Bands that between them are dark somewhere in nearly any scene."""

_SIDE = 343
"""Pixels along a side of what is looked at: one in 32 of 10 m, which a COG keeps beside the whole."""

_DARK_SHARE = 1.0
"""Percent of the pixels that are the dark ones."""

_BELOW = 900
"""Dark pixels below this are without the offset: reflectances of less than -0.01 are rarer than that."""

_ABOVE = 1_500
"""Dark pixels above this tell nothing: the scene may be a bright one."""


def added(scene: Scene, darkest: float) -> int:
    """What is to be taken off of a scene's pixels, 0 or `OFFSET`.

    Args:
        scene: the scene, with the catalogue's word.
        darkest: how bright its dark pixels are, see `darkness`.
    """
    if not may_be_added(scene) or darkest < _BELOW:
        return 0
    if OFFSET <= darkest < _ABOVE:
        return OFFSET
    return scene.added


def may_be_added(scene: Scene) -> bool:
    """Whether a scene's processing adds something at all."""
    return scene.added != 0 or (scene.baseline is not None and scene.baseline >= "04")


def take_off(pixels: NDArray[np.uint16], offset: int) -> NDArray[np.uint16]:
    """Pixels without what was added; what has data keeps it, as 1 at the least."""
    if not offset:
        return pixels
    kept = np.maximum(pixels.astype(np.int32) - offset, 1)
    return np.where(pixels == NO_DATA, NO_DATA, kept).astype(np.uint16)


@lru_cache(maxsize=4096)
def darkness(files: tuple[tuple[str, Place], ...]) -> float:
    """How bright the dark pixels of a scene are: of two bands the darker, its first percentile.

    Args:
        files: the scene's files by band.

    Raises:
        UnreadableError: a file cannot be read.
    """
    return min(_dark(band, file) for band, file in files if band in _LOOKED_AT)


def _dark(band: str, file: Place) -> float:
    with opened(band, file) as dataset:
        shape = tuple(min(side, _SIDE) for side in dataset.shape)
        with told(band, file):
            pixels = dataset.read(1, out_shape=shape)
    valid = pixels[pixels != NO_DATA]
    return float(np.percentile(valid, _DARK_SHARE)) if valid.size else float("inf")
