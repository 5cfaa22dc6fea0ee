"""Commands for the end-to-end tests: cold ones as a user types them, warm ones where many are needed."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

RULES = [{"name": "rules", "prompt": "rules"}]


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
    home: Path
    folder: Path
    left_running: list[list[str]]


def processes_of(home: str) -> list[list[str]]:
    """The command lines of processes that know a Prefect home."""
    return [
        process.info["cmdline"]
        for process in psutil.process_iter(["cmdline", "environ"])
        if process.pid != os.getpid() and (process.info["environ"] or {}).get("PREFECT_HOME") == home
    ]


def write_config(folder: Path, name: str = "c", **keys: Any) -> Path:
    """Writes a configuration beside which its dataset will lie; rules are its captioner where none is given."""
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"dataset": f"./{name}", "captioners": RULES} | keys))
    return path
