"""What a STAC item says of a scene, in the ways in which catalogues say it; and what the pixels say of its offset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_scenes import MadeScene

from tasks.imagery.bands import BANDS
from tasks.imagery.offsets import added, darkness, take_off
from tasks.imagery.scenes import OFFSET, UnusableItemError, scene
from tasks.storage import Place

COMMON = dict(
    zip(BANDS, ("blue", "green", "red", "rededge1", "rededge2", "rededge3", "nir", "swir16", "swir22"), strict=True)
)


def item(assets: dict[str, Any] | None = None, **properties: Any) -> dict[str, Any]:
    made = MadeScene("S2A_32NKG_20200301_0_L2A", properties=properties).item()
    return made if assets is None else made | {"assets": assets}


def test_bands_are_found_by_their_own_names() -> None:
    found = scene(item())
    assert set(found.assets) == {*BANDS, "SCL"}
    assert (found.cloud, found.acquired, found.season) == (1.0, "2020-03-01T10:00:00+00:00", 1)


def test_bands_are_found_by_their_colours_and_geotiffs_go_first() -> None:
    assets = {f"{name}-jp2": {"href": f"s3://l1/{band}.jp2", "type": "image/jp2"} for band, name in COMMON.items()}
    cogs = {
        name: {"href": f"https://cogs/{band}.tif", "type": "image/tiff; application=geotiff; profile=cloud-optimized"}
        for band, name in COMMON.items()
    }
    found = scene(item(assets | cogs | {"visual": {"href": "https://cogs/TCI.tif", "eo:bands": [{"name": "red"}] * 3}}))
    assert found.assets == {band: f"https://cogs/{band}.tif" for band in BANDS}
    assert scene(item(assets)).assets["B02"] == "s3://l1/B02.jp2"


def test_the_finest_of_several_resolutions_is_taken() -> None:
    assets = {f"{band}_{metres}m": {"href": f"{band}_{metres}.tif"} for band in BANDS for metres in (60, 20, 10)}
    assert scene(item(assets)).assets["B05"] == "B05_10.tif"


def test_a_scene_without_a_band_is_unusable_and_says_so() -> None:
    made = item()
    del made["assets"]["B11"]
    with pytest.raises(UnusableItemError, match="no asset of B11"):
        scene(made)
    with pytest.raises(UnusableItemError, match="datetime"):
        scene(item(datetime="yesterday"))


@pytest.mark.parametrize(
    ("properties", "baseline", "stated"),
    [
        ({"s2:processing_baseline": "02.14"}, "02.14", 0),
        ({"s2:processing_baseline": "04.00"}, "04.00", OFFSET),
        ({"s2:processing_baseline": 5.1}, "05.10", OFFSET),
        ({"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": True}, "05.09", 0),
        ({"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": False}, "05.09", OFFSET),
        ({"s2:processing_baseline": "03.01", "earthsearch:boa_offset_applied": False}, "03.01", 0),
        ({"s2:processing_baseline": None, "s2:product_uri": "S2A_MSIL2A_X_N0511_R1.SAFE"}, "05.11", OFFSET),
        ({"s2:processing_baseline": None}, None, 0),
    ],
)
def test_the_catalogues_word_on_the_offset(properties: dict[str, Any], baseline: str | None, stated: int) -> None:
    found = scene(item(**properties))
    assert (found.baseline, found.added) == (baseline, stated)


def test_an_assets_own_offset_counts() -> None:
    made = item(**{"s2:processing_baseline": "05.09"})
    for asset in made["assets"].values():
        asset["raster:bands"] = [{"scale": 0.0001, "offset": 0}]
    assert scene(made).added == 0


@pytest.mark.parametrize("stated", [True, False])
@pytest.mark.parametrize("truly", [0, OFFSET])
def test_the_pixels_have_the_last_word(stated: bool, truly: int, tmp_path: Path) -> None:
    properties = {"earthsearch:boa_offset_applied": stated}
    made = MadeScene("S", side=5_120, baseline="05.09", added=truly, properties=properties)
    found = scene(made.write(tmp_path))
    files = tuple((band, Place(str(tmp_path / path))) for band, path in found.assets.items())
    assert added(found, darkness(files)) == truly


def test_old_baselines_and_bright_scenes_are_left_to_the_catalogue() -> None:
    old = scene(item(**{"s2:processing_baseline": "02.14"}))
    assert added(old, 1_200) == 0
    for stated in (True, False):
        bright = scene(item(**{"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": stated}))
        assert added(bright, 3_000) == (0 if stated else OFFSET)


def test_what_is_taken_off_leaves_data_as_data() -> None:
    pixels = np.array([[0, 1, 999, 1000, 1001, 65_535]], dtype=np.uint16)
    assert take_off(pixels, OFFSET).tolist() == [[0, 1, 1, 1, 1, 64_535]]
    assert take_off(pixels, 0).tolist() == pixels.tolist()
