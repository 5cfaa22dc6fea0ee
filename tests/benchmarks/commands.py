"""Commands as people run them, in processes of their own."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.benchmarks.made import PRODUCT

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ran:
    """What a command took.

    Attributes:
        seconds: from its start until it and its server had ended.
        peak: its own most memory in MB; the server is another process.
    """

    seconds: float
    peak: float


RULES = {"name": "rules", "prompt": "rules"}


def campaign(
    folder: Path,
    source: Path,
    tiles: Mapping[str, Any],
    *,
    threads: int = 2,
    address: str | None = None,
    captioner: Mapping[str, Any] = RULES,
) -> Path:
    """Writes a configuration; its dataset lies in the same folder, which it makes.

    It computes by threads of its own process, or on the cluster at an address.
    """
    folder.mkdir(parents=True)
    content = {
        "dataset": "./dataset",
        "landcover": {"product": PRODUCT, "source": str(source), "storage_options": {}},
        # What is excluded costs less than what is kept.
        "tiles": {"min_valid": 0, "max_share": {}, "min_classes": 0, **tiles},
        "cluster": {"address": address} if address else {"threads": threads},
        "ledger": f"sqlite:///{folder}/ledger.db",
        "captioners": [dict(captioner)],
    }
    config = folder / "campaign.yaml"
    config.write_text(yaml.safe_dump(content))
    return config


def run(command: str, config: Path, *options: str, server: str | None = None) -> Ran:
    """Runs a command with a Prefect home beside its configuration, so with a server of its own where none is named."""
    took = config.with_name("took.json")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment["PREFECT_HOME"] = str(_home(config))
    if server:
        environment["PREFECT_API_URL"] = server
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.peak", str(took), command, str(config), "--quiet", *options],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return Ran(time.perf_counter() - start, json.loads(took.read_text())["peak_mb"])


def task_runs(config: Path) -> int:
    """Task runs that the commands of a configuration have left in Prefect's database."""
    with closing(sqlite3.connect(_home(config) / "prefect.db")) as database:
        return int(database.execute("select count(*) from task_run").fetchone()[0])


def _home(config: Path) -> Path:
    return config.with_name("prefect")
