"""What Prefect costs a request to an endpoint: task runs, artifacts, hooks and the flow run itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import yaml

from tests.benchmarks.commands import ROOT, campaign, run
from tests.benchmarks.made import corners, eleven_classes, write_maps
from tests.benchmarks.measuring import Figure
from tests.benchmarks.memory import area_of_tiles
from tests.benchmarks.sizes import Sizes


def requests(sizes: Sizes, scratch: Path) -> list[Figure]:
    """The captions flow, less the same requests without Prefect, for each request.

    The endpoint answers at once, so that nothing of the cost hides behind its answers.
    """
    write_maps(scratch / "maps", corners(1), eleven_classes(4))
    figures = []
    for name, count in (("a task run each", sizes.alone), ("in slices", sizes.in_slices)):
        with _endpoint() as address:
            config = _counted(scratch / name, scratch / "maps", address, count)
            seconds = _asked(config, sizes.rounds)
        each = tuple((flow - bare) / count * 1e3 for flow, bare in zip(*seconds, strict=True))
        what = f"Prefect for each of {count:,} requests, {name}"
        figures.append(Figure(what, median(each), "ms", "<=", 10.0, each))
    return figures


def _counted(folder: Path, maps: Path, address: str, count: int) -> Path:
    """A campaign whose tiles wait for their captions."""
    config = campaign(folder, maps, {"area": area_of_tiles(count)})
    captioner = {
        "name": "asked",
        "prompt": "text",
        "endpoint": address,
        "model": "m",
        "tiles": {"count": count},
        "quota": {"requests_per_day": 1_000_000},
    }
    content = yaml.safe_load(config.read_text()) | {"ledger": "sqlite:///ledger.db", "captioners": [captioner]}
    config.write_text(yaml.safe_dump(content))
    run("statistics", config)
    return config


def _asked(config: Path, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds with Prefect and without, round by round."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= {
        "PREFECT_HOME": str(config.with_name("prefect")),
        # What the command line sets.
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.asked", str(config), str(rounds)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    seconds = json.loads(done.stdout)
    return seconds["with"], seconds["without"]


@contextmanager
def _endpoint() -> Iterator[str]:
    """An endpoint for the block's length; yields its address."""
    command = [sys.executable, "-m", "flows", "fake-llm"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
