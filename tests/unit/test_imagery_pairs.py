"""The user's own images beside their land cover: what becomes of each pair."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image

from tasks.errors import InputError
from tasks.imagery.files import map_path, picture_path, view_path
from tasks.imagery.pairs import Pair, PairGroup, images_by_tile
from tasks.imagery.table import Row
from tasks.landcover.chips import find_chips
from tasks.landcover.classes import built_in_products
from tasks.landcover.headers import unplaced_allowed
from tasks.storage import place

BANDS = ("B02", "B03", "B04", "B08")
SATLAS = built_in_products()["satlas"]
UTM = {"crs": "EPSG:32632", "transform": Affine(10, 0, 221_000, 0, -10, 8_500)}
SIDE = 64


def write(file: Path, pixels: np.ndarray, tags: dict[str, str] | None = None, **more: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = pixels.shape
    profile = {"driver": "GTiff", "count": count, "dtype": pixels.dtype, "height": height, "width": width}
    with unplaced_allowed(), rasterio.open(file, "w", **profile, **more) as dataset:
        dataset.write(pixels)
        dataset.update_tags(**(tags or {}))


def reflectances(count: int = 4, side: int = SIDE, kind: type = np.int16) -> np.ndarray:
    return np.random.default_rng(0).integers(200, 3_000, (count, side, side)).astype(kind)


def made(folder: Path, bands: tuple[str, ...] = BANDS) -> tuple[list[Row], Path]:
    """What becomes of the pairs of two folders."""
    chips = find_chips(place(folder / "landcover"))
    images = images_by_tile(place(folder / "images"))
    pairs = tuple(Pair(chip.tile_id, "here", chip.raster, images.get(chip.tile_id)) for chip in chips)
    dataset = folder / "dataset"
    return PairGroup(pairs, bands, SATLAS, str(folder / "images"), place(dataset)).make(), dataset


def landcover(folder: Path, name: str = "a/one.tif", **place: Any) -> None:
    ids = np.random.default_rng(1).integers(1, 7, (1, SIDE, SIDE)).astype(np.uint8)
    write(folder / "landcover" / name, ids, **(place or UTM))


def test_a_pair_becomes_a_chip_with_its_view_and_pictures(tmp_path: Path) -> None:
    pixels = reflectances()
    landcover(tmp_path)
    write(tmp_path / "images" / "a" / "one.tif", pixels, tags={"datetime": "2021-07-23T13:22:41"}, **UTM)
    (row,), dataset = made(tmp_path)
    assert (row["status"], row["tile_id"], row["scene"]) == ("done", "a__one", "a/one.tif")
    assert row["acquired"] == "2021-07-23T13:22:41"
    chip = row["chip"]
    assert chip is not None
    with rasterio.open(dataset / chip) as file:
        assert file.dtypes == ("uint16",) * 4
        assert (file.descriptions, file.crs, file.transform) == (BANDS, UTM["crs"], UTM["transform"])
        assert np.array_equal(file.read(), pixels)
        assert (file.profile["tiled"], file.block_shapes[0]) == (True, (256, 256))
    with rasterio.open(dataset / view_path(chip)) as file:
        view = file.read()
        assert view.dtype == np.uint8
        assert np.array_equal(view[3], pixels[3] // 32)
    with Image.open(dataset / picture_path(chip)) as picture:
        assert np.array_equal(np.asarray(picture), view[[2, 1, 0]].transpose(1, 2, 0))
    with Image.open(dataset / map_path(chip)) as picture:
        assert (picture.mode, picture.size) == ("P", (SIDE, SIDE))


def test_8_bit_pictures_without_georeference_are_images_too(tmp_path: Path) -> None:
    landcover(tmp_path, "one.png.tif", crs=None, transform=None)
    pixels = np.random.default_rng(0).integers(20, 200, (SIDE, SIDE, 3)).astype(np.uint8)
    (tmp_path / "images").mkdir()
    Image.fromarray(pixels).save(tmp_path / "images" / "one.png.png")
    (row,), dataset = made(tmp_path, ("red", "green", "blue"))
    assert row["status"] == "done", row
    with Image.open(dataset / picture_path(str(row["chip"]))) as picture:
        assert np.array_equal(np.asarray(picture), pixels)


SNOW_WHITE = np.full((4, SIDE, SIDE), 9_000, dtype=np.int16)
ELSEWHERE = UTM | {"transform": Affine(10, 0, 230_000, 0, -10, 8_500)}


@pytest.mark.parametrize(
    ("pixels", "more", "status", "reason"),
    [
        (None, {}, "rejected", "no image of its name in"),
        (reflectances(side=68), UTM, "rejected", "one.tif: is 68 x 68 px, its land cover 64 x 64"),
        (reflectances(), ELSEWHERE, "rejected", "one.tif: lies elsewhere than its land cover"),
        (np.zeros((4, SIDE, SIDE), dtype=np.int16), UTM, "rejected", "one.tif: black: 100 %"),
        (SNOW_WHITE, UTM, "rejected", "one.tif: white: 100 %"),
        (np.where(np.arange(SIDE) < 3, -9, reflectances()), UTM | {"nodata": -9}, "rejected", "partial: 5 % of its"),
        (
            reflectances(count=3),
            UTM,
            "failed",
            "has 3 bands; expected 4, those of `imagery.bands` (B02, B03, B04, B08)",
        ),
        (reflectances(kind=np.float32), UTM, "failed", "holds float32 pixels; expected whole numbers"),
    ],
)
def test_why_a_pair_is_left_out(
    pixels: np.ndarray | None, more: dict[str, Any], status: str, reason: str, tmp_path: Path
) -> None:
    landcover(tmp_path, "one.tif")
    write(tmp_path / "images" / "another.tif", reflectances())
    if pixels is not None:
        write(tmp_path / "images" / "one.tif", pixels.astype(np.int16) if "nodata" in more else pixels, **more)
    (row,), dataset = made(tmp_path)
    assert row["status"] == status
    assert reason in str(row["reason"])
    assert not dataset.exists()


def test_a_damaged_image_stops_no_other(tmp_path: Path) -> None:
    for name in ("one.tif", "two.tif"):
        landcover(tmp_path, name)
        write(tmp_path / "images" / name, reflectances(), **UTM)
    whole = (tmp_path / "images" / "one.tif").read_bytes()
    (tmp_path / "images" / "one.tif").write_bytes(whole[: len(whole) // 2])
    rows, _ = made(tmp_path)
    assert [row["status"] for row in rows] == ["failed", "done"]
    assert "one.tif: cannot be" in str(rows[0]["reason"])


def test_two_images_of_one_name_are_told(tmp_path: Path) -> None:
    for name in ("one.tif", "one.tiff"):
        write(tmp_path / "images" / name, reflectances(), **UTM)
    with pytest.raises(InputError, match=r"imagery\.source .*one\.tif and one\.tiff both belong to the tile one"):
        images_by_tile(place(tmp_path / "images"))
    with pytest.raises(InputError, match=r"imagery\.source .*no image found"):
        images_by_tile(place(tmp_path / "nothing"))
