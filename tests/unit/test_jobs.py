"""Jobs: tiles by source, what is left when a source fails, and how quickly a campaign of the world is shared out."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import xarray as xr
from affine import Affine
from rasters import SATLAS, WORLDCOVER, gdal_tile, noise, sliced_counts, worldcover_name, write_raster, write_worldcover

from tasks.grid import block_numbers, tile_under
from tasks.landcover.catalogue import LaidOut, Raster, catalogue
from tasks.landcover.chips import find_chips
from tasks.planning.areas import TileList, box
from tasks.planning.candidates import all_candidates
from tasks.planning.plan import Split, chip_rows, grid_rows
from tasks.statistics.jobs import Manifest, chip_jobs, grid_jobs, run_job
from tasks.statistics.table import all_counts, list_statistics
from tasks.storage import Place

SPLIT = Split({"train": 1.0}, "none", 0)
LAYOUT = WORLDCOVER.layout
assert LAYOUT is not None


def compute(lazy: xr.Dataset) -> xr.Dataset:
    return lazy.compute(scheduler="sync")


def counts_in(dataset: Path) -> dict[str, list[list[int]]]:
    return {
        tile_id: count
        for ids, counts in all_counts(Place(str(dataset)))
        for tile_id, count in zip(ids.to_pylist(), counts.tolist(), strict=True)
    }


def place_of(index: int) -> tuple[str, Affine]:
    return "EPSG:32632", Affine(10, 0, 500_000 + 4000 * index, 0, -10, 5_100_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three rasters side by side; the tiles around them need one or two of them."""
    folder = tmp_path / "maps"
    for index, name in enumerate(["a.tif", "b.tif", "c.tif"]):
        write_raster(folder / name, noise((400, 400), range(1, 12), index), *place_of(index))
    return folder


def rows_of(found: object) -> pa.Table:
    return grid_rows(all_candidates(found, None), found, SPLIT)


def test_a_job_for_each_source_with_all_its_tiles(folder: Path, tmp_path: Path) -> None:
    found = catalogue(Place(str(folder)), SATLAS)
    rows = rows_of(found)
    jobs = grid_jobs(rows, found, SATLAS)
    assert [job.label for job in jobs] == ["a", "b", "c"]
    assert sorted(tile for job in jobs for tile in job.tile_ids.to_pylist()) == sorted(
        rows.column("tile_id").to_pylist()
    )
    for job in jobs:
        manifest = run_job(job, Place(str(tmp_path)), compute)
        assert manifest == Manifest(manifest.file, len(job.tile_ids), {})
        assert manifest.file is not None
        assert Path(manifest.file).is_file()
    counted = counts_in(tmp_path)
    assert sorted(counted) == sorted(rows.column("tile_id").to_pylist())
    for tile_id in list(counted)[::5]:
        x, y = map(int, tile_id.split("_"))
        ids = np.maximum.reduce([gdal_tile(folder / name, x, y, SATLAS) for name in found.rasters])
        assert counted[tile_id] == sliced_counts(ids).tolist()


@pytest.mark.parametrize("how", ["cut short", "unknown code", "floats"])
def test_a_source_that_fails_takes_its_tiles_along_and_the_others_go_on(folder: Path, tmp_path: Path, how: str) -> None:
    found = catalogue(Place(str(folder)), SATLAS)
    rows = rows_of(found)
    before = {}
    for job in grid_jobs(rows, found, SATLAS):
        run_job(job, Place(str(tmp_path / "before")), compute)
    before = counts_in(tmp_path / "before")
    path = folder / "b.tif"
    if how == "cut short":
        path.write_bytes(path.read_bytes()[:1000])
    elif how == "unknown code":
        write_raster(path, np.full((400, 400), 99, np.uint8), *place_of(1))
    else:
        write_raster(path, np.ones((400, 400), np.float32), *place_of(1))
    manifests = [run_job(job, Place(str(tmp_path / "after")), compute) for job in grid_jobs(rows, found, SATLAS)]
    assert {name for manifest in manifests for name in manifest.failed} == {"b.tif"}
    need = found.needing("b.tif", rows.column("x").to_numpy(), rows.column("y").to_numpy())
    ids = np.array(rows.column("tile_id").to_pylist())
    after = counts_in(tmp_path / "after")
    assert sorted(after) == sorted(ids[~need])
    assert 0 < len(after) < len(ids)
    assert all(after[tile_id] == before[tile_id] for tile_id in after)
    assert manifests[1].file is None, "all tiles of b's own job need it"
    left = [path.name for path in (tmp_path / "after").rglob("*") if path.is_file()]
    assert len(left) == len(list_statistics(Place(str(tmp_path / "after")))) == 2, "nothing half-written"


def test_files_of_one_name_in_two_folders_are_two_jobs(tmp_path: Path) -> None:
    for index, name in enumerate(["north/map.tif", "south/map.tif", "other.tif"]):
        place = {"crs": "EPSG:32632", "transform": Affine(10, 0, 500_000, 0, -10, 5_100_000 - 9000 * index)}
        write_raster(tmp_path / name, np.ones((600, 600), np.uint8), **place)
    found = catalogue(Place(str(tmp_path)), SATLAS)
    assert [job.label for job in grid_jobs(rows_of(found), found, SATLAS)] == [
        "north/map.tif",
        "other",
        "south/map.tif",
    ]


def test_tiles_without_a_source_are_counted_as_no_data(tmp_path: Path) -> None:
    found = LaidOut(LAYOUT, {})
    rows = grid_rows(all_candidates(box([0.0, 0.0, 0.1, 0.1]), None), found, SPLIT)
    (job,) = grid_jobs(rows, found, WORLDCOVER)
    run_job(job, Place(str(tmp_path)), compute)
    counted = counts_in(tmp_path)
    assert len(counted) == len(rows)
    assert all(count[0] == [65_536, *[0] * 11] for count in counted.values())


def test_no_tile_is_no_job() -> None:
    found = LaidOut(LAYOUT, {})
    rows = grid_rows(all_candidates(TileList(np.empty(0, np.int32), np.empty(0, np.int32)), None), found, SPLIT)
    assert grid_jobs(rows, found, WORLDCOVER) == []


def test_a_laid_out_source_is_counted_across_its_files(tmp_path: Path) -> None:
    folder = tmp_path / LAYOUT.directory
    edge = noise((500, 500), [10, 50, 80])
    write_worldcover(folder, 6, 0, {(18_000, 35_500): edge})
    write_worldcover(folder, 9, 0, {(18_000, 0): edge})
    found = catalogue(Place(str(tmp_path)), WORLDCOVER)
    x, y = tile_under(np.array([8.999]), np.array([1.485]))
    rows = grid_rows(all_candidates(TileList(x, y), None), found, SPLIT)
    (job,) = grid_jobs(rows, found, WORLDCOVER)
    assert len(job.rasters) == 2
    run_job(job, Place(str(tmp_path)), compute)
    parts = [gdal_tile(folder / worldcover_name(west, 0), int(x[0]), int(y[0]), WORLDCOVER) for west in (6, 9)]
    assert counts_in(tmp_path) == {f"{x[0]}_{y[0]}": sliced_counts(np.maximum(*parts)).tolist()}


def test_chips_are_grouped_and_a_bad_one_falls_out_alone(tmp_path: Path) -> None:
    names = [f"{index:04d}" for index in range(520)]
    sound = write_raster(tmp_path / "maps" / "0000.tif", noise((4, 4), range(1, 12)), None, None).read_bytes()
    for name in names[1:]:
        (tmp_path / "maps" / f"{name}.tif").write_bytes(sound)
    (tmp_path / "maps" / "0007.tif").write_bytes(sound[:50])
    chips = find_chips(Place(str(tmp_path / "maps")))
    rows = chip_rows(chips, np.full((len(chips), 2), np.nan), {}, SPLIT)
    jobs = chip_jobs(rows, {chip.raster.name: chip.raster for chip in chips}, SATLAS)
    assert len(jobs) == 260
    assert len({job.label for job in jobs}) == len(jobs)
    assert jobs[3].label == "0006 to 0007 (2 sources)"
    manifest = run_job(jobs[3], Place(str(tmp_path)), compute)
    assert list(manifest.failed) == ["0007.tif"]
    assert list(counts_in(tmp_path)) == ["0006"]


def test_a_campaign_of_the_world_is_shared_out_quickly(tmp_path: Path) -> None:
    """2,651 files and 163,488 tiles: within 500 jobs, in a part of the 0.15 ms a tile that all orchestration has."""
    random = np.random.default_rng(0)
    corners = [(west, south) for south in range(-60, 84, 3) for west in range(-180, 180, 3)]
    rasters = {}
    for index in random.permutation(len(corners))[:2651]:
        west, south = corners[index]
        name = f"{LAYOUT.directory}/{worldcover_name(west, south)}"
        rasters[name] = Raster(name, Place(f"/none/{name}"), "1", (west, south, west + 3, south + 3))
    found = LaidOut(LAYOUT, dict(sorted(rasters.items())))
    numbers = random.choice(16384 * 11_000, 170_000, replace=False)
    x, y = (numbers % 16384).astype(np.int32), (numbers // 16384 + 1800).astype(np.int32)
    started = time.perf_counter()
    rows = grid_rows(all_candidates(TileList(x, y), None), found, SPLIT).slice(0, 163_488)
    jobs = grid_jobs(rows, found, WORLDCOVER)
    chunks = [chunk for job in jobs for chunk in job.chunks()]
    failing = list(found.rasters)[:20]
    for name in failing:
        found.needing(name, rows.column("x").to_numpy(), rows.column("y").to_numpy())
    needed = found.needed(rows.column("x").to_numpy(), rows.column("y").to_numpy())
    seconds = time.perf_counter() - started
    assert len(jobs) <= 500
    assert sum(len(chunk) for chunk in chunks) == len(rows) == sum(len(job.tile_ids) for job in jobs)
    assert len(needed) > 2651, "also those that are lacking"
    assert all(len(np.unique(block_numbers(chunk.x, chunk.y))) <= 16 for chunk in chunks)
    # Under load a machine is several times slower than at rest: here it takes 2 s, the limit is that of the whole.
    assert seconds < 163_488 * 0.15e-3
