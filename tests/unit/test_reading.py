"""The separable gather against GDAL's own nearest warp, pixel for pixel; and what of a file is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasters import (
    PER_DEGREE,
    SATLAS,
    SIDE,
    WORLDCOVER,
    WORLDCOVER_CODES,
    as_raster,
    first_of,
    gdal_tile,
    noise,
    sliced_counts,
    spoil,
    write_raster,
    write_worldcover,
)

from tasks.errors import SourceError
from tasks.grid import tile_under
from tasks.landcover.catalogue import Raster
from tasks.landcover.reading import Reach, opened, windows
from tasks.statistics.blocks import GridChunk

CODES = [0, *WORLDCOVER_CODES]


def around(lon: float, lat: float, columns: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Tiles around a point, of which the point's own is the last in each direction but one."""
    x, y = tile_under(np.array([lon]), np.array([lat]))
    left, top = int(x[0]) - columns + 2, int(y[0]) - rows + 2
    xs, ys = np.meshgrid(np.arange(left, left + columns) % 16384, np.arange(top, top + rows))
    return xs.ravel().astype(np.int32), ys.ravel().astype(np.int32)


def noisy_file(folder: Path, west: int, south: int, lon: float, lat: float, half: int = 1100) -> Raster:
    """A file of 36,000 px whose pixels around a point are noise."""
    row, column = round((south + 3 - lat) * PER_DEGREE), round((lon - west) * PER_DEGREE)
    codes = noise((2 * half, 2 * half), CODES, seed=abs(west) + abs(south))
    path = write_worldcover(folder, west, south, {(row - half, column - half): codes})
    return as_raster(path, (west, south, west + 3, south + 3))


def agrees_with_gdal(rasters: list[Raster], x: np.ndarray, y: np.ndarray) -> int:
    """Asserts that maps and counts are those of GDAL; returns how many pixels carry a class."""
    chunk = GridChunk(x, y, tuple(rasters), WORLDCOVER.ids)
    maps, counts = chunk.maps(), chunk.count()
    for index in range(len(x)):
        expected = first_of(
            [gdal_tile(Path(raster.place.url), int(x[index]), int(y[index]), WORLDCOVER) for raster in rasters]
        )
        assert (maps[index] != expected).sum() == 0
        assert counts[index].tolist() == sliced_counts(expected).tolist()
    return int((maps > 0).sum())


@pytest.mark.parametrize(
    ("west", "south", "lon", "lat"),
    [(6, 0, 7.3, 1.21), (9, 45, 10.1, 46.4), (9, 57, 11.2, 58.3), (24, 69, 25.5, 70.35), (-72, -36, -70.6, -33.45)],
)
def test_the_gather_is_gdals_warp_at_every_latitude(
    tmp_path: Path, west: int, south: int, lon: float, lat: float
) -> None:
    raster = noisy_file(tmp_path, west, south, lon, lat)
    assert agrees_with_gdal([raster], *around(lon, lat, 4, 3)) > 10 * 50_000


@pytest.mark.parametrize(
    ("corners", "lon", "lat"),
    [
        ([(6, 0), (9, 0)], 9.0, 1.5),
        ([(6, 0), (6, 3)], 7.5, 3.0),
        ([(6, 45), (9, 45), (6, 48), (9, 48)], 9.0, 48.0),
        ([(0, 0), (-3, 0), (0, -3), (-3, -3)], 0.0, 0.0),
    ],
)
def test_tiles_across_files_are_put_together(
    tmp_path: Path, corners: list[tuple[int, int]], lon: float, lat: float
) -> None:
    rasters = [noisy_file(tmp_path, west, south, lon, lat, half=700) for west, south in corners]
    assert agrees_with_gdal(rasters, *around(lon, lat, 3, 3)) > 7 * 50_000


def test_tiles_on_both_sides_of_the_antimeridian(tmp_path: Path) -> None:
    east = noisy_file(tmp_path, 177, 0, 180.0, 1.0, half=700)
    west = noisy_file(tmp_path, -180, 0, -180.0, 1.0, half=700)
    x, y = around(-179.999, 1.0, 4, 2)
    assert {0, 1, 16382, 16383} == set(x.tolist())
    for side, raster in ((x < 8192, west), (x > 8192, east)):
        agrees_with_gdal([raster], x[side], y[side])
    assert agrees_with_gdal([east, west], x, y) > 6 * 50_000


def test_a_lacking_neighbour_is_no_data(tmp_path: Path) -> None:
    raster = noisy_file(tmp_path, 6, 0, 9.0, 1.5, half=700)
    x, y = around(9.0, 1.5, 3, 1)
    counts = GridChunk(x, y, (raster,), WORLDCOVER.ids).count()
    assert (counts[:, 0].sum(axis=1) == 65_536).all()
    assert counts[-1, 0, 0] == 65_536
    assert 0 < counts[-2, 0, 0] < 65_536


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 15), min_size=1, max_size=5, unique=True))
def test_a_tile_does_not_depend_on_what_it_is_read_with(noisy: Raster, some: list[int]) -> None:
    x, y = around(7.3, 1.21, 4, 4)
    everything = GridChunk(x, y, (noisy,), WORLDCOVER.ids).count()
    assert GridChunk(x[some], y[some], (noisy,), WORLDCOVER.ids).count().tolist() == everything[some].tolist()


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Raster:
    return noisy_file(tmp_path_factory.mktemp("noisy"), 6, 0, 7.3, 1.21)


spans = st.tuples(st.integers(0, 3999), st.integers(0, 600)).map(lambda span: (span[0], min(span[0] + span[1], 3999)))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(spans, spans), min_size=1, max_size=12),
    st.sampled_from([(1024, 1024), (512, 256), (1, 4000), (4000, 4000)]),
)
def test_windows_cover_each_touched_block_once_and_no_other(
    wanted: list[tuple[tuple[int, int], tuple[int, int]]], block: tuple[int, int]
) -> None:
    top, left = min(rows[0] for rows, _ in wanted), min(columns[0] for _, columns in wanted)
    bottom, right = max(rows[1] for rows, _ in wanted), max(columns[1] for _, columns in wanted)
    part = Reach(np.arange(top, bottom + 1), np.arange(left, right + 1), 0, 0)
    read = np.zeros((4000, 4000), dtype=np.uint8)
    blocks: list[tuple[int, int]] = []
    for window in windows(wanted, block, part):
        rows = slice(window.row_off, window.row_off + window.height)
        columns = slice(window.col_off, window.col_off + window.width)
        assert top <= rows.start < rows.stop <= bottom + 1
        assert left <= columns.start < columns.stop <= right + 1
        read[rows, columns] += 1
        blocks += [
            (row, column)
            for row in range(rows.start // block[0], (rows.stop - 1) // block[0] + 1)
            for column in range(columns.start // block[1], (columns.stop - 1) // block[1] + 1)
        ]
    touched = {
        (row, column)
        for rows, columns in wanted
        for row in range(rows[0] // block[0], rows[1] // block[0] + 1)
        for column in range(columns[0] // block[1], columns[1] // block[1] + 1)
    }
    assert sorted(blocks) == sorted(touched)
    assert read.max() == 1
    assert all((read[rows[0] : rows[1] + 1, columns[0] : columns[1] + 1] == 1).all() for rows, columns in wanted)


def test_only_the_blocks_that_tiles_touch_are_read(tmp_path: Path) -> None:
    """Every other block is spoilt, and the counts are as before."""
    lon, lat = 7.3, 1.21
    raster = noisy_file(tmp_path, 6, 0, lon, lat)
    x, y = around(lon, lat, 8, 8)
    # Two tiles in corners of the area: between them lie blocks that neither touches.
    x, y = x[[0, -1]], y[[0, -1]]
    before = GridChunk(x, y, (raster,), WORLDCOVER.ids).count()
    touched = set()
    for index in range(2):
        west, north = x[index] * 360 / 16384 - 180, np.degrees(np.arctan(np.sinh(np.pi * (1 - y[index] / 8192))))
        south = np.degrees(np.arctan(np.sinh(np.pi * (1 - (y[index] + 1) / 8192))))
        rows = [int((3 - edge) * PER_DEGREE) // 1024 for edge in (north, south)]
        columns = [int((edge - 6) * PER_DEGREE) // 1024 for edge in (west, west + 360 / 16384)]
        touched |= {
            (row, column) for row in range(rows[0], rows[1] + 1) for column in range(columns[0], columns[1] + 1)
        }
    assert spoil(Path(raster.place.url), keep=touched) >= 3
    assert GridChunk(x, y, (raster,), WORLDCOVER.ids).count().tolist() == before.tolist()
    assert before[:, 0, 1:].sum() > 40_000


def failure(raster: Raster, x: np.ndarray, y: np.ndarray, table: object = WORLDCOVER) -> str:
    with pytest.raises(SourceError) as error:
        GridChunk(x, y, (raster,), table.ids).count()
    assert list(error.value.reasons) == [raster.name]
    return error.value.reasons[raster.name]


def test_a_corrupt_block_names_file_and_pixels(tmp_path: Path) -> None:
    raster = noisy_file(tmp_path, 6, 0, 7.3, 1.21)
    assert spoil(Path(raster.place.url))
    reason = failure(raster, *around(7.3, 1.21, 1, 1))
    assert reason.startswith("cannot be read in rows 2")
    assert "damaged or cut short?" in reason


@pytest.mark.parametrize("share", [0.0, 0.00001, 0.1, 0.7])
def test_a_file_cut_short_names_itself(tmp_path: Path, share: float) -> None:
    raster = noisy_file(tmp_path, 6, 0, 7.3, 1.21)
    path = Path(raster.place.url)
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * share))
    reason = failure(raster, *around(7.3, 1.21, 4, 4))
    assert "damaged or cut short?" in reason


def test_an_unknown_code_names_its_pixel_in_the_file(tmp_path: Path) -> None:
    raster = noisy_file(tmp_path, 6, 0, 7.3, 1.21)
    x, y = around(7.3, 1.21, 2, 2)
    # Every code but 10 unknown: the first that is met is named, where it is.
    few = {0: 0, **{code: index for code, index in WORLDCOVER.ids.items() if code != 95}}
    table = type(WORLDCOVER)("few", few)
    for work in (lambda chunk: chunk.count(), lambda chunk: chunk.maps()):
        with pytest.raises(SourceError) as error:
            work(GridChunk(x, y, (raster,), table.ids))
        words = error.value.reasons[raster.name].replace(",", "").split()
        row, column = int(words[words.index("row") + 1]), int(words[words.index("column") + 1])
        with rasterio.open(raster.place.url) as file:
            assert file.read(1, window=((row, row + 1), (column, column + 1)))[0, 0] == 95
        assert "code 95" in error.value.reasons[raster.name]


def test_a_raster_of_floats_is_refused(tmp_path: Path) -> None:
    place = {"crs": "EPSG:4326", "transform": Affine(1 / PER_DEGREE, 0, 7.2, 0, -1 / PER_DEGREE, 1.3)}
    path = write_raster(tmp_path / "map.tif", np.ones((2000, 2000), np.float32), **place)
    assert "float32 pixels; expected whole numbers" in failure(as_raster(path), *around(7.25, 1.25, 1, 1))


def test_a_raster_without_crs_is_refused(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "map.tif", np.ones((20, 20), np.uint8), None, None)
    assert "no coordinate reference system" in failure(as_raster(path), *around(7.25, 1.25, 1, 1))


@pytest.mark.parametrize(
    "change",
    [
        {"width": SIDE // 2},
        {"height": SIDE - 1024},
        {"transform": Affine(1 / PER_DEGREE, 0, 9, 0, -1 / PER_DEGREE, 3)},
    ],
)
def test_a_file_that_does_not_fit_its_name_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    path = write_worldcover(tmp_path, 6, 0, {}, **change)
    reason = failure(as_raster(path, (6, 0, 9, 3)), *around(7.25, 1.25, 1, 1))
    assert "do not fit its name, which promises 6, 0 to 9, 3" in reason


def test_a_file_of_the_other_version_under_this_ones_name_is_refused(tmp_path: Path) -> None:
    tags = {"title": "ESA WorldCover product 2021", "product_version": "V2.0.0"}
    path = write_worldcover(tmp_path, 6, 0, {}, tags=tags)
    reason = failure(as_raster(path, (6, 0, 9, 3)), *around(7.25, 1.25, 1, 1))
    assert reason.startswith("is WorldCover v200 by its tags")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "cannot be opened" in failure(as_raster(tmp_path / "gone.tif"), *around(7.25, 1.25, 1, 1))


def test_all_unusable_rasters_are_named_at_once(tmp_path: Path) -> None:
    rasters = (as_raster(tmp_path / "a.tif"), as_raster(tmp_path / "b.tif"))
    with pytest.raises(SourceError) as error:
        GridChunk(*around(7.25, 1.25, 1, 1), rasters, SATLAS.ids).count()
    assert sorted(error.value.reasons) == ["a.tif", "b.tif"]


def test_an_open_raster_knows_its_own_no_data(tmp_path: Path) -> None:
    place = {"crs": "EPSG:4326", "transform": Affine(0.01, 0, 6, 0, -0.01, 3)}
    path = write_raster(tmp_path / "map.tif", np.ones((20, 20), np.uint8), **place, nodata=1)
    with opened(as_raster(path), SATLAS.ids) as source:
        assert source.ids[1] == 0
        assert source.is_separable
