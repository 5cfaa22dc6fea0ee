"""What one test process makes and all others use."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that whoever needs it first makes, while the others wait; never to be changed after that."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder = root / name
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = root / f"{name}.made"
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of one who has failed
            folder.mkdir()
            make(folder)
            made.touch()
    return folder


def prefect_database(factory: pytest.TempPathFactory) -> Path:
    """An empty database of Prefect's server. To make one takes a server six seconds, each time."""

    def make(folder: Path) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        upgrade = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y"]
        subprocess.run(upgrade, env=kept | {"PREFECT_HOME": str(folder)}, check=True, capture_output=True)

    return once(factory, "prefect-database", make) / "prefect.db"
