"""The 8-bit view of bands, the gates that images must pass, and the names that bands go by."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.imagery.bands import BANDS, band_name, eight_bit, red_green_blue
from tasks.imagery.gates import bleak, cloud_share, cloudy, incomplete, missing_share
from tasks.landcover.classes import ID_OF_TOKEN

VISIBLE = {"B02", "B03", "B04"}
SNOW = ID_OF_TOKEN["snow"]


@given(st.sampled_from(BANDS), st.integers(0, 65_535))
def test_the_view_is_what_the_original_has(band: str, number: int) -> None:
    (((seen,),),) = eight_bit(np.full((1, 1, 1), number, dtype=np.uint16), (band,)).tolist()
    if band in VISIBLE:
        # A true-colour image: 255 from 3,558 on, and 0 for no data alone.
        assert seen == (0 if number == 0 else min(max(round(number * 255 / 3558), 1), 255))
    else:
        assert seen == min(number // 32, 255)


def test_what_is_8_bit_already_stays_as_it_is() -> None:
    pixels = np.arange(3 * 256, dtype=np.uint16).reshape(3, 16, 16).astype(np.uint8)
    assert np.array_equal(eight_bit(pixels, ("B04", "B03", "B02")), pixels)


def test_the_picture_is_red_green_and_blue_whatever_the_bands_are_called() -> None:
    view = np.stack([np.full((2, 2), value, dtype=np.uint8) for value in (10, 20, 30, 40)])
    assert red_green_blue(view, ("blue", "B03", "b4", "B08"))[0, 0].tolist() == [30, 20, 10]
    assert red_green_blue(view, ("VV", "VH", "B03", "B08"))[0, 0].tolist() == [10, 10, 10]


@pytest.mark.parametrize(
    ("told", "name"), [("B02", "B02"), ("b2", "B02"), ("B8A", "B8A"), ("red", "B04"), ("swir22", "B12"), ("scl", "SCL")]
)
def test_bands_have_one_name(told: str, name: str) -> None:
    assert band_name(told) == name


def picture(share: float, value: int, rest: int = 100) -> np.ndarray:
    seen = np.full((10, 10, 3), rest, dtype=np.uint8)
    seen.reshape(-1, 3)[: round(100 * share)] = value
    return seen


GRASS = np.full((10, 10), ID_OF_TOKEN["grass"], dtype=np.uint8)


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (picture(0.20, 0), None),
        (picture(0.21, 0), "black"),
        (picture(0.20, 231), None),
        (picture(0.21, 231), "white"),
        (picture(1.0, 230), None),
    ],
)
def test_a_fifth_may_be_black_or_white(seen: np.ndarray, reason: str | None) -> None:
    found = bleak(seen, GRASS)
    assert (found or "").split(":")[0] == (reason or "")


def test_snow_may_be_white() -> None:
    ids = GRASS.copy()
    ids.ravel()[:80] = SNOW
    assert bleak(picture(1.0, 255), ids) is None
    ids.ravel()[:79] = GRASS.ravel()[:79]
    assert (bleak(picture(1.0, 255), ids) or "").startswith("white: 99 %")


def test_clouds_are_counted_of_what_carries_a_class() -> None:
    classes = np.array([[0, 0, 4, 5], [3, 8, 9, 10]], dtype=np.uint8)
    assert cloud_share(classes) == pytest.approx(4 / 6)
    assert cloud_share(np.zeros((2, 2), dtype=np.uint8)) == 0
    assert cloudy(0.10, 10) is None
    assert cloudy(0.101, 10) == "cloudy: 10 % of its pixels, over 10 %"


def test_a_pixel_without_data_in_one_band_makes_a_chip_partial() -> None:
    pixels = np.ones((9, 256, 256), dtype=np.uint16)
    assert incomplete(missing_share(pixels)) is None
    pixels[4, 100, 100] = 0
    assert incomplete(missing_share(pixels)) == "partial: 0.002 % of its pixels carry no data"
