"""A folder of ready-made rasters: their IDs, their codes or colours, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rasters import SATLAS, as_raster, noise, sliced_counts, write_raster

from tasks.errors import InputError, SourceError
from tasks.landcover.chips import chip_id, find_chips, footprints, read_chip
from tasks.landcover.classes import COLOURS, ClassTable, built_in_products
from tasks.landcover.pictures import palette_png
from tasks.statistics.chips import ChipChunk
from tasks.storage import Place

TERRAMESH = built_in_products()["terramesh"]
UTM = {"crs": "EPSG:32632", "transform": Affine(10, 0, 500_000, 0, -10, 5_100_000)}
IDS = noise((32, 48), range(12))


def written_png(path: Path, pixels: np.ndarray, mode: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path)
    return path


def coloured(ids: np.ndarray) -> np.ndarray:
    return np.array(COLOURS, dtype=np.uint8)[ids]


def touched(folder: Path, *names: str) -> Place:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return Place(str(folder))


def read(path: Path, table: ClassTable = SATLAS) -> np.ndarray:
    return read_chip(as_raster(path), table)


def failure(path: Path, table: ClassTable = SATLAS) -> str:
    with pytest.raises(SourceError) as error:
        read(path, table)
    assert list(error.value.reasons) == [path.name]
    return error.value.reasons[path.name]


@pytest.mark.parametrize(
    ("name", "tile_id"),
    [
        ("coast.tif", "coast"),
        ("a/b c.tif", "a__b-c"),
        ("a/b/c_1-2.PNG", "a__b__c_1-2"),
        ("v1.0/map.tiff", "v1-0__map"),
        ("São Tomé.png", "S-o-Tom-"),
        ("a.b.tif", "a-b"),
    ],
)
def test_an_id_is_made_of_the_path(name: str, tile_id: str) -> None:
    assert chip_id(name) == tile_id


@given(st.text(min_size=1).filter(lambda text: "\0" not in text))
def test_an_id_has_letters_digits_dashes_and_underscores_only(text: str) -> None:
    assert set(chip_id(f"{text}.tif")) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")


def test_a_folder_is_searched_through_by_path(tmp_path: Path) -> None:
    source = touched(
        tmp_path, "b.tif", "a/z.TIF", "a/b.png", "c.tiff", "readme.md", ".hidden.tif", ".git/x.tif", "d.vrt"
    )
    assert [chip.raster.name for chip in find_chips(source)] == ["a/b.png", "a/z.TIF", "b.tif", "c.tiff"]
    assert [chip.tile_id for chip in find_chips(source)] == ["a__b", "a__z", "b", "c"]


@pytest.mark.parametrize("names", [("a/b.tif", "a__b.png"), ("a b.tif", "a.b.tif"), ("a.tif", "a.png")])
def test_two_chips_of_one_id_are_both_named(tmp_path: Path, names: tuple[str, str]) -> None:
    with pytest.raises(InputError) as error:
        find_chips(touched(tmp_path, *names))
    assert all(name in str(error.value) for name in names)


def test_a_folder_without_chips_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no chip found; looked for files ending with \.tif, \.tiff, \.png"):
        find_chips(touched(tmp_path, "readme.md"))


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16"])
def test_a_geotiff_holds_codes(tmp_path: Path, dtype: str) -> None:
    path = write_raster(tmp_path / "map.tif", IDS.astype(dtype), **UTM)
    assert (read(path) == IDS).all()


def test_a_products_codes_become_ids(tmp_path: Path) -> None:
    codes = noise((8, 8), sorted(TERRAMESH.ids))
    path = write_raster(tmp_path / "map.tif", codes, **UTM)
    assert read(path, TERRAMESH).tolist() == [[TERRAMESH.ids[int(code)] for code in row] for row in codes]


def test_a_geotiffs_own_no_data_and_mask_are_no_data(tmp_path: Path) -> None:
    tagged = write_raster(tmp_path / "tagged.tif", np.where(IDS == 4, 99, IDS).astype(np.uint8), **UTM, nodata=99)
    assert (read(tagged) == np.where(IDS == 4, 0, IDS)).all()
    mask = np.where(IDS == 4, 0, 255).astype(np.uint8)
    masked = write_raster(tmp_path / "masked.tif", np.where(IDS == 4, 99, IDS).astype(np.uint8), **UTM, mask=mask)
    assert (read(masked) == np.where(IDS == 4, 0, IDS)).all()


@pytest.mark.parametrize("nodata", [{}, {-1: 0}, {300: 0}])
def test_a_mask_needs_no_code_for_no_data(tmp_path: Path, nodata: dict[int, int]) -> None:
    """A table may know no code for no data, or one that the file's type cannot hold."""
    table = ClassTable("own", {code: code for code in range(1, 12)} | nodata)
    mask = np.where(IDS == 0, 0, 255).astype(np.uint8)
    path = write_raster(tmp_path / "map.tif", IDS, **UTM, mask=mask)
    assert (read(path, table) == IDS).all()


@pytest.mark.parametrize("mode", [None, "RGBA"])
def test_a_png_holds_the_legends_colours(tmp_path: Path, mode: str | None) -> None:
    assert (read(written_png(tmp_path / "map.png", coloured(IDS), mode)) == IDS).all()


def test_a_png_with_a_palette_holds_the_legends_colours(tmp_path: Path) -> None:
    (tmp_path / "map.png").write_bytes(palette_png(IDS))
    assert (read(tmp_path / "map.png") == IDS).all()


def test_transparent_pixels_are_no_data_whatever_their_colour(tmp_path: Path) -> None:
    opacity = np.where(IDS == 3, 0, 255).astype(np.uint8)
    pixels = np.dstack([np.where(IDS[..., None] == 3, 77, coloured(IDS)).astype(np.uint8), opacity])
    assert (read(written_png(tmp_path / "map.png", pixels)) == np.where(IDS == 3, 0, IDS)).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_grey_png_holds_codes(tmp_path: Path, dtype: type) -> None:
    codes = np.where(IDS == 0, 1, IDS)
    path = written_png(tmp_path / "map.png", codes.astype(dtype))
    assert (read(path) == codes).all()
    assert failure(path, TERRAMESH).endswith("which the product's class table does not know")


@pytest.mark.parametrize(
    ("pixel", "said"),
    [
        ((0, 0, 254, 255), "has colour 0,0,254, which is not in the legend"),
        ((1, 192, 0, 255), "has colour 1,192,0, which is not in the legend"),
        ((0, 0, 255, 254), "has colour 0,0,255 (opacity 254 of 255)"),
    ],
)
def test_a_colour_off_by_one_names_file_pixel_and_colour(
    tmp_path: Path, pixel: tuple[int, int, int, int], said: str
) -> None:
    pixels = np.dstack([coloured(IDS), np.full(IDS.shape, 255, dtype=np.uint8)])
    pixels[7, 13] = pixel
    reason = failure(written_png(tmp_path / "map.png", pixels))
    assert reason.startswith(f"pixel at row 7, column 13 {said}")


def test_a_tables_own_colours(tmp_path: Path) -> None:
    table = ClassTable("own", {1: 1, 2: 3}, {(10, 20, 30): 1, (40, 50, 60): 3})
    pixels = np.full((4, 4, 3), (10, 20, 30), dtype=np.uint8)
    pixels[0, 0] = (40, 50, 60)
    assert read(written_png(tmp_path / "map.png", pixels), table).tolist() == [[3, 1, 1, 1], *[[1] * 4] * 3]
    pixels[1, 2] = COLOURS[1]
    assert "row 1, column 2 has colour 0,0,255" in failure(written_png(tmp_path / "map.png", pixels), table)


@pytest.mark.parametrize("shape", [(223, 224), (224, 223), (2, 4), (6, 6)])
@pytest.mark.parametrize("suffix", ["tif", "png"])
def test_sides_that_four_does_not_divide_are_refused(tmp_path: Path, shape: tuple[int, int], suffix: str) -> None:
    path = tmp_path / f"map.{suffix}"
    codes = np.ones(shape, dtype=np.uint8)
    if suffix == "tif":
        write_raster(path, codes, **UTM)
    else:
        written_png(path, codes)
    assert failure(path) == f"is {shape[1]} x {shape[0]} px; expected sides that can be divided by four"


def test_what_is_no_map_of_codes_is_refused(tmp_path: Path) -> None:
    floats = write_raster(tmp_path / "floats.tif", np.ones((4, 4), np.float32), **UTM)
    assert "float32 pixels" in failure(floats)
    bands = tmp_path / "bands.tif"
    with rasterio.open(bands, "w", driver="GTiff", width=4, height=4, count=3, dtype="uint8", **UTM) as raster:
        raster.write(np.ones((3, 4, 4), np.uint8))
    assert "has 3 bands" in failure(bands)
    unknown = write_raster(tmp_path / "unknown.tif", np.full((4, 4), 12, np.uint8), **UTM)
    assert failure(unknown).startswith("pixel at row 0, column 0 has code 12")


@pytest.mark.parametrize("suffix", ["tif", "png"])
@pytest.mark.parametrize("share", [0, 0.05, 0.5, 0.95])
def test_a_chip_cut_short_names_itself(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"map.{suffix}"
    ids = noise((224, 224), range(12))
    if suffix == "tif":
        write_raster(path, ids, **UTM, compress="deflate")
    else:
        written_png(path, coloured(ids))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert "damaged or cut short?" in failure(path)


@pytest.mark.parametrize("suffix", ["tif", "png"])
def test_a_chip_that_is_something_else_names_itself(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"map.{suffix}"
    path.write_text("no picture")
    assert "damaged or cut short?" in failure(path)


def test_chips_are_counted_together_and_all_unusable_ones_named(tmp_path: Path) -> None:
    first = write_raster(tmp_path / "a.tif", IDS, **UTM)
    second = written_png(tmp_path / "b.png", coloured(noise((224, 224), range(12), 1)))
    chunk = ChipChunk((as_raster(first), as_raster(second)), SATLAS)
    assert chunk.count().tolist() == [sliced_counts(ids).tolist() for ids in chunk.maps()]
    small = write_raster(tmp_path / "c.tif", IDS[:3], **UTM)
    with pytest.raises(SourceError) as error:
        ChipChunk((as_raster(tmp_path / "gone.tif"), as_raster(first), as_raster(small)), SATLAS).count()
    assert sorted(error.value.reasons) == ["c.tif", "gone.tif"]


def test_footprints_of_georeferenced_chips_and_of_others(tmp_path: Path) -> None:
    write_raster(tmp_path / "a_placed.tif", IDS, **UTM)
    write_raster(tmp_path / "b_nowhere.tif", IDS, None, None)
    written_png(tmp_path / "c_png.png", coloured(IDS))
    (tmp_path / "d_broken.tif").write_text("no raster")
    centres, rings, unreadable = footprints(find_chips(Place(str(tmp_path))))
    # Easting 500,000 is the central meridian, 9 E; at 46.05 N 480 m are 0.0062 degrees across, 320 m 0.0029 along.
    assert rings[0, 0] == pytest.approx([9.0, 46.0531], abs=1e-3)
    assert centres[0] == pytest.approx([9.0 + 0.0031, 46.0531 - 0.0014], abs=1e-3)
    assert rings[0, 0].tolist() == rings[0, -1].tolist()
    assert rings[0, :, 0].max() - rings[0, :, 0].min() == pytest.approx(0.0062, abs=2e-4)
    assert np.isnan(centres[1:]).all()
    assert np.isnan(rings[1:]).all()
    assert list(unreadable) == ["d_broken.tif"]


def test_a_chip_across_the_antimeridian_is_in_one_piece(tmp_path: Path) -> None:
    place = {"crs": "EPSG:32660", "transform": Affine(10, 0, 833_800, 0, -10, 5_000)}
    write_raster(tmp_path / "fiji.tif", noise((224, 224), range(12)), **place)
    centres, rings, _ = footprints(find_chips(Place(str(tmp_path))))
    assert np.ptp(rings[0, :, 0]) < 0.03
    assert abs(centres[0, 0]) <= 180
    assert rings[0, :, 0].min() < centres[0, 0] < rings[0, :, 0].max()


def test_real_chips_are_counted(real_data: Path | None, tmp_path: Path) -> None:
    """The real ones where they are at hand, else made ones laid out alike."""
    if real_data:
        source = real_data / "chips" / "landcover"
    else:
        source = tmp_path
        for index in range(3):
            write_raster(source / f"{index}.tif", noise((224, 224), [1, 2, 3, 4, 5, 6, 7, 8, 9], index), **UTM)
    chips = find_chips(Place(str(source)))
    counts = ChipChunk(tuple(chip.raster for chip in chips), TERRAMESH).count()
    assert len(chips) >= 3
    assert (counts[:, 0].sum(axis=1) == 224 * 224).all()
    for index, chip in enumerate(chips):
        with rasterio.open(chip.raster.place.url) as raster:
            codes = raster.read(1)
        assert counts[index, 0, 3] == (codes == 2).sum()
        assert counts[index, 1, 1] == (codes[:112, :112] == 1).sum()
    centres, _, unreadable = footprints(chips)
    assert not unreadable
    assert np.isfinite(centres).all()
