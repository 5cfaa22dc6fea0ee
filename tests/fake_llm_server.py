"""A real `fake-llm` in a process of its own, for tests."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx


@dataclass(frozen=True)
class FakeLlm:
    """A running endpoint.

    Attributes:
        url: its address, as a configuration names it.
        log: its request log.
        process: its process.
    """

    url: str
    log: Path
    process: subprocess.Popen[str]

    @property
    def root(self) -> str:
        """The address of what is no part of the API."""
        return self.url.removesuffix("/v1")

    def audit(self) -> dict[str, Any]:
        """Its own counters."""
        return dict(httpx.get(f"{self.root}/audit", timeout=60).json())

    def entries(self) -> list[dict[str, Any]]:
        """The lines of its log."""
        return [json.loads(line) for line in self.log.read_text("utf-8").splitlines()]


@contextlib.contextmanager
def serve_fake_llm(folder: Path, *options: str, day_seconds: float | None = None) -> Iterator[FakeLlm]:
    """Serves for the block's length.

    Args:
        folder: where its log is written.
        options: of the command.
        day_seconds: the length of its day.
    """
    log = folder / "requests.jsonl"
    environment = os.environ | ({} if day_seconds is None else {"EARTHSCRIBE_DAY_SECONDS": str(day_seconds)})
    command = [sys.executable, "-m", "tasks.fake_llm", "--log", str(log), *options]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield FakeLlm(process.stdout.readline().strip(), log, process)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            process.wait(10)
