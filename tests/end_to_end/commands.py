"""Commands for the end-to-end tests: cold ones as a user types them, warm ones where many are needed."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import yaml

RULES = {"name": "rules", "prompt": "rules"}
ENDPOINT = {"name": "gpt", "prompt": "text", "endpoint": "http://127.0.0.1:9/v1", "model": "gpt-3.5-turbo"}


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it said."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Command:
    """A command that runs, forked from the warm start."""

    commands: Commands
    pid: int
    output: Path

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self) -> Ended:
        code = self.commands.ask({"wait": self.pid})
        return Ended(code, *(self.output.with_suffix(suffix).read_text() for suffix in (".out", ".err")))


@dataclass(frozen=True)
class Commands:
    """Starts commands that share one Prefect home, and one server as long as the tests run."""

    environment: Mapping[str, str]
    scratch: Path
    warm: subprocess.Popen[str]
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def __call__(self, *arguments: object, folder: Path, **environment: str) -> Ended:
        """Runs a command to its end."""
        return self.start(*arguments, folder=folder, **environment).wait()

    def start(self, *arguments: object, folder: Path, **environment: str) -> Command:
        """Starts a command, and does not wait for it."""
        output = self.scratch / f"command-{next(self.numbers)}"
        start = [str(argument) for argument in arguments]
        request = {"start": start, "folder": str(folder), "environment": environment, "output": str(output)}
        return Command(self, self.ask(request), output)

    def ask(self, request: Mapping[str, Any]) -> int:
        assert self.warm.stdin is not None
        assert self.warm.stdout is not None
        self.warm.stdin.write(json.dumps(request) + "\n")
        self.warm.stdin.flush()
        return int(self.warm.stdout.readline())

    def prefect(self) -> closing[sqlite3.Connection]:
        """Prefect's database, to be looked at."""
        database = sqlite3.connect(Path(self.environment["PREFECT_HOME"]) / "prefect.db")
        database.text_factory = lambda raw: raw.decode(errors="replace")
        return closing(database)

    def cold(self, *arguments: object, folder: Path) -> subprocess.Popen[str]:
        """Starts a command as a shell does, in a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "flows", *map(str, arguments)],
            cwd=folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


@dataclass(frozen=True)
class Demo:
    """The first command of a machine: nothing is there, no server runs."""

    ended: Ended
    folder: Path
    left_running: list[list[str]]


def processes_of(home: str) -> list[list[str]]:
    """The command lines of processes that know a Prefect home."""
    return [
        process.info["cmdline"]
        for process in psutil.process_iter(["cmdline", "environ"])
        if process.pid != os.getpid() and (process.info["environ"] or {}).get("PREFECT_HOME") == home
    ]


def flow_runs(database: sqlite3.Connection, config: Path) -> list[dict[str, Any]]:
    """The flow runs of one configuration, oldest first."""
    cursor = database.execute("SELECT id, name, state_name, parameters FROM flow_run ORDER BY start_time")
    runs = [dict(zip((column[0] for column in cursor.description), row, strict=True)) for row in cursor]
    return [run for run in runs if json.loads(run["parameters"])["config"]["dataset"] == str(config.with_suffix(""))]


def write_config(folder: Path, name: str = "c", **keys: Any) -> Path:
    """Writes a configuration beside which its dataset will lie; rules are its captioner where none is given."""
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"dataset": f"./{name}", "captioners": [RULES]} | keys))
    return path


def rows_of(file: Path) -> list[dict[str, Any]]:
    """The rows of a Parquet file."""
    rows: list[dict[str, Any]] = pq.read_table(file).to_pylist()
    return rows


def counts_of(dataset: Path) -> dict[str, dict[str, Any]]:
    """The statistics of a dataset by tile ID."""
    files = sorted((dataset / "statistics").glob("*.parquet"))
    return {row["tile_id"]: row for file in files for row in rows_of(file)}
