"""One run at a time in the stages that rewrite tables; captions are shared out instead."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from flows.terminal import say
from tasks.errors import InputError
from tasks.storage import Place


@contextlib.contextmanager
def stage(dataset: Place) -> Iterator[None]:
    """Holds a dataset's lock on this machine; a second run waits for the first. The kernel drops it at any death.

    Raises:
        InputError: the folder cannot be made or written.
    """
    descriptor = _open(_lock_file(dataset))
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another run on {dataset}")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        _sweep(dataset)
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    """The descriptor of the lock's file, which is made where it is missing."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise InputError(f"{path.parent}: {error.strerror}; expected a folder that may be written") from error


def _sweep(dataset: Place) -> None:
    """Removes what a killed run was writing (see `tasks.storage.write`); only who holds the lock writes there."""
    if dataset.is_local:
        for folder in (".", "statistics", "captions"):
            for unfinished in (Path(dataset.url) / folder).glob(".*.part"):
                unfinished.unlink(missing_ok=True)


def _lock_file(dataset: Place) -> Path:
    if dataset.is_local:
        return Path(dataset.url) / ".lock"
    # A bucket knows no locks: runs on this machine meet in the user's own folder.
    home = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser()
    return home / "earthscribe" / f"{hashlib.sha256(dataset.url.encode()).hexdigest()[:16]}.lock"
