"""A stack's processes: started on their own, found by the mark that they and their descendants carry."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

MARK: Final = "EARTHSCRIBE_STACK"
"""Environment variable of every process of a stack: ``FOLDER:PART``. A part's descendants inherit it."""

_POLL_SECONDS: Final = 0.05
_SHOWN_SECONDS: Final = 5.0


def spawn(folder: Path, name: str, command: Sequence[str], environment: Mapping[str, str], user: str | None) -> None:
    """Starts a part that outlives this process; its log is appended to, and its process ID kept.

    Args:
        folder: the stack's.
        name: the part's.
        command: program and arguments.
        environment: all of its environment but the mark.
        user: whom it runs as; None for the present user.
    """
    with (folder / "logs" / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - commands of ours
            command,
            cwd=folder,
            env={**environment, MARK: f"{folder}:{name}"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Out of reach of a Ctrl-C in the terminal.
            start_new_session=True,
            user=user,
        )
    _await_environment(process.pid)
    (folder / "run" / f"{name}.pid").write_text(f"{process.pid}\n")
    process.returncode = 0  # It is to outlive us: keeps Popen from warning that nobody waits for it.


def _await_environment(pid: int) -> None:
    """Waits until a new process can be told by its mark: the kernel shows its environment a moment after its start."""
    deadline = time.monotonic() + _SHOWN_SECONDS
    with suppress(psutil.Error):
        while not psutil.Process(pid).environ() and time.monotonic() < deadline:
            time.sleep(0.001)


def marked(folder: Path) -> dict[str, list[psutil.Process]]:
    """The living processes of a stack, by part; those of a killed part that live on are among them."""
    found: dict[str, list[psutil.Process]] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            stack, _, part = process.environ().get(MARK, "").rpartition(":")
            if stack == str(folder) and _lives(process):
                found.setdefault(part, []).append(process)
    return found


def main_process(folder: Path, name: str) -> psutil.Process | None:
    """The process of a part that was started as such, if it lives; one that has taken over its number is not it."""
    try:
        process = psutil.Process(int((folder / "run" / f"{name}.pid").read_text()))
        ours = process.environ().get(MARK) == f"{folder}:{name}"
    except (OSError, ValueError, psutil.Error):
        return None
    return process if ours and _lives(process) else None


def end(folder: Path, name: str, ask: signal.Signals = signal.SIGTERM, patience: float = 10.0) -> None:
    """Ends all processes of a part: the part itself, then what it leaves behind; kills what has not ended in time.

    Args:
        folder: the stack's.
        name: the part's.
        ask: the signal upon which it ends in order.
        patience: seconds until it is killed.
    """
    deadline = time.monotonic() + patience
    while left := marked(folder).get(name, []):
        main = main_process(folder, name)
        ending = [main] if main else left
        for process in ending:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(ask)
        while (alive := any(_lives(process) for process in ending)) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        if alive:
            ask = signal.SIGKILL
    (folder / "run" / f"{name}.pid").unlink(missing_ok=True)


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
