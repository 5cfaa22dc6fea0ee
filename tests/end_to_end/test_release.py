"""Releases opened by the readers that they are made for, with no code of ours; and made again, elsewhere, in part."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
from affine import Affine
from commands import RULES, Commands, Demo, write_config
from s3_server import S3, s3

from tasks.captions.state import open_state

__all__ = ["s3"]

CHIPS = 12
BANDS = ["B02", "B03", "B04", "B08"]
UTM = {"crs": "EPSG:32632", "transform": Affine(10, 0, 221_000, 0, -10, 8_500)}


def write(file: Path, pixels: np.ndarray, east: int = 0) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = pixels.shape
    place = UTM | {"transform": Affine.translation(3_000 * east, 0) @ UTM["transform"]}
    profile = {"driver": "GTiff", "count": count, "dtype": pixels.dtype, "height": height, "width": width}
    with rasterio.open(file, "w", **profile, **place) as dataset:
        dataset.write(pixels)
        dataset.update_tags(datetime="2021-07-23T13:22:41")


@pytest.fixture(scope="module")
def chips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs of land cover and images: two of them alike, one without an image."""
    folder = tmp_path_factory.mktemp("chips")
    for number in range(CHIPS):
        rng = np.random.default_rng(0 if number == 1 else number)
        ids = np.kron(rng.integers(1, 7, (1, 16, 16)), np.ones((1, 16, 16))).astype(np.uint8)
        write(folder / "landcover" / f"chip-{number:02}.tif", ids, number)
        reflectance = np.kron(rng.integers(200, 3_000, (4, 16, 16)), np.ones((1, 16, 16))).astype(np.int16)
        if number != 3:
            write(folder / "images" / f"chip-{number:02}.tif", reflectance, number)
    return folder


def configured(folder: Path, chips: Path, name: str = "c", **more: Any) -> Path:
    keys = {
        "landcover": {"product": "satlas", "source": str(chips / "landcover")},
        "tiles": {"grid": "chips"},
        "splits": {"by": "tile", "train": 0.5, "val": 0.2, "test": 0.3, "seed": 3},
        "imagery": {"source": str(chips / "images"), "bands": BANDS},
    }
    return write_config(folder, name, **keys | more)


def content(release: Path) -> dict[str, bytes]:
    return {str(file.relative_to(release)): file.read_bytes() for file in release.rglob("*") if file.is_file()}


def sums_hold(release: Path) -> None:
    files = content(release)
    listed = dict(reversed(line.split("  ")) for line in files.pop("SHA256SUMS").decode().splitlines())
    assert listed == {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}


@pytest.fixture(scope="module")
def finished(chips: Path, earthscribe: Commands, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the campaign of `configured`, run to its end; never to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    ended = earthscribe("run", configured(folder, chips).name, folder=folder)
    assert ended.code == 0, ended.stderr
    assert "release: 11 tiles in 3 shards, 1 left out\n" in ended.stderr
    return folder


def copied(finished: Path, folder: Path) -> Path:
    """A copy of a finished campaign; its configuration."""
    shutil.copytree(finished, folder, dirs_exist_ok=True)
    return folder / "c.yaml"


READ = """
import glob, json, os, sys
import datasets, geopandas, pystac, pyarrow.parquet, webdataset
root, cache = sys.argv[1:]
datasets.disable_progress_bars()
loaded = datasets.load_dataset(root, cache_dir=cache)
told = {"rows": {}, "samples": {}, "croissant": {}}
for split, rows in loaded.items():
    told["rows"][split] = {row["tile_id"]: [row["text"], (row.get("image") or row["landcover"]).size] for row in rows}
for shard in sorted(glob.glob(root + "/shards/*.tar")):
    for sample in webdataset.WebDataset(shard, shardshuffle=False).decode("pil"):
        files = sorted(name for name in sample if not name.startswith("__"))
        told["samples"][sample["__key__"]] = [sample["txt"], sample["json"]["split"], files]
items = geopandas.read_parquet(root + "/items.parquet")
told["footprints"] = [len(items), items.crs.to_epsg(), bool(items.geometry.is_valid.all())]
from stac_geoparquet.arrow import stac_table_to_items
read = stac_table_to_items(pyarrow.parquet.read_table(root + "/items.parquet"))
told["items"] = {item.id: item.datetime.isoformat() for item in map(pystac.Item.from_dict, read)}
import mlcroissant
described = mlcroissant.Dataset(jsonld=root + "/croissant.json")
for records in described.metadata.record_sets:
    rows = list(described.records(records.uuid))
    told["croissant"][records.uuid] = [row[records.uuid + "/text"].decode() for row in rows]
print(json.dumps(told), flush=True)
os._exit(0)
"""
"""Ends at once: threads of some of these libraries may outlive Python's own end, and abort it."""


def read_by_others(release: Path, scratch: Path) -> dict[str, Any]:
    """What the libraries that a release is made for make of it: offline, in a process without our code."""
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(scratch / "home"), "HF_DATASETS_OFFLINE": "1"}
    command = [sys.executable, "-c", READ, str(release), str(scratch / "cache")]
    done = subprocess.run(command, env=os.environ | offline, capture_output=True, text=True, cwd=scratch, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def agree(told: dict[str, Any], release: Path) -> dict[str, str]:
    """Asserts that all readers give the same tiles with the same texts; returns these."""
    rows = {tile_id: text for split in told["rows"].values() for tile_id, (text, _) in split.items()}
    assert {key: text for key, (text, *_) in told["samples"].items()} == rows
    assert {key: split for key, (_, split, *_) in told["samples"].items()} == {
        tile_id: split for split, own in told["rows"].items() for tile_id in own
    }
    assert {text for texts in told["croissant"].values() for text in texts} == set(rows.values())
    assert sorted(told["items"]) == sorted(rows)
    assert told["footprints"] == [len(rows), 4326, True]
    listed = {
        entry["image_id"]: entry["caption"]
        for file in (release / "json").glob("rules_*.json")
        for entry in json.loads(file.read_text())
    }
    assert listed == rows
    return rows


def test_the_demo_ends_with_a_release_of_land_cover_alone(demo: Demo, tmp_path: Path) -> None:
    release = demo.folder / "dataset" / "release"
    sums_hold(release)
    told = read_by_others(release, tmp_path)
    rows = agree(told, release)
    planned = pq.read_table(demo.folder / "dataset" / "tiles.parquet").to_pylist()
    kept = {row["tile_id"] for row in planned if row["status"] == "kept"}
    assert set(rows) == kept
    left_out = [json.loads(line) for line in (release / "excluded.jsonl").read_text().splitlines()]
    assert {row["tile_id"] for row in left_out} == {row["tile_id"] for row in planned} - kept
    assert all(row["reason"].startswith("excluded: ") for row in left_out)
    assert {tuple(sample[2]) for sample in told["samples"].values()} == {("json", "landcover.png", "txt")}
    card = (release / "README.md").read_text()
    assert "have not been checked" not in card
    assert "statuses are in it: accepted, mended, edited." in card
    assert "© ESA WorldCover project 2020 / Contains modified Copernicus Sentinel data (2020)" in card
    assert "CC-BY-4.0" in (release / "LICENSE").read_text()


def judge(config: Path, statuses: dict[str, Any]) -> None:
    """Gives captions another status, as verification and review do."""
    dataset = config.with_suffix("")
    with open_state(f"sqlite:///{dataset}/campaign.db", str(dataset)) as state:
        changed = [
            replace(
                one,
                status=statuses[one.tile_id],
                flags=("absent-class:water",) if statuses[one.tile_id] == "flagged" else (),
                version=one.version + 1,
                revises=one.version,
                request_id=None,
                reason=None,
            )
            for one in state.current("rules")
            if one.tile_id in statuses
        ]
        assert state.add(changed) == len(statuses)


def accepted_by(config: Path, tile_id: str, *reviewers: str) -> None:
    """Adds verdicts of several reviewers on one caption."""
    dataset = config.with_suffix("")
    with open_state(f"sqlite:///{dataset}/campaign.db", str(dataset)) as state:
        seen = state.history("rules", tile_id)[-1]
        verdict = replace(seen, status="accepted", revises=seen.version, reviewed_at=seen.created_at)
        verdicts = [
            replace(verdict, version=seen.version + number, reviewer=reviewer)
            for number, reviewer in enumerate(reviewers, 1)
        ]
        assert state.add(verdicts) == len(reviewers)


def test_only_what_has_passed_is_released_and_the_rest_is_listed(
    finished: Path, earthscribe: Commands, tmp_path: Path
) -> None:
    config = copied(finished, tmp_path)
    dataset = config.with_suffix("")
    whole = read_by_others(dataset / "release", tmp_path)
    rows = agree(whole, dataset / "release")
    assert len(rows) == CHIPS - 1
    for sample in whole["samples"].values():
        assert sample[2] == ["chip.geotiff", "json", "landcover.png", "rgb.png", "txt"]
    leaks = json.loads((dataset / "release" / "leakage.json").read_text())
    splits = {tile_id: split for split, own in whole["rows"].items() for tile_id in own}
    alike = [leak["tiles"] for leak in leaks if leak["kind"] == "picture"]
    assert alike == ([["chip-00", "chip-01"]] if splits["chip-00"] != splits["chip-01"] else [])

    statuses = dict.fromkeys(["chip-00", "chip-01", "chip-02"], "accepted") | {"chip-01": "mended", "chip-02": "edited"}
    others = [f"chip-{number:02}" for number in range(4, CHIPS)]
    judge(config, statuses | dict.fromkeys(others, "rejected") | {"chip-04": "flagged"})
    accepted_by(config, "chip-00", "ann@there.example", "ben")
    ended = earthscribe("release", config.name, folder=tmp_path)
    assert ended.code == 0, ended.stderr
    assert ended.stdout == f"release: {dataset / 'release'}\n"
    sums_hold(dataset / "release")
    told = {
        row["tile_id"] for file in (dataset / "release" / "data").iterdir() for row in pq.read_table(file).to_pylist()
    }
    assert told == {"chip-00", "chip-01", "chip-02"}
    reasons = {
        row["tile_id"]: row["reason"]
        for row in map(json.loads, (dataset / "release" / "excluded.jsonl").read_text().splitlines())
    }
    assert reasons["chip-04"] == "no caption: rules: flagged (absent-class:water)"
    assert reasons["chip-05"] == "no caption: rules: rejected"
    assert reasons["chip-03"].startswith("no chip: no image of its name in")
    card = (dataset / "release" / "README.md").read_text()
    assert "| `reviewer 1` | `reviewer 2` | 1 | 1 | – |" in card
    assert "there.example" not in card, "who reviewed is the campaign's own business"


def test_captions_that_no_check_has_met_go_in_when_asked_for(
    chips: Path, earthscribe: Commands, tmp_path: Path
) -> None:
    config = configured(tmp_path, chips)
    for command in ("statistics", "imagery", "caption"):
        assert earthscribe(command, config.name, folder=tmp_path).code == 0
    refused = earthscribe("release", config.name, folder=tmp_path)
    assert refused.code == 2
    assert "no caption has passed the checks; 12 are unchecked" in refused.stderr
    assert "--include-unchecked" in refused.stderr
    assert earthscribe("release", config.name, "--include-unchecked", folder=tmp_path).code == 0
    card = (config.with_suffix("") / "release" / "README.md").read_text()
    first = card.split("\n# c\n")[1].strip().split("\n\n")[0]
    assert first.startswith("**Captions in this release have not been checked:** 12 of 12.")


def test_a_chip_in_a_shard_is_a_whole_geotiff(chips: Path, finished: Path) -> None:
    release = finished / "c" / "release"
    seen = 0
    for shard in (release / "shards").iterdir():
        with tarfile.open(shard) as tar:
            for entry in tar:
                assert (entry.mtime, entry.uid, entry.uname) == (0, 0, "")
                if entry.name.endswith(".chip.geotiff"):
                    stream = tar.extractfile(entry)
                    assert stream is not None
                    name = entry.name.partition(".")[0]
                    with (
                        rasterio.MemoryFile(stream.read()) as file,
                        file.open() as chip,
                        rasterio.open(chips / "images" / f"{name}.tif") as image,
                    ):
                        assert np.array_equal(chip.read(), image.read())
                        assert (chip.crs, chip.transform, chip.descriptions) == (
                            image.crs,
                            image.transform,
                            tuple(BANDS),
                        )
                    seen += 1
    assert seen == CHIPS - 1


def test_it_is_the_same_byte_for_byte_made_in_part_or_anew(
    finished: Path, earthscribe: Commands, tmp_path: Path
) -> None:
    config = copied(finished, tmp_path)
    release = config.with_suffix("") / "release"
    first = content(release)

    # Of a release that was cut off, only what is missing is written; and it is the same, byte for byte.
    parts = sorted((release / "shards").iterdir())
    kept = parts[0].stat().st_mtime_ns
    parts[-1].unlink()
    (release / "SHA256SUMS").unlink()
    assert earthscribe("release", config.name, folder=tmp_path).code == 0
    assert content(release) == first
    assert parts[0].stat().st_mtime_ns == kept

    # Made from scratch, too.
    shutil.rmtree(release)
    shutil.rmtree(config.with_suffix("") / "releasing")
    assert earthscribe("release", config.name, folder=tmp_path).code == 0
    assert content(release) == first


def test_a_release_in_a_bucket_has_the_bytes_of_one_on_disk(
    chips: Path, finished: Path, s3: S3, earthscribe: Commands, tmp_path: Path
) -> None:
    # All but the release and the database: captions are taken back from the dataset.
    leave = shutil.ignore_patterns("release", "releasing", "campaign.db*")
    shutil.copytree(finished / "c", s3.root / "data" / "campaign", ignore=leave)
    more = {"dataset": "s3://data/campaign", "storage_options": s3.options, "state": "sqlite:///state.db"}
    config = configured(tmp_path, chips, **more)
    ended = earthscribe("release", config.name, folder=tmp_path)
    assert ended.code == 0, ended.stderr
    assert ended.stdout == "release: s3://data/campaign/release\n"
    assert content(s3.root / "data" / "campaign" / "release") == content(finished / "c" / "release")


def test_what_is_still_to_be_made_is_waited_for(chips: Path, earthscribe: Commands, tmp_path: Path) -> None:
    asked = {"name": "gpt", "prompt": "text", "endpoint": "http://127.0.0.1:9/v1", "model": "m", "tiles": {"count": 2}}
    config = configured(tmp_path, chips, captioners=[asked, RULES])
    for command in ("statistics", "imagery"):
        assert earthscribe(command, config.name, folder=tmp_path).code == 0
    assert earthscribe("caption", config.name, "--captioner", "rules", folder=tmp_path).code == 0
    ended = earthscribe("release", config.name, "--include-unchecked", folder=tmp_path)
    assert ended.code == 2
    assert "2 captions by gpt are still to be made" in ended.stderr
    assert not (config.with_suffix("") / "release").exists()
    ended = earthscribe("release", config.name, "--include-unchecked", "--partial", folder=tmp_path)
    assert ended.code == 0, ended.stderr
    assert "partial, without 2 captions by gpt" in ended.stderr
    sums_hold(config.with_suffix("") / "release")
