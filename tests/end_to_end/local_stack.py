"""A local stack for tests, started and stopped by its command."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from infra.stack.layout import USUAL_PORTS, Stack, open_stack
from infra.stack.processes import marked


@dataclass(frozen=True)
class LocalStack:
    """A stack that runs.

    Attributes:
        folder: where it lies.
        said: what `start` printed.
        environment: what its parts find in their environment.
    """

    folder: Path
    said: str
    environment: Mapping[str, str]

    @property
    def layout(self) -> Stack:
        return open_stack(self.folder)

    def command(self, name: str) -> subprocess.CompletedProcess[str]:
        """Runs `start`, `stop` or `status` for this stack."""
        return stack_command(name, self.folder, **self.environment)

    def exports(self) -> dict[str, str]:
        """What a shell has in its environment that runs the lines that `start` printed."""
        script = f"{self.said}\nenv -0"
        names = re.findall(r"^export (\w+)=", self.said, re.MULTILINE)
        done = subprocess.run(
            ["sh", "-c", script], capture_output=True, text=True, check=True, env={"PATH": os.defpath}
        )
        found = dict(line.split("=", 1) for line in done.stdout.split("\0") if line)
        return {name: found[name] for name in names}

    def pid(self, part: str) -> int:
        return int((self.folder / "run" / f"{part}.pid").read_text())

    def processes(self) -> dict[str, list[psutil.Process]]:
        return marked(self.folder)

    def api(self, path: str, **body: object) -> Any:
        """Asks Prefect's API."""
        answer = httpx.post(f"{self.layout.ui}/api/{path}", json=body, trust_env=False, timeout=60)
        answer.raise_for_status()
        return answer.json()


@contextmanager
def running_stack(folder: Path, **environment: str) -> Iterator[LocalStack]:
    """Starts a stack and stops it when the block ends; its parts find the variables in their environment."""
    settle(folder)
    started = stack_command("start", folder, **environment)
    try:
        assert started.returncode == 0, started.stderr
        yield LocalStack(folder, started.stdout, environment)
    finally:
        stack_command("stop", folder)
        assert marked(folder) == {}


def settle(folder: Path) -> None:
    """Makes a stack's folder, but with no usual port: two that are made at the same time would both find them free."""
    with ExitStack() as held:
        for port in USUAL_PORTS.values():
            with suppress(OSError):
                held.enter_context(socket.create_server(("127.0.0.1", port)))
        open_stack(folder)


def stack_command(name: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "infra.stack", name, "--folder", str(folder)],
        cwd=Path(__file__).parents[2],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
