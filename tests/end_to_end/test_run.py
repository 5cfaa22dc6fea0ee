"""Whole campaigns through the command line: what they write, and what a second run finds left to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
from affine import Affine
from commands import ENDPOINT, RULES, Commands, Ended, counts_of, flow_runs, rows_of, write_config
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

AREA = [6.4, -0.1, 7.6, 1.8]
SMALL_AREA = [6.44, 0.02, 6.6, 0.14]
ID_OF_CODE = {10: 3, 20: 4, 30: 5, 40: 6, 50: 2, 60: 7, 70: 8, 80: 1, 90: 9, 95: 10, 100: 11}
PATCHES = {
    "overall": np.s_[0:256, 0:256],
    "top_left": np.s_[0:128, 0:128],
    "top_right": np.s_[0:128, 128:256],
    "bottom_left": np.s_[128:256, 0:128],
    "bottom_right": np.s_[128:256, 128:256],
    "middle": np.s_[64:192, 64:192],
}
CAPTION_COLUMNS = [
    *("tile_id", "captioner", "kind", "variant", "text", "raw", "status", "flags", "model", "prompt_sha256"),
    *("request_id", "created_at", "reviewer", "reviewed_at"),
]
FILE = "v100/2020/map/ESA_WorldCover_10m_2020_v100_N00E006_Map.tif"
SOUTHERN_FILE = "v100/2020/map/ESA_WorldCover_10m_2020_v100_S03E006_Map.tif"


@dataclass(frozen=True)
class Campaign:
    """A campaign that was run once, with the rules alone; and the same with captioners that have not been asked."""

    config: Path
    asking: Path
    dataset: Path
    ended: Ended


@pytest.fixture(scope="module")
def campaign(earthscribe: Commands, tmp_path_factory: pytest.TempPathFactory, worldcover: Path) -> Campaign:
    """The acceptance check's campaign."""
    folder = tmp_path_factory.mktemp("campaign")
    vision = ENDPOINT | {"name": "vlm", "prompt": "vision", "tiles": {"count": 10, "seed": 0}, "max_tokens": 1200}
    keys: dict[str, Any] = {
        "landcover": {"product": "worldcover-2020", "source": str(worldcover)},
        "tiles": {"area": AREA},
    }
    config = write_config(folder, **keys)
    captioners = [RULES, ENDPOINT | {"api_key": "${CAMPAIGN_KEY}"}, vision]
    asking = write_config(folder, "asking", dataset="./c", ledger="sqlite:///quota.db", captioners=captioners, **keys)
    ended = earthscribe("run", config, folder=folder)
    assert earthscribe("plan", asking, folder=folder, CAMPAIGN_KEY="sesame-456").code == 0
    return Campaign(config, asking, folder / "c", ended)


def test_the_run_ends_well_and_tells_what_is_where(campaign: Campaign, real_data: Path | None) -> None:
    assert campaign.ended.code == 0, campaign.ended.stderr
    assert campaign.ended.stdout == f"dataset: {campaign.dataset}\npreview: {campaign.dataset / 'preview.html'}\n"
    lines = campaign.ended.stderr.splitlines()
    assert "plan: 4785 candidate tiles" in lines
    assert f"warning: the source does not list {SOUTHERN_FILE}: taken as no data" in lines
    if real_data:
        assert "statistics: 203 kept, 4582 excluded" in lines


def test_counts_are_those_of_gdals_own_warp(campaign: Campaign, worldcover: Path) -> None:
    tiles = rows_of(campaign.dataset / "tiles.parquet")
    counts = counts_of(campaign.dataset)
    assert set(counts) == {tile["tile_id"] for tile in tiles}
    kept = [tile for tile in tiles if tile["status"] == "kept"]
    excluded = [tile for tile in tiles if tile["status"] == "excluded" and counts[tile["tile_id"]]["n_valid"]]
    chosen = np.random.default_rng(0)
    sample = [*chosen.choice(kept, 25, replace=False), *chosen.choice(excluded, 10, replace=False), tiles[-1]]
    with rasterio.open(worldcover / FILE) as raster:
        for tile in sample:
            expected = warped(raster, tile["x"], tile["y"])
            row = counts[tile["tile_id"]]
            assert {patch: row[patch] for patch in PATCHES} == {
                patch: np.bincount(expected[part].ravel(), minlength=12).tolist() for patch, part in PATCHES.items()
            }
            assert row["n_valid"] == np.count_nonzero(expected)


def warped(raster: Any, x: int, y: int) -> NDArray[np.uint8]:
    """Class ids of a tile, by GDAL."""
    half, size = np.pi * 6378137.0, 2 * np.pi * 6378137.0 / (1 << 14)
    transform = Affine(size / 256, 0, x * size - half, 0, -size / 256, half - y * size)
    target = {"crs": "EPSG:3857", "transform": transform, "width": 256, "height": 256}
    with WarpedVRT(raster, resampling=Resampling.nearest, tolerance=1e-9, **target) as warp:
        codes = warp.read(1)
    return np.vectorize(lambda code: ID_OF_CODE.get(code, 0), otypes=[np.uint8])(codes)


def test_every_tile_is_kept_or_has_the_reason_why_not(campaign: Campaign) -> None:
    counts = counts_of(campaign.dataset)
    for tile in rows_of(campaign.dataset / "tiles.parquet"):
        classes = np.array(counts[tile["tile_id"]]["overall"])
        passes = classes[1:].sum() >= 0.5 * 65536 and classes[1] <= 0.95 * classes[1:].sum()
        assert tile["status"] == ("kept" if passes else "excluded"), tile
        assert (tile["reason"] is None) == passes


def test_captions_have_the_same_rows_in_both_forms(campaign: Campaign, earthscribe: Commands) -> None:
    folder = campaign.config.parent
    key = {"CAMPAIGN_KEY": "x"}
    printed = earthscribe("captions", campaign.asking, folder=folder, **key)
    written = earthscribe("captions", campaign.asking, "--format=parquet", "-o", "rows.parquet", folder=folder, **key)
    assert (printed.code, written.code, written.stdout, printed.stderr) == (0, 0, "", "")
    rows = [json.loads(line) for line in printed.stdout.splitlines()]
    table = pq.read_table(folder / "rows.parquet")
    assert table.column_names == CAPTION_COLUMNS == list(rows[0])
    assert table.to_pylist() == rows

    kept = {tile["tile_id"] for tile in rows_of(campaign.dataset / "tiles.parquet") if tile["status"] == "kept"}
    by = {name: [row for row in rows if row["captioner"] == name] for name in ("rules", "gpt", "vlm")}
    assert {row["tile_id"] for row in by["rules"]} == {row["tile_id"] for row in by["gpt"]} == kept
    assert len(by["vlm"]) == 10
    assert {(row["kind"], row["variant"]) for row in rows} == {("description", 0)}
    assert {row["status"] for row in by["rules"]} == {"accepted"}
    assert all(row["text"] and row["prompt_sha256"] and row["created_at"].endswith("+00:00") for row in by["rules"])
    assert {(row["status"], row["text"]) for row in by["gpt"] + by["vlm"]} == {("pending", None)}
    versions = rows_of(campaign.dataset / "captions" / "rules.parquet")
    shown = [row for row in versions if row["version"] == 2]
    assert [{name: row[name] for name in CAPTION_COLUMNS} for row in shown] == by["rules"]
    assert {row["status"] for row in versions if row["version"] == 1} == {"unchecked"}


def test_status_adds_up(campaign: Campaign, earthscribe: Commands) -> None:
    ended = earthscribe("status", campaign.asking, "--json", folder=campaign.config.parent, CAMPAIGN_KEY="x")
    assert (ended.code, ended.stderr) == (0, "")
    status = json.loads(ended.stdout)
    tiles = rows_of(campaign.dataset / "tiles.parquet")
    kept = sum(tile["status"] == "kept" for tile in tiles)
    assert status["tiles"] == {"planned": 0, "kept": kept, "excluded": len(tiles) - kept, "failed": 0}
    assert status["statistics"] == {"done": 1, "missing": [SOUTHERN_FILE], "failed": {}}
    assert list(status) == ["tiles", "statistics", "captioners"]
    assert list(status["captioners"]) == ["rules", "gpt", "vlm"]
    for name, standing in status["captioners"].items():
        keys = ["tiles", "done", "pending", "in_flight", "failed", "requests", "tokens", "cost", "quota", "eta_days"]
        assert list(standing) == keys
        assert standing["tiles"] == standing["done"] + standing["pending"] == {"vlm": 10}.get(name, kept)
        assert standing["done"] == (kept if name == "rules" else 0)
        requests = ["sent", "answered", "refused", "failed", "in_flight", "unknown"]
        assert standing["requests"] == dict.fromkeys(requests, 0)
        assert standing["tokens"] == {"prompt": 0, "completion": 0}


def test_prompt_is_what_would_be_sent(campaign: Campaign, earthscribe: Commands) -> None:
    folder = campaign.config.parent
    tile = next(tile for tile in rows_of(campaign.dataset / "tiles.parquet") if tile["status"] == "kept")["tile_id"]
    text = earthscribe("prompt", campaign.asking, tile, folder=folder, CAMPAIGN_KEY="sesame-456")
    vision = earthscribe("prompt", campaign.asking, tile, "--captioner=vlm", folder=folder, CAMPAIGN_KEY="sesame-456")
    body = json.loads(text.stdout)
    assert (body["model"], body["max_tokens"]) == ("gpt-3.5-turbo", 300)
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert "sesame" not in text.stdout
    parts = json.loads(vision.stdout)["messages"][1]["content"]
    assert [part["image_url"]["url"][:22] for part in parts if part["type"] == "image_url"] == [
        "data:image/png;base64,"
    ]
    by_rules = earthscribe("prompt", campaign.asking, tile, "--captioner=rules", folder=folder, CAMPAIGN_KEY="x")
    unknown = earthscribe("prompt", campaign.asking, "1_1", folder=folder, CAMPAIGN_KEY="x")
    assert (by_rules.code, unknown.code) == (2, 2)
    assert "tile 1_1 has no statistics" in unknown.stderr


def test_prefect_shows_the_run(campaign: Campaign, earthscribe: Commands) -> None:
    with earthscribe.prefect() as database:
        run, planned = flow_runs(database, campaign.config)
        assert (run["name"], run["state_name"]) == ("campaign c", "Completed")
        assert (planned["name"], planned["state_name"]) == ("plan asking", "Completed")
        config = json.loads(planned["parameters"])["config"]
        assert config["captioners"][1]["api_key"] == "${CAMPAIGN_KEY}"
        assert config["dataset"] == str(campaign.dataset)
        names = [name for (name,) in database.execute("SELECT name FROM task_run WHERE flow_run_id = ?", [run["id"]])]
        source = Path(FILE).stem
        assert {f"rules: {source}", "list the source", "choose the tiles"} <= set(names), names
        counted = len(counts_of(campaign.dataset))
        tiles = [int(name.split()[-2]) for name in names if name.endswith(" tiles") and ": " in name]
        assert sum(tiles) == counted
        assert any(name.startswith(f"{source}: ") for name in names), names
        query = "SELECT key, type FROM artifact WHERE flow_run_id = ?"
        artifacts = dict(database.execute(query, [run["id"]]).fetchall())
        assert artifacts["c-statistics"] == artifacts["c-captions-by-rules"] == "progress"
        assert artifacts["c-summary"] == "markdown"
        assert "sesame-456" not in "\n".join(database.iterdump())


def test_again_does_what_is_missing_and_nothing_else(campaign: Campaign, earthscribe: Commands) -> None:
    """A statistics file is deleted, then the state: each comes back as it was, Prefect's cache notwithstanding."""
    folder, dataset = campaign.config.parent, campaign.dataset
    shown = earthscribe("captions", campaign.config, folder=folder).stdout
    (file,) = (dataset / "statistics").glob("*N00E006*.parquet")
    content, time = pq.read_table(file), file.stat().st_mtime_ns
    again = earthscribe("run", campaign.config, folder=folder)
    assert again.code == 0
    assert "captions by rules: " in again.stderr
    assert "none to do" in again.stderr
    assert file.stat().st_mtime_ns == time

    file.unlink()
    (dataset / "campaign.db").unlink()
    for rest in dataset.glob("campaign.db-*"):
        rest.unlink()
    again = earthscribe("run", campaign.config, folder=folder)
    assert again.code == 0
    assert pq.read_table(file).equals(content)
    assert "warning: the state was empty: took back" in again.stderr
    assert earthscribe("captions", campaign.config, folder=folder).stdout == shown
    with earthscribe.prefect() as database:
        run = flow_runs(database, campaign.config)[-1]
        query = "SELECT state_name FROM task_run WHERE flow_run_id = ? AND name LIKE ? ORDER BY start_time"
        states = [state for (state,) in database.execute(query, [run["id"], f"{Path(FILE).stem}: %"])]
        assert states == ["Cached", "Completed"], "remembered, not found, and counted again"


def test_a_larger_sample_keeps_a_smaller_ones_tiles(earthscribe: Commands, tmp_path: Path, worldcover: Path) -> None:
    def sample(count: int, **more: Any) -> tuple[set[str], list[dict[str, Any]]]:
        tiles = {"area": AREA, "sample": {"strategy": "random", "count": count, "seed": 3}, **more}
        source = {"product": "worldcover-2020", "source": str(worldcover)}
        ended = earthscribe("statistics", write_config(tmp_path, landcover=source, tiles=tiles), folder=tmp_path)
        assert ended.code == 0, ended.stderr
        rows = rows_of(tmp_path / "c" / "tiles.parquet")
        return {row["tile_id"] for row in rows if row["status"] == "kept"}, rows

    smaller, rows = sample(12)
    assert len(smaller) == 12
    assert len(rows) >= 2 * 12 + 1000
    beyond = [row["tile_id"] for row in rows if row["status"] == "planned"]
    assert beyond, "what passed beyond the count stays planned"
    (tmp_path / "extra.txt").write_text(f"{beyond[-1]}\n")
    larger, rows = sample(20, include="extra.txt")
    assert rows[0]["tile_id"] == beyond[-1]
    assert smaller | {beyond[-1]} <= larger
    assert len(larger) == 21


def test_a_larger_area_reads_only_what_is_new(earthscribe: Commands, tmp_path: Path, worldcover: Path) -> None:
    source = {"product": "worldcover-2020", "source": str(worldcover)}
    west, south, east, north = SMALL_AREA
    for area in ([west, south, (west + east) / 2, north], SMALL_AREA):
        config = write_config(tmp_path, landcover=source, tiles={"area": area}, splits={"by": "tile"})
        assert earthscribe("run", config, folder=tmp_path).code == 0
    tables = [pq.read_table(file) for file in (tmp_path / "c" / "statistics").glob("*.parquet")]
    assert len(tables) == 2
    counted = [tile_id for table in tables for tile_id in table.column("tile_id").to_pylist()]
    assert len(counted) == len(set(counted)), "a tile stands in one file only"
    assert set(counted) == {tile["tile_id"] for tile in rows_of(tmp_path / "c" / "tiles.parquet")}


@pytest.fixture
def chips(real_data: Path | None, tmp_path: Path) -> Iterator[Path]:
    """The real chips of land cover, else made ones."""
    if real_data:
        yield real_data / "chips" / "landcover"
        return
    folder = tmp_path / "landcover"
    folder.mkdir()
    for number, name in enumerate(("282D_485L_3_3", "38D_378R_2_3", "609U_541L_3_0")):
        codes = np.random.default_rng(number).choice(np.array([1, 2, 4, 5], dtype=np.uint8), (224, 224))
        profile = {"driver": "GTiff", "width": 224, "height": 224, "count": 1, "dtype": "uint8", "crs": "EPSG:32632"}
        transform = Affine(10, 0, 500_000 + 10_000 * number, 0, -10, 100_000)
        with rasterio.open(folder / f"{name}.tif", "w", transform=transform, **profile) as raster:
            raster.write(codes, 1)
    yield folder


def test_ready_made_chips(earthscribe: Commands, tmp_path: Path, chips: Path) -> None:
    config = write_config(
        tmp_path,
        landcover={"product": "terramesh", "source": str(chips)},
        tiles={"grid": "chips", "max_share": {}, "min_valid": 0},
    )
    assert earthscribe("run", config, folder=tmp_path).code == 0
    tiles = rows_of(tmp_path / "c" / "tiles.parquet")
    assert [tile["tile_id"] for tile in tiles] == ["282D_485L_3_3", "38D_378R_2_3", "609U_541L_3_0"]
    id_of_code = np.array([255, 1, 3, 9, 6, 2, 7, 8, 0, 5], dtype=np.uint8)
    counts = counts_of(tmp_path / "c")
    for tile in tiles:
        assert (tile["status"], tile["x"], tile["y"]) == ("kept", None, None)
        assert -180 <= tile["lon"] <= 180
        with rasterio.open(chips / tile["source"]) as raster:
            ids = id_of_code[raster.read(1)]
        quarter = np.bincount(ids[112:, :112].ravel(), minlength=12)
        middle = np.bincount(ids[56:168, 56:168].ravel(), minlength=12)
        assert counts[tile["tile_id"]]["bottom_left"] == quarter.tolist()
        assert counts[tile["tile_id"]]["middle"] == middle.tolist()
