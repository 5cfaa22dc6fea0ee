"""The tutorial's commands, taken from the document and typed into its terminals."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
BLOCK = re.compile(r"<!-- (terminal|file|not run): ([^\n]+) -->\n```(?:sh|yaml)\n(.*?)```", re.DOTALL)
SHOWN = re.compile(r"^```\n(.*?)^```$", re.DOTALL | re.MULTILINE)
"""What the document says that is printed; blocks of commands are taken out first."""

PROMPT = {"PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
"""Settings with which nobody waits for loops that turn seldom."""


@dataclass(frozen=True)
class Terminal:
    """A shell with what has been typed into it."""

    shell: subprocess.Popen[str]
    screen: Path

    def type(self, lines: str) -> None:
        assert self.shell.stdin is not None
        self.shell.stdin.write(lines)
        self.shell.stdin.flush()

    def run(self, lines: str) -> None:
        """Types lines and waits until they are done; one that fails ends the shell."""
        done = self.screen.with_suffix(".done")
        self.type(f"{lines}\ntouch '{done}'\n")
        wait_until(lambda: done.exists() or self.shell.poll() is not None, self)
        assert self.shell.poll() is None, self.screen.read_text()
        done.unlink()


def wait_until(holds: Callable[[], bool], terminal: Terminal, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, terminal.screen.read_text()
        time.sleep(0.1)


@contextlib.contextmanager
def terminal(folder: Path, name: str, home: Path, environment: dict[str, str]) -> Iterator[Terminal]:
    """Opens a terminal; closing it ends all that runs in it."""
    screen = folder / f"{name}.txt"
    with (
        screen.open("w") as output,
        subprocess.Popen(
            ["sh", "-e"],
            cwd=home,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            text=True,
            start_new_session=True,
        ) as shell,
    ):
        try:
            yield Terminal(shell, screen)
        finally:
            for number in (signal.SIGINT, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                    os.killpg(shell.pid, number)
                    shell.wait(10)


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [listener.getsockname()[1] for listener in listeners]


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A user who has nothing yet but the installed package."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "XDG_", "EARTHSCRIBE_"))
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    (tmp_path / "campaigns").mkdir()
    return kept | PROMPT | {"HOME": str(tmp_path), "PATH": path, "CHECKOUT": str(ROOT)}


def test_every_block_of_commands_is_run_or_says_why_not() -> None:
    assert len(BLOCK.findall(TUTORIAL)) == len(re.findall(r"^```(?:sh|yaml)$", TUTORIAL, re.MULTILINE))


@pytest.mark.timeout(600)
def test_the_tutorial_comes_to_its_end(environment: dict[str, str], tmp_path: Path) -> None:
    server, endpoint = free_ports(2)
    document = TUTORIAL.replace(":4200", f":{server}").replace("18080", str(endpoint))
    # Days that are shorter still.
    document = document.replace("EARTHSCRIBE_DAY_SECONDS=60", "EARTHSCRIBE_DAY_SECONDS=10")
    environment["PREFECT_SERVER_API_PORT"] = str(server)
    campaigns = tmp_path / "campaigns"
    ready = {"server": f"http://127.0.0.1:{server}/api/health", "endpoint": f"http://127.0.0.1:{endpoint}/audit"}
    with contextlib.ExitStack() as stack:
        terminals: dict[str, Terminal] = {}
        for kind, name, lines in BLOCK.findall(document):
            if kind == "file":
                (campaigns / name).write_text(lines)
            elif kind == "terminal":
                if name not in terminals:
                    home = ROOT if name == "first" else campaigns
                    terminals[name] = stack.enter_context(terminal(tmp_path, name, home, environment))
                if name == "first":
                    terminals[name].run(lines)
                    continue
                terminals[name].type(lines)
                if url := ready.get(name):
                    wait_until(lambda url=url: answers(url), terminals[name])
        audit = httpx.get(ready["endpoint"], trust_env=False).json()
        terminals["first"].run("earthscribe status rehearsal.yaml --json > status.json")

    said = (tmp_path / "first.txt").read_text()
    shown = [
        line
        for block in SHOWN.findall(re.sub(r"^```\w+\n.*?^```$", "", document, flags=re.DOTALL | re.MULTILINE))
        for line in block.splitlines()
    ]
    assert len(shown) > 10
    assert [line for line in shown if line not in said.splitlines()] == []
    assert "40 of 65 tiles captioned, 25 pending" in said
    assert (campaigns / "dataset" / "preview.html").exists()
    captions = json.loads((campaigns / "status.json").read_text())["captioners"]["gpt"]
    assert (captions["done"], captions["pending"]) == (65, 0)
    assert (audit["requests"], audit["refused"]) == (captions["requests"]["sent"], 0)
