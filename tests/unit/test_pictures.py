"""Land-cover maps as pictures: the legend's colours exactly, and the same bytes every time."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tasks.landcover.classes import COLOURS
from tasks.landcover.pictures import palette_png


def pixels_of(png: bytes) -> np.ndarray:
    with Image.open(BytesIO(png)) as image:
        return np.asarray(image.convert("RGB"))


def test_every_pixel_has_its_colour_of_the_legend() -> None:
    ids = (np.arange(96, dtype=np.uint8) % 12).reshape(8, 12)
    assert np.array_equal(pixels_of(palette_png(ids)), np.asarray(COLOURS, dtype=np.uint8)[ids])


def test_a_step_keeps_pixels_and_mixes_none() -> None:
    ids = np.random.default_rng(0).integers(0, 12, (256, 256), dtype=np.uint8)
    assert np.array_equal(pixels_of(palette_png(ids, step=2)), np.asarray(COLOURS, dtype=np.uint8)[ids[::2, ::2]])


def test_rows_and_columns_keep_their_places() -> None:
    assert pixels_of(palette_png(np.zeros((4, 8), dtype=np.uint8))).shape == (4, 8, 3)


def test_the_same_map_gives_the_same_bytes() -> None:
    ids = np.random.default_rng(1).integers(0, 12, (64, 64), dtype=np.uint8)
    assert palette_png(ids) == palette_png(np.asfortranarray(ids))


@pytest.mark.parametrize(
    "ids",
    [
        np.full((4, 4), 12, dtype=np.uint8),
        np.zeros((4, 4), dtype=np.int32),
        np.zeros((1, 4, 4), dtype=np.uint8),
        np.zeros((0, 4), dtype=np.uint8),
    ],
)
def test_what_is_no_map_of_class_ids_is_refused(ids: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected class ids"):
        palette_png(ids)
