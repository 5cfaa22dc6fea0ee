"""Shares as whole numbers, and how few pixels are noise."""

from __future__ import annotations

_TRACE = 20
"""Fewer pixels than this are no class of note, in a map of 256 x 256 px and in a patch of 128 x 128 px."""

MAP_PIXELS = 256 * 256
PATCH_PIXELS = 128 * 128


def whole_percent(part: int, whole: int) -> int:
    """A share in whole percent, rounded half up in integers: floats would put 99 of 200 at 49."""
    return (200 * part + whole) // (2 * whole)


def least_pixels(pixels: int, published: int) -> int:
    """From how many pixels on a class is of note, in a map or patch of another size than the published one.

    Args:
        pixels: pixels of the map or patch.
        published: pixels of the published one, `MAP_PIXELS` or `PATCH_PIXELS`.
    """
    return max(1, (2 * _TRACE * pixels + published) // (2 * published))
