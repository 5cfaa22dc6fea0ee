"""Starting a stack, ending it, and telling what runs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flows.runtime.server import take_lock
from infra.stack.layout import Stack, is_free
from infra.stack.parts import Part, common_environment, parts_of
from infra.stack.processes import end, main_process, marked, spawn
from tasks.errors import EarthscribeError, InputError

STARTING_SECONDS: Final = 120.0
"""Longest wait for a part to be healthy: Prefect's first start makes its tables, 10 s and more."""

_POLL_SECONDS: Final = 0.1


@dataclass(frozen=True)
class Standing:
    """How a part stands.

    Attributes:
        name: its name.
        address: where it listens.
        pid: its process; None where it does not run.
        healthy: whether it says that it is well.
    """

    name: str
    address: str | None
    pid: int | None
    healthy: bool


def start(stack: Stack, say: Callable[[str], None]) -> int:
    """Starts the parts that do not run, and waits until all are healthy.

    Args:
        stack: what is to run.
        say: told of each part that is started.

    Returns:
        How many parts were started.

    Raises:
        InputError: a port is taken by something else.
        EarthscribeError: a part did not start; names its log. What was started is ended again.
    """
    parts = {part.name: part for part in parts_of(stack)}
    started: list[Part] = []
    healthy: set[str] = set()

    def await_health(names: Iterable[str]) -> None:
        for name in names:
            if name not in healthy:
                _await_health(stack, parts[name])
                healthy.add(name)

    with _alone(stack):
        try:
            for part in parts.values():
                if main_process(stack.folder, part.name) is None:
                    await_health(part.needs)
                    say(f"starting {part.name}")
                    started.append(part)
                    _start_part(stack, part)
            await_health(parts)
        except BaseException:
            _end_parts(stack, started)
            raise
    return len(started)


def stop(stack: Stack) -> int:
    """Ends all processes of a stack, also those that killed parts have left behind.

    Returns:
        How many parts had processes.
    """
    with _alone(stack):
        running = marked(stack.folder)
        _end_parts(stack, [part for part in parts_of(stack) if part.name in running])
        # Such as Redis, where it was started once and is not installed any more.
        for name in marked(stack.folder):
            end(stack.folder, name)
    return len(running)


def standings(stack: Stack) -> list[Standing]:
    """How each part stands at present."""
    found = []
    for part in parts_of(stack):
        process = main_process(stack.folder, part.name)
        healthy = process is not None and part.is_healthy()
        found.append(Standing(part.name, part.address, process.pid if process else None, healthy))
    return found


def _start_part(stack: Stack, part: Part) -> None:
    if not part.is_outlived:
        end(stack.folder, part.name)
    _refuse_taken_port(stack, part)
    part.prepare()
    spawn(stack.folder, part.name, part.command, {**common_environment(), **part.environment}, part.user)


def _end_parts(stack: Stack, parts: Sequence[Part]) -> None:
    """Ends parts, the last that was started first: a flow run can still tell the server how it ended."""
    for part in reversed(parts):
        end(stack.folder, part.name, part.ask_to_end, part.patience)


def _await_health(stack: Stack, part: Part) -> None:
    deadline = time.monotonic() + STARTING_SECONDS
    log = stack.folder / "logs" / f"{part.name}.log"
    while True:
        # Asked first: what answers in the place of one that has ended is another stack's, which has taken its port.
        if main_process(stack.folder, part.name) is None:
            raise EarthscribeError(f"{part.name} did not start{_last_words(log)}; see {log}")
        if part.is_healthy():
            return
        if time.monotonic() > deadline:
            raise EarthscribeError(f"{part.name} is not healthy after {STARTING_SECONDS:g} s; see {log}")
        time.sleep(_POLL_SECONDS)


def _refuse_taken_port(stack: Stack, part: Part) -> None:
    port = stack.ports.get(part.name)
    if port is not None and not is_free(port):
        raise InputError(
            f"port {port}, which is {part.name}'s in this stack, is taken by another process: end that one, or remove "
            f"{stack.folder / 'ports.json'} to have other ports chosen"
        )


def _last_words(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return f" ({lines[-1].strip()[:200]})" if lines else ""


@contextlib.contextmanager
def _alone(stack: Stack) -> Iterator[None]:
    """Keeps a second start or stop out for the block's length.

    Raises:
        InputError: one is under way.
    """
    try:
        lock = take_lock(stack.folder / "lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(f"the local stack in {stack.folder} is being started or stopped at this moment") from None
    try:
        yield
    finally:
        os.close(lock)
