"""Land-cover maps as pictures, in the legend's colours."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.landcover.classes import COLOURS, N_IDS

_PALETTE = bytes(channel for colour in COLOURS for channel in colour)


def palette_png(ids: NDArray[np.uint8], step: int = 1) -> bytes:
    """A PNG of a land-cover map: a palette image in exactly the legend's colours, the same bytes every time.

    Args:
        ids: class ids 0 to 11 by row from the north and column from the west, shape (height, width).
        step: keep every `step`-th row and column, from the first: nearest, never a mixture of two classes.

    Raises:
        ValueError: the ids are not a map of class ids.
    """
    if ids.ndim != 2 or ids.size == 0 or ids.dtype != np.uint8:
        raise ValueError(f"expected class ids of shape (height, width) as uint8, got {ids.dtype} {ids.shape}")
    if ids.max() >= N_IDS:
        raise ValueError(f"expected class ids 0 to {N_IDS - 1}, found {ids.max()}")
    kept = ids[::step, ::step]
    image = Image.frombytes("P", (kept.shape[1], kept.shape[0]), kept.tobytes())
    image.putpalette(_PALETTE)
    stream = BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()
