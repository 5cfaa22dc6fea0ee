"""A Dask cluster as people run one: a scheduler and workers, each a process of its own, with their logs.

Its processes cannot import Prefect, and find nothing of the tester's Prefect or keys in their environment.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

WITHOUT_PREFECT = "import sys; sys.modules['prefect'] = None\n"
"""A preload that has an import of Prefect fail."""

_AT_WORK = "at-work"


def slowly(seconds: float) -> str:
    """A preload of workers that take so much longer for each piece of work, and tell when they are at it."""
    return f"""{WITHOUT_PREFECT}
import pathlib, time
from tasks.statistics.blocks import GridChunk
def slowly(self, count=GridChunk.count):
    pathlib.Path("{_AT_WORK}").touch()
    time.sleep({seconds})
    return count(self)
if GridChunk.count.__name__ != "slowly":  # Dask runs a preload twice
    GridChunk.count = slowly
"""


_STARTING_SECONDS = 60


@dataclass
class DaskProcesses:
    """A running cluster.

    Attributes:
        folder: where its logs lie.
        port: its scheduler's.
        talk: how much it logs.
        scheduler: its scheduler's process.
        workers: its workers' processes, of one thread each, by name.
    """

    folder: Path
    port: int
    talk: str
    scheduler: subprocess.Popen[bytes] = field(init=False)
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """As `cluster.address` names it."""
        return f"tcp://127.0.0.1:{self.port}"

    def start_scheduler(self) -> None:
        """Starts the scheduler, or starts it again at the address that it had."""
        self.scheduler = self._start("scheduler", "scheduler", "--host", "127.0.0.1", "--port", str(self.port))
        self._await("scheduler", r"Scheduler at:")

    def start_workers(self, *names: str, preload: str = WITHOUT_PREFECT) -> None:
        """Starts workers and waits until they have joined; ``preload`` is Python that each of them runs first."""
        for name in names:
            script = self.folder / f"preload_{name}.py"
            script.write_text(preload)
            options = ("--nthreads", "1", "--no-nanny", "--name", name, "--preload", str(script))
            self.workers[name] = self._start(name, "worker", self.address, "--host", "127.0.0.1", *options)
        for name in names:
            self._await(name, r"Registered to:")

    def kill_worker(self, name: str) -> None:
        """Kills a worker at once."""
        worker = self.workers.pop(name)
        worker.kill()
        worker.wait()

    def kill_scheduler(self) -> None:
        """Kills the scheduler at once, and its workers, which would end of themselves some time later."""
        self.scheduler.kill()
        self.scheduler.wait()
        for name in list(self.workers):
            self.kill_worker(name)

    def await_work(self) -> None:
        """Waits until one of the slow workers is at it."""
        while not (self.folder / _AT_WORK).exists():
            time.sleep(0.02)
        (self.folder / _AT_WORK).unlink()

    def restore(self) -> None:
        """Ends all workers, forgets their logs, and sees to it that there is a scheduler."""
        for name in list(self.workers):
            self.kill_worker(name)
        (self.folder / _AT_WORK).unlink(missing_ok=True)
        if self.scheduler.poll() is not None:
            self.start_scheduler()

    def log(self, name: str = "*") -> str:
        """All that a process, or all of them, have logged."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.folder.glob(f"{name}.log")))

    def _start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "AWS_", "DASK_"))}
        kept["DASK_LOGGING__DISTRIBUTED"] = self.talk
        # Workers that may die of the same work before it is given up: one more than these.
        kept["DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES"] = "1"
        command = [sys.executable, "-m", "distributed.cli.dask_" + arguments[0], *arguments[1:]]
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [*command, "--dashboard-address", "127.0.0.1:0"],
                env=kept,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _await(self, name: str, said: str) -> None:
        process = self.scheduler if name == "scheduler" else self.workers[name]
        until = time.monotonic() + _STARTING_SECONDS
        while not re.search(said, self.log(name).rsplit("Start ", 1)[-1]):
            if process.poll() is not None or time.monotonic() > until:
                pytest.fail(f"Dask's {name} did not start:\n{self.log(name)[-2000:]}")
            time.sleep(0.05)

    def end(self) -> None:
        """Ends all processes."""
        processes = [*self.workers.values(), self.scheduler]
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def serve_dask(folder: Path, *workers: str, talk: str = "debug") -> Iterator[DaskProcesses]:
    """Runs a cluster for the block's length.

    Args:
        folder: for its logs.
        workers: names of its first workers.
        talk: how much it logs; by default all it can.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    cluster = DaskProcesses(folder, port, talk)
    cluster.start_scheduler()
    try:
        cluster.start_workers(*workers)
        yield cluster
    finally:
        cluster.end()
