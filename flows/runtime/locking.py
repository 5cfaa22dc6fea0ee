"""One run at a time in the stages that rewrite tables; captions are shared out instead."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from flows.display.terminal import say
from tasks.configuration import Campaign
from tasks.database import locked_on_all_machines
from tasks.errors import InputError
from tasks.places import dataset_of
from tasks.storage import Place


@contextlib.contextmanager
def stage(config: Campaign) -> Iterator[None]:
    """Holds a dataset's lock; a second run waits for the first. It is dropped at any death.

    Runs on one machine meet in a file; those on several in the database of captions, where it is PostgreSQL.

    Raises:
        InputError: the folder cannot be made or written, or the database cannot be opened.
    """
    dataset = dataset_of(config)

    def tell() -> None:
        say(f"waiting for another run on {dataset}")

    with _on_this_machine(dataset, tell), locked_on_all_machines(config.state, dataset.url, tell):
        sweep(dataset, ".", "statistics", "captions", "imagery", "releasing", "release", "release/*")
        yield


@contextlib.contextmanager
def _on_this_machine(dataset: Place, tell: Callable[[], None]) -> Iterator[None]:
    descriptor = _open(_lock_file(dataset))
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
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


def sweep(dataset: Place, *folders: str) -> None:
    """Removes what a killed run was writing (see `tasks.storage.write`); only who holds the lock writes there.

    Args:
        dataset: the dataset's folder.
        folders: patterns of folders below it.
    """
    if dataset.is_local:
        for folder in folders:
            for unfinished in Path(dataset.url).glob(f"{folder}/.*.part"):
                unfinished.unlink(missing_ok=True)


def _lock_file(dataset: Place) -> Path:
    if dataset.is_local:
        return Path(dataset.url) / ".lock"
    # A bucket knows no locks: runs meet in the user's own folder.
    home = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser()
    return home / "earthscribe" / f"{hashlib.sha256(dataset.url.encode()).hexdigest()[:16]}.lock"
