"""Who does a piece of work: a process, told apart from every other, and whether it still lives."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterable
from pathlib import Path


def this_process() -> str:
    """The name of this process as an owner: host and start of it, process ID, start of that."""
    pid = os.getpid()
    return f"{_host()} {pid} {_started(pid)}"


def dead(owners: Iterable[str]) -> list[str]:
    """Those of some owners that have ended for certain: processes of this host, since it was started."""
    host = _host()
    return [owner for owner in owners if owner.startswith(f"{host} ") and not _lives(owner)]


def _lives(owner: str) -> bool:
    _, pid, started = owner.rsplit(" ", 2)
    return _started(int(pid)) == started


def _host() -> str:
    # Two machines may have one name; a container shares its host's start, and has a name of its own.
    boot = Path("/proc/sys/kernel/random/boot_id")
    return f"{socket.gethostname()}/{boot.read_text().strip()[:13]}" if boot.exists() else socket.gethostname()


def _started(pid: int) -> str:
    """When a process started, as text that no other process of that ID has; empty where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        stat = []
    if stat:
        return "" if stat[0] in "ZX" else stat[19]  # ticks since the host's start: no clock that is set moves them
    if Path("/proc/self/stat").exists():
        return ""
    # No file tells where there is no /proc, as on macOS.
    asked = ["/bin/ps", "-o", "lstart=", "-p", str(pid)]
    told = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603 - a number is all it is given
    return "-".join(told.stdout.split())
