"""How soon a command that goes on with a campaign sends its first request, and what it holds in memory."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from statistics import median

from tasks.captions.keeping import described, kept_ids
from tasks.captions.state import Caption, open_state
from tasks.configuration import load
from tasks.places import dataset_of
from tests.benchmarks.commands import run
from tests.benchmarks.dispatch import counted_campaign, forget_captions
from tests.benchmarks.endpoint import CAPTION, cheap_endpoint, span
from tests.benchmarks.measuring import Figure, ratio
from tests.benchmarks.sizes import Sizes

_MB_OF_CAPTIONS = 100


def resume(sizes: Sizes, scratch: Path) -> list[Figure]:
    """A caption command for the last tile of many, against the same command for the first of them."""
    few, many = sizes.done
    last, first = [], []
    with cheap_endpoint(0.02) as address:
        small, large = (counted_campaign(scratch / str(count), address, count + 1) for count in (few, many))
        for config, count in ((small, few), (large, many)):
            _make_captions(config, count)
        _take_up(small)
        _, held = _first_request(small, address)
        _first_request(large, address)  # whose command's server makes its database
        peaks = []
        for _ in range(sizes.slow_rounds):
            forget_captions(large)
            first.append(_first_request(large, address)[0])
            _take_up(large)
            seconds, peak = _first_request(large, address)
            last.append(seconds)
            peaks.append(peak)
    return [
        ratio(f"first request with {many:,} tiles done / with none", last, first, "<=", 1.5),
        Figure("the same, with all but one done", median(last), "s", "<=", 60, tuple(last)),
        Figure(f"peak with {many:,} done less with {few:,}", max(peaks) - held, "MB", "<=", _MB_OF_CAPTIONS),
    ]


def _make_captions(config: Path, count: int) -> None:
    """Puts a state with so many captions aside."""
    campaign = load(config)
    (captioner,) = campaign.captioners
    tile_ids = described(captioner, kept_ids(dataset_of(campaign)))[:count]
    made = (
        Caption(tile_id, captioner.name, CAPTION, "unchecked", "2026-01-01T00:00:00+00:00", raw=CAPTION)
        for tile_id in tile_ids
    )
    with open_state(campaign.state, campaign.dataset) as state:
        assert state.add(made) == count
    shutil.move(_state(config), config.with_name("done.db"))


def _take_up(config: Path) -> None:
    """Takes up the state that was put aside."""
    forget_captions(config)
    shutil.copy(config.with_name("done.db"), _state(config))


def _first_request(config: Path, address: str) -> tuple[float, float]:
    """Seconds until the first request of a command that sends one, and the command's peak memory in MB."""
    start = time.monotonic()
    peak = run("caption", config, "--max-requests", "1").peak
    seen = span(address)
    assert seen.requests == 1
    return seen.first - start, peak


def _state(config: Path) -> Path:
    return config.parent / "dataset" / "campaign.db"
