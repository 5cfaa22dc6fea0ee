"""What it costs to ask endpoints durably: claims, grants, captions and settlements around every request."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa

from tasks.asking.material import gather
from tasks.asking.requests import questions_of
from tasks.captions.keeping import described, kept_ids
from tasks.configuration import load
from tasks.landcover.classes import N_IDS
from tasks.places import dataset_of
from tasks.planning.table import KEPT, SCHEMA, write_tiles
from tasks.statistics.patches import PATCHES, Counts
from tasks.statistics.shares import PATCH_PIXELS
from tasks.statistics.table import Provenance, file_name, statistics_folder, write_statistics
from tasks.storage import place
from tests.benchmarks.bare_client import CLIENTS, CONNECTIONS
from tests.benchmarks.commands import ROOT, campaign, run
from tests.benchmarks.endpoint import cheap_endpoint, span
from tests.benchmarks.measuring import Figure, ratio
from tests.benchmarks.sizes import Sizes

IN_FLIGHT = CLIENTS * CONNECTIONS
_QUICK = 0.02
_SLOW = 1.0
_FAULTS = 0.1
_HIGH = 128
_TILES_OF_A_FILE = 2_000


def dispatch(sizes: Sizes, scratch: Path) -> list[Figure]:
    """The caption command against bare httpx, from the first request to the last answer; nothing is left out."""
    ours, bare = [], []
    with cheap_endpoint(_QUICK) as address:
        config = counted_campaign(scratch, address, sizes.asked)
        bodies = scratch / "bodies"
        bodies.write_bytes(b"\n".join(_bodies(config)))
        command = [sys.executable, "-m", "tests.benchmarks.bare_client", address, str(bodies)]
        for _ in range(sizes.rounds):
            seconds = _caption(config, address, sizes.asked)
            subprocess.run(command, cwd=ROOT, check=True)
            seen = span(address)
            assert seen.requests == sizes.asked
            ours.append(sizes.asked / seconds)
            bare.append(sizes.asked / seen.seconds)
    what = f"requests a second, {sizes.asked:,} of 20 ms, {IN_FLIGHT} in flight / bare httpx"
    return [
        ratio(what, ours, bare, ">=", 1.5),
        Figure("the same, ours", median(ours), "1/s", ">=", 0, tuple(ours)),
        Figure("the same, bare httpx", median(bare), "1/s", ">=", 0, tuple(bare)),
    ]


def faults(sizes: Sizes, scratch: Path) -> list[Figure]:
    """The caption command against an endpoint of which a tenth of the answers are faults, and against one without."""
    faulty, sound = [], []
    with cheap_endpoint(sizes.latency, _FAULTS) as one, cheap_endpoint(sizes.latency) as other:
        first = counted_campaign(scratch / "faulty", one, sizes.asked)
        second = counted_campaign(scratch / "sound", other, sizes.asked)
        for _ in range(sizes.slow_rounds):
            faulty.append(_caption(first, one, sizes.asked))
            sound.append(_caption(second, other, sizes.asked))
    return [ratio(f"{sizes.asked:,} requests of {sizes.latency:g} s, a tenth faults / none", faulty, sound, "<=", 1.25)]


def counted_campaign(folder: Path, address: str, count: int) -> Path:
    """A campaign whose tiles are counted and wait for their captions; its quota is there, and never out.

    Its tables are made here, not by the commands that precede captions: those have benchmarks of their own.
    """
    captioner = {
        "name": "asked",
        "prompt": "text",
        "endpoint": address,
        "model": "gpt-3.5-turbo",
        "concurrency": IN_FLIGHT,
        "quota": {"requests_per_day": 1_000_000, "tokens_per_minute": 1_000_000_000},
    }
    (folder / "maps").mkdir(parents=True)
    config = campaign(folder / "campaign", folder / "maps", {}, captioner=captioner)
    dataset = place(folder / "campaign" / "dataset")
    x, y = np.arange(count, dtype=np.int32) // _HIGH, np.arange(count, dtype=np.int32) % _HIGH
    tile_ids = pa.array([f"{column}_{row}" for column, row in zip(x, y, strict=True)])
    values = {"tile_id": tile_ids, "x": x, "y": y, "lon": x * 0.02, "lat": y * 0.02, "reason": pa.nulls(count)}
    same = {"source": "made.tif", "block": "0_0", "split": "train", "status": KEPT}
    columns = values | {name: pa.repeat(value, count) for name, value in same.items()}
    schema = pa.schema([field for field in SCHEMA if field.name != "geometry"])
    tiles = pa.Table.from_arrays(
        [pa.array(columns[name]).cast(schema.field(name).type) for name in schema.names], schema=schema
    )
    write_tiles(dataset, tiles, lambda rows: np.full((len(range(count)[rows]), 5, 2), np.nan), {})
    for start in range(0, count, _TILES_OF_A_FILE):
        part = tile_ids.slice(start, _TILES_OF_A_FILE)
        where = statistics_folder(dataset).join(file_name(f"made-{start}", part))
        write_statistics(where, part, _counts(len(part), start), Provenance("made", "made"))
    return config


def _counts(count: int, seed: int) -> Counts:
    """Pixels by patch and class id of so many tiles; each tile has four classes, as real ones have on average."""
    rng = np.random.default_rng(seed)
    counts = np.zeros((count, len(PATCHES), N_IDS), np.int32)
    for row in counts:
        row[:, rng.choice(np.arange(1, N_IDS), 4, replace=False)] = rng.multinomial(
            PATCH_PIXELS, [0.25] * 4, len(PATCHES)
        )
    counts[:, 0] = counts[:, 1:5].sum(axis=1)  # the quarters make up the whole
    return counts


def _bodies(config: Path) -> list[bytes]:
    """What the caption command sends."""
    campaign = load(config)
    (captioner,) = campaign.captioners
    dataset, questions = dataset_of(campaign), questions_of(captioner)
    material = gather(dataset, described(captioner, kept_ids(dataset)), placed=False)
    views = material.views(range(len(material.tile_ids)))
    return [questions.request([view]).body(captioner.pool[0].model) for view in views]


def _caption(config: Path, address: str, count: int) -> float:
    """Captions all tiles anew; returns the seconds from the first request to the last answer."""
    forget_captions(config)
    run("caption", config)
    seen = span(address)
    assert seen.requests >= count
    return seen.seconds


def forget_captions(config: Path) -> None:
    """Removes what has been captioned and counted."""
    for pattern in ("dataset/campaign.db*", "dataset/captions/*", "ledger.db*"):
        for file in config.parent.glob(pattern):
            file.unlink()
