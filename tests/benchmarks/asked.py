"""Asks for the captions of a campaign with Prefect and without, in turn: ``... asked CONFIG ROUNDS``.

Without Prefect is the same code outside a flow run: no task runs, no artifacts, nobody to report to. Each time it is a
fresh copy of the campaign's folder. Prints the seconds of each round as JSON.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from flows.captions import caption_tiles, captions
from flows.runtime.server import begin, prefect_api
from tasks.configuration import Campaign, load
from tests.benchmarks.measuring import interleaved


def main(config: Path, rounds: int) -> None:
    """Measures and prints."""
    begun = begin()  # one server for all rounds, as a worker has it
    with tempfile.TemporaryDirectory() as scratch:

        def on_a_copy(ask: Callable[[Campaign], object]) -> None:
            folder = Path(tempfile.mkdtemp(dir=scratch)) / "campaign"
            shutil.copytree(config.parent, folder, ignore=shutil.ignore_patterns("prefect"))
            ask(load(folder / config.name))

        work = {"with": lambda: on_a_copy(_with_prefect), "without": lambda: on_a_copy(caption_tiles)}
        print(json.dumps(interleaved(work, rounds)))
    if begun:
        begun.end()


def _with_prefect(config: Campaign) -> None:
    """The flow, until all that it reports is handed over."""
    with prefect_api(begin()):
        captions(config, return_state=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
