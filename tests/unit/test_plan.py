"""Planning a campaign: which tiles, in which order and split; from listings and headers alone."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasters import WORLDCOVER, noise, spoil, worldcover_name, write_raster, write_worldcover

from tasks.configuration import Campaign
from tasks.errors import InputError
from tasks.grid import block_numbers, tile_numbers
from tasks.landcover.catalogue import LaidOut
from tasks.planning.areas import TileList, box
from tasks.planning.candidates import all_candidates
from tasks.planning.choosing import Planned, choose, first_limit, plan_digest, survey_of
from tasks.planning.plan import Split, grid_rings, grid_rows, split_shares
from tasks.planning.table import write_tiles
from tasks.storage import Place

SHARES = {"train": 0.6, "val": 0.1, "test": 0.3}
AREA = [6.4, 0.0, 6.8, 0.4]
UTM = {"crs": "EPSG:32632", "transform": Affine(10, 0, 500_000, 0, -10, 5_100_000)}
LAYOUT = WORLDCOVER.layout
assert LAYOUT is not None


def campaign(folder: Path, **parts: Any) -> Campaign:
    content: dict[str, Any] = {"name": "test", "dataset": str(folder / "dataset")}
    content["landcover"] = {"product": "worldcover-2020", "source": str(folder)} | parts.pop("landcover", {})
    return Campaign.model_validate(content | parts)


def planned(config: Campaign, limit: int | None = None) -> Planned:
    return choose(config, survey_of(config), first_limit(config) if limit is None else limit)


def ids(found: Planned) -> list[str]:
    return found.tiles.column("tile_id").to_pylist()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file of the bucket's whose content is no raster at all: its name is enough to plan."""
    path = tmp_path / LAYOUT.directory / worldcover_name(6, 0)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no raster")
    return tmp_path


def test_a_source_laid_out_like_the_bucket_is_planned_without_opening_a_file(source: Path) -> None:
    found = planned(campaign(source, tiles={"area": AREA}))
    # 6.4 / w = 291.27 and 6.8 / w = 309.48: columns 8192 + 291 to + 308. 0.4 / w = 18.2: rows 8191 to 8174.
    assert len(ids(found)) == 18 * 18
    assert set(found.tiles.column("source").to_pylist()) == {f"{LAYOUT.directory}/{worldcover_name(6, 0)}"}
    assert set(found.tiles.column("status").to_pylist()) == {"planned"}
    assert found.exhausted


def test_other_rasters_are_planned_by_their_headers_alone(tmp_path: Path) -> None:
    """Every byte of the pixels is garbage."""
    tiling = {"compress": "deflate", "tiled": True, "blockxsize": 256, "blockysize": 256}
    path = write_raster(tmp_path / "map.tif", noise((512, 512), range(1, 12)), **UTM, **tiling)
    before = planned(campaign(tmp_path, landcover={"product": "satlas"}))
    assert spoil(path) == 4
    after = planned(campaign(tmp_path, landcover={"product": "satlas"}))
    assert len(ids(after)) > 5
    assert after.tiles.equals(before.tiles)


def test_without_an_area_all_that_the_source_covers_is_planned(source: Path) -> None:
    found = planned(campaign(source))
    # 6 / w = 273.07 and 9 / w = 409.6: columns with centres 273.5 to 409.5; 3 degrees north reach row 8192 - 137.
    x, y = (found.tiles.column(axis).to_numpy() for axis in ("x", "y"))
    assert sorted(set(x.tolist())) == list(range(8192 + 273, 8192 + 410))
    assert sorted(set(y.tolist())) == list(range(8192 - 137, 8192))
    assert len(x) == 137 * 137


def test_an_area_that_the_source_does_not_hold_names_what_was_looked_for(source: Path) -> None:
    with pytest.raises(InputError, match=r"holds nothing of the area; looked for .*N45E009_Map\.tif"):
        planned(campaign(source, tiles={"area": [10, 46, 10.1, 46.1]}))


def test_an_area_without_a_tiles_centre_says_so(source: Path) -> None:
    with pytest.raises(InputError, match="no zoom-14 tile has its centre in it"):
        planned(campaign(source, tiles={"area": [6.401, 0.001, 6.402, 0.002]}))


def test_a_source_of_unreadable_rasters_says_why(tmp_path: Path) -> None:
    (tmp_path / "broken.tif").write_text("no raster")
    with pytest.raises(InputError, match=r"broken\.tif cannot be opened as a raster"):
        planned(campaign(tmp_path, landcover={"product": "satlas"}, tiles={"area": AREA}))


def test_tiles_beyond_the_source_are_planned_where_it_holds_others(source: Path) -> None:
    found = planned(campaign(source, tiles={"area": [8.95, 0.5, 9.05, 0.55]}))
    assert set(found.tiles.column("source").to_pylist()) == {
        f"{LAYOUT.directory}/{worldcover_name(west, 0)}" for west in (6, 9)
    }


def random_sample(source: Path, count: int, seed: int = 0, **tiles: Any) -> Planned:
    sample = {"strategy": "random", "count": count, "seed": seed}
    return planned(campaign(source, tiles={"area": AREA, "sample": sample} | tiles))


def test_a_random_sample_is_the_beginning_of_one_order(source: Path) -> None:
    """Twice the count and 1,000 candidates are planned, or all that there are."""
    small = planned(campaign(source, tiles={"sample": {"strategy": "random", "count": 10}}))
    large = planned(campaign(source, tiles={"sample": {"strategy": "random", "count": 200}}))
    assert (len(ids(small)), len(ids(large))) == (1020, 1400)
    assert ids(large)[:1020] == ids(small)
    assert not large.exhausted
    everything = random_sample(source, 10)
    assert everything.exhausted
    assert sorted(ids(everything)) == sorted(ids(planned(campaign(source, tiles={"area": AREA}))))
    assert ids(random_sample(source, 10, seed=1)) != ids(everything)


def test_the_order_of_an_area_does_not_depend_on_what_lies_around_it(source: Path) -> None:
    inner, outer = random_sample(source, 500), random_sample(source, 500, area=[6.3, 0.0, 6.9, 0.4])
    within = set(ids(inner))
    assert [tile_id for tile_id in ids(outer) if tile_id in within] == ids(inner)


def test_included_tiles_come_first_whatever_the_sample(source: Path) -> None:
    (source / "include.csv").write_text("lon,lat\n6.73,0.34\n6.5,0.5\n")
    found = random_sample(source, 5, include=str(source / "include.csv"))
    assert ids(found)[:2] == ["8498_8176", "8487_8169"]
    assert found.included == 2
    assert ids(found).count("8498_8176") == 1
    assert ids(found)[2:] == [tile_id for tile_id in ids(random_sample(source, 5)) if tile_id != "8498_8176"]


def test_another_plan_has_another_digest(source: Path) -> None:
    def digest(**parts: Any) -> str:
        config = campaign(source, **parts)
        return plan_digest(config, survey_of(config))

    assert digest() == digest() == digest(captioners=[{"name": "rules", "prompt": "rules"}])
    others = [
        digest(tiles={"area": AREA}),
        digest(tiles={"sample": {"strategy": "random", "count": 5}}),
        digest(splits={"train": 0.5, "val": 0.2, "test": 0.3}),
        digest(splits={"seed": 1}),
    ]
    (source / LAYOUT.directory / worldcover_name(9, 0)).write_bytes(b"more")
    others.append(digest())
    assert len({digest(), *others}) == len(others)


def rows_of(x: np.ndarray, y: np.ndarray, split: Split) -> pa.Table:
    return grid_rows(all_candidates(TileList(x, y), None), LaidOut(LAYOUT, {}), split)


def some_tiles(number: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    drawn = np.random.default_rng(seed).choice(16384 * 12_000, number, replace=False)
    return (drawn % 16384).astype(np.int32), (drawn // 16384 + 1800).astype(np.int32)


@pytest.mark.parametrize("by", ["block", "tile"])
def test_splits_reach_their_shares_over_many_blocks(by: str) -> None:
    reached = split_shares(rows_of(*some_tiles(20_000), Split(SHARES, by, 0)), SHARES)
    assert {name: share for name, (_, share) in reached.items()} == pytest.approx(SHARES, abs=0.015)
    assert sum(count for count, _ in reached.values()) == 20_000


def test_a_block_is_never_cut_in_two() -> None:
    rows = grid_rows(all_candidates(box([0, 0, 3, 3]), None), LaidOut(LAYOUT, {}), Split(SHARES, "block", 0))
    of_block = rows.group_by("block").aggregate([("split", "count_distinct")])
    assert pc.max(of_block.column("split_count_distinct")).as_py() == 1
    assert len(of_block) > 70
    assert len(pc.unique(rows.column("split"))) == 3


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 300), st.sampled_from(["block", "tile"]), st.integers(0, 5))
def test_a_tiles_split_stays_when_others_are_added(few: int, by: str, seed: int) -> None:
    x, y = some_tiles(600, seed)
    split = Split(SHARES, by, seed)
    small, large = rows_of(x[:few], y[:few], split), rows_of(x, y, split)
    found = dict(zip(large.column("tile_id").to_pylist(), large.column("split").to_pylist(), strict=True))
    assert [found[tile_id] for tile_id in small.column("tile_id").to_pylist()] == small.column("split").to_pylist()


def test_an_unwanted_split_stays_empty_and_none_is_all_train() -> None:
    shares = {"train": 0.7, "val": 0.0, "test": 0.3}
    x, y = some_tiles(5000)
    assert set(rows_of(x, y, Split(shares, "block", 0)).column("split").to_pylist()) == {"train", "test"}
    assert list(split_shares(rows_of(x, y, Split(shares, "tile", 0)), shares)) == ["train", "test"]
    assert set(rows_of(x, y, Split(SHARES, "none", 0)).column("split").to_pylist()) == {"train"}


def test_a_row_says_where_its_tile_lies(source: Path) -> None:
    found = planned(campaign(source, tiles={"area": AREA}))
    (row,) = found.tiles.filter(pc.equal(found.tiles.column("tile_id"), "8491_8182")).to_pylist()
    width = 360 / 16384
    assert (row["x"], row["y"], row["block"]) == (8491, 8182, "530_511")
    assert row["lon"] == pytest.approx(299.5 * width)
    assert row["lat"] == pytest.approx(9.5 * width, abs=1e-5)
    index = ids(found).index("8491_8182")
    ring = found.rings(slice(index, index + 1))[0]
    assert ring[0] == pytest.approx([299 * width, 9 * width], abs=1e-5)
    assert ring[2] == pytest.approx([300 * width, 10 * width], abs=1e-5)


def test_chips_are_planned_by_path_or_at_random(tmp_path: Path) -> None:
    for index in range(30):
        place = {**UTM, "transform": Affine(10, 0, 500_000 + 30_000 * (index % 5), 0, -10, 5_100_000)}
        write_raster(tmp_path / "chips" / f"{index:02d}.tif", np.ones((4, 4), np.uint8), **place)
    write_raster(tmp_path / "chips" / "nowhere.tif", np.ones((4, 4), np.uint8), None, None)
    (tmp_path / "chips" / "broken.tif").write_text("no raster")
    landcover = {"product": "satlas", "source": str(tmp_path / "chips")}
    found = planned(campaign(tmp_path, landcover=landcover, tiles={"grid": "chips"}))
    names = [f"{index:02d}" for index in range(30)]
    assert ids(found) == [*names, "broken", "nowhere"]
    rows = {row["tile_id"]: row for row in found.tiles.to_pylist()}
    assert rows["03"]["x"] is None
    assert rows["03"]["source"] == "03.tif"
    assert rows["03"]["block"] == rows["08"]["block"] != rows["04"]["block"]
    assert rows["03"]["split"] == rows["08"]["split"], "chips of one block stay together"
    assert (rows["nowhere"]["lon"], rows["nowhere"]["block"]) == (None, "nowhere")
    assert rows["broken"]["status"] == "failed"
    assert "cannot be opened" in rows["broken"]["reason"]
    assert np.isnan(found.rings(slice(30, 32))).all()
    (tmp_path / "include.txt").write_text("tile_id\n07\n")
    tiles = {"grid": "chips", "include": str(tmp_path / "include.txt"), "sample": {"strategy": "random", "count": 2}}
    config = campaign(tmp_path, landcover=landcover, tiles=tiles)
    some, more = planned(config, limit=3), planned(config, limit=9)
    assert (len(ids(some)), some.included, some.exhausted) == (4, 1, False)
    assert ids(some)[0] == "07"
    assert ids(more)[:4] == ids(some)
    (tmp_path / "include.txt").write_text("07\nmissing\n")
    with pytest.raises(InputError, match="line 2: 'missing' is no chip"):
        planned(config)


def test_a_million_tiles_are_planned_in_little_memory(tmp_path: Path) -> None:
    """A gigabyte is the limit, of which the libraries take a quarter before the first tile."""
    tracemalloc.start()
    arrow = pa.total_allocated_bytes()
    candidates = all_candidates(box([0.0, -20.0, 30.0, 3.0]), None)
    rows = grid_rows(candidates, LaidOut(LAYOUT, {}), Split(SHARES, "block", 0))
    write_tiles(Place(str(tmp_path)), rows, lambda part: grid_rings(candidates.x[part], candidates.y[part]), {})
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(rows) > 1_000_000
    assert len(np.unique(tile_numbers(candidates.x, candidates.y))) == len(rows)
    assert most + pa.total_allocated_bytes() - arrow < 600e6
    assert len(np.unique(block_numbers(candidates.x, candidates.y))) > 5000


def test_the_real_source_is_planned(worldcover: Path, tmp_path: Path) -> None:
    landcover = {"source": str(worldcover)}
    found = planned(campaign(tmp_path, landcover=landcover, tiles={"area": [6.45, 0.0, 6.6, 0.15]}))
    # 6.45 / w = 293.55 and 6.6 / w = 300.4: six columns; 0.15 / w = 6.8: seven rows.
    assert len(ids(found)) == 6 * 7
    assert set(found.tiles.column("source").to_pylist()) == {f"{LAYOUT.directory}/{worldcover_name(6, 0)}"}


def test_one_file_of_the_bucket_is_planned_like_the_bucket(tmp_path: Path) -> None:
    path = write_worldcover(tmp_path, 6, 0, {})
    found = planned(campaign(tmp_path, landcover={"source": str(path)}, tiles={"area": AREA}))
    assert len(ids(found)) == 18 * 18
    assert set(found.tiles.column("source").to_pylist()) == {path.name}
