"""A release of pairs whose chips and pictures are ready: shards against tarfile alone, likenesses, memory."""

from __future__ import annotations

import json
import os
import tarfile
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import yaml

from tasks.captions.state import Caption, open_state
from tasks.configuration import load
from tasks.grid import TILE_SIZE, centres, tile_ids
from tasks.imagery.bands import BANDS
from tasks.imagery.files import Chip, map_path, picture_path, write_chip
from tasks.imagery.table import Row, write_rows
from tasks.imagery.warping import tile_transform
from tasks.landcover.classes import class_table
from tasks.planning.plan import grid_rings
from tasks.planning.survey import survey
from tasks.planning.table import write_tiles
from tasks.release.captions import UNCHECKED, scratch
from tasks.release.likeness import leaks, likeness
from tasks.release.publishing import publish
from tasks.release.samples import Sample, Sources, gather
from tasks.release.selection import Selection, select
from tasks.release.shards import write_shard
from tasks.release.viewer import opened_table
from tasks.scene import write_scene
from tasks.statistics.chips import count_map
from tasks.statistics.table import Provenance, statistics_folder, write_statistics
from tasks.storage import Place, place
from tests.benchmarks.commands import run
from tests.benchmarks.made import PRODUCT
from tests.benchmarks.measuring import Figure, ratio
from tests.benchmarks.sizes import Sizes

_DISTINCT = 20
"""Chips that are made; all others are further names of their files."""

_FIRST = (8448, 8192)
_ACROSS = 100
_MB_MORE = 150


def release_of_pairs(sizes: Sizes, scratch_folder: Path) -> list[Figure]:
    """Shards against tarfile over the same bytes, milliseconds a pair for the rest, and peak memory."""
    config = _campaign(scratch_folder / "whole", sizes.pairs)
    campaign = load(config)
    dataset = place(campaign.dataset)
    found = survey(place(campaign.landcover.source), class_table(PRODUCT), "webmercator")
    with open_state(campaign.state, campaign.dataset) as state, scratch() as captions:
        chosen = select(dataset, campaign.captioners, state, captions, imagery=True, statuses=(UNCHECKED,))
        sources = gather(dataset, captions, found, imagery=True)
        ours, alone = _shards(chosen, sources, scratch_folder)
        seconds = _the_rest(chosen, sources, scratch_folder)
    few = run("release", _campaign(scratch_folder / "few", sizes.pairs // 10), "--include-unchecked").peak
    many = run("release", config, "--include-unchecked").peak
    each = 1_000 * seconds / sizes.pairs
    what = f"{sizes.pairs:,} pairs"
    return [
        ratio(f"{what}: tarfile alone / shards, seconds", alone, ours, ">=", 0.8),
        Figure(f"{what}: previews, hashes and near duplicates, a pair", each, "ms", "<=", 5.0),
        Figure(f"{what}: peak less that of a tenth of them", max(many - few, 0.1), "MB", "<=", _MB_MORE),
    ]


def _shards(chosen: Selection, sources: Sources, folder: Path) -> tuple[list[float], list[float]]:
    """Seconds of our shards, and of tarfile with the same names and bytes; part by part, in turn."""
    ours: list[float] = []
    alone: list[float] = []
    for part in chosen.parts:
        facts = list(sources.facts(part))
        files_of = sources.files(part)
        start = time.perf_counter()
        whole = (replace(one, files=files_of(one)) for one in facts)
        publish(place(folder), "ours.tar", partial(write_shard, whole))
        ours.append(time.perf_counter() - start)
        texts = [(json.dumps(one.metadata()).encode(), one.text.encode()) for one in facts]
        start = time.perf_counter()
        _tarfile_alone(sources.dataset, facts, texts, folder / "alone.tar")
        alone.append(time.perf_counter() - start)
    for name in ("ours.tar", "alone.tar"):
        (folder / name).unlink()
    return ours, alone


def _tarfile_alone(dataset: Place, facts: Sequence[Sample], texts: Sequence[tuple[bytes, bytes]], target: Path) -> None:
    """What a person would write first: the files of each sample, from the disk into the archive."""
    with tarfile.open(target, "w", dereference=True) as tar:
        for one, (metadata, text) in zip(facts, texts, strict=True):
            chip = str(one.chip)
            files = {"chip.geotiff": chip, "landcover.png": map_path(chip), "rgb.png": picture_path(chip)}
            for name, path in files.items():
                tar.add(Path(dataset.url) / path, f"{one.tile_id}.{name}")
            for name, content in (("json", metadata), ("txt", text)):
                entry = tarfile.TarInfo(f"{one.tile_id}.{name}")
                entry.size = len(content)
                tar.addfile(entry, BytesIO(content))


def _the_rest(chosen: Selection, sources: Sources, folder: Path) -> float:
    """Seconds of the table with its previews, of the hashes, and of the search for near duplicates."""
    splits = [part.split for part in chosen.parts for _ in part.rows]
    rows = [row for part in chosen.parts for row in part.rows]
    seconds, alike = 0.0, []
    for part in chosen.parts:
        files_of = sources.files(part)
        samples = [replace(one, files=files_of(one)) for one in sources.facts(part)]
        start = time.perf_counter()
        with (folder / "table.parquet").open("wb") as stream, opened_table(stream, imagery=True) as table:
            for sample in samples:
                table.add(sample)
                alike.append(likeness(sample.picture, sample.counts))
        seconds += time.perf_counter() - start

    def texts(places: Sequence[int]) -> list[str]:
        found = sources.captions.of([rows[one] for one in places])
        return [str(found[rows[one]][0]["text"]) for one in places]

    start = time.perf_counter()
    assert list(leaks(alike, splits, texts))
    return seconds + time.perf_counter() - start


def _campaign(folder: Path, pairs: int) -> Path:
    """A campaign that is finished but for its release; returns its configuration."""
    folder.mkdir(parents=True)
    write_scene(folder / "landcover")
    (folder / "items.json").write_text('{"type": "FeatureCollection", "features": []}')
    content = {
        "dataset": "./dataset",
        "landcover": {"product": PRODUCT, "source": "./landcover", "storage_options": {}},
        "imagery": {"stac": "./items.json"},
        "captioners": [{"name": "rules", "prompt": "rules"}],
    }
    config = folder / "campaign.yaml"
    config.write_text(yaml.safe_dump(content))
    dataset = place(folder / "dataset")
    number = np.arange(pairs, dtype=np.int32)
    x, y = _FIRST[0] + number % _ACROSS, _FIRST[1] + number // _ACROSS
    ids = tile_ids(x, y)
    lon, lat = centres(x, y)
    names = ids.to_pylist()
    tiles = {
        "tile_id": ids,
        "x": pa.array(x),
        "y": pa.array(y),
        "lon": pa.array(lon),
        "lat": pa.array(lat),
        "source": pa.nulls(pairs, pa.string()),
        "block": tile_ids(x // 16, y // 16),
        "split": pa.array([("train", "val", "test")[one % 3] for one in number.tolist()]),
        "status": pa.array(["kept"] * pairs),
        "reason": pa.nulls(pairs, pa.string()),
    }
    write_tiles(dataset, pa.table(tiles), lambda part: grid_rings(x[part], y[part]), {})
    maps = [np.random.default_rng(one).integers(1, 12, (256, 256)).astype(np.uint8) for one in range(_DISTINCT)]
    counts = np.stack([count_map(one) for one in maps])[number % _DISTINCT]
    counts[:, 0, 0] = number  # No two alike: what is compared is the pictures.
    table = class_table(PRODUCT)
    provenance = Provenance(table.name, table.digest())
    write_statistics(statistics_folder(dataset).join("all.parquet"), ids, counts, provenance)
    _chips(dataset, names, x, y, maps)
    with open_state(load(config).state, str(folder / "dataset")) as state:
        state.add(
            Caption(name, "rules", f"Tile {name} holds woods in the north, and " + "fields, " * 90, "unchecked", "2026")
            for name in names
        )
    return config


def _chips(dataset: Place, names: Sequence[str], x: np.ndarray, y: np.ndarray, maps: Sequence[np.ndarray]) -> None:
    """Chips of noise, and the rows that tell of them."""
    rows: list[Row] = []
    for index, name in enumerate(names):
        path = f"imagery/chips/all/{name}.tif"
        if index < _DISTINCT:
            pixels = np.random.default_rng(index).integers(200, 3_000, (len(BANDS), TILE_SIZE, TILE_SIZE))
            transform = tile_transform((int(x[index]), int(y[index])))
            write_chip(dataset, path, Chip(pixels.astype(np.uint16), BANDS, "EPSG:3857", transform), maps[index])
        else:
            first = f"imagery/chips/all/{names[index % _DISTINCT]}.tif"
            for kind in (str, map_path, picture_path):
                os.link(Path(dataset.url) / kind(first), Path(dataset.url) / kind(path))
        rows.append(
            Row(tile_id=name, status="done", chip=path, scene="S", acquired="2020-01-01T00:00:00+00:00", cloud=0.0)
        )
    write_rows(dataset, "all", rows, "{}")
