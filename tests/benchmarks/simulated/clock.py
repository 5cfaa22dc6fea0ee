"""A clock that several processes share, and an event loop that lives by it."""

from __future__ import annotations

import asyncio
import math
import mmap
import selectors
import struct
from collections.abc import Callable
from concurrent.futures import Executor
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

SECOND = 1_000_000
START = 1_767_225_600 * SECOND
"""Microseconds since the epoch of the first instant: a midnight in UTC."""

_TIME = struct.Struct("<q")


class SharedClock:
    """Microseconds since the epoch, in a file: set by one process, read by all.

    A clock of a ledger too, see `tasks.quota.clock.Clock`.
    """

    def __init__(self, file: Path) -> None:
        if not file.exists():
            file.write_bytes(_TIME.pack(START))
        with file.open("r+b") as opened:
            self._shared = mmap.mmap(opened.fileno(), _TIME.size)

    def now(self, connection: Connection | None = None) -> int:
        """The time."""
        del connection
        now: int = _TIME.unpack_from(self._shared)[0]
        return now

    def set(self, now: int) -> None:
        """Sets the time; only while nobody who reads it has anything to do."""
        _TIME.pack_into(self._shared, 0, now)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop for which time passes only when the director says so.

    It tells the director when it has nothing to do before some instant, and sleeps until a message comes. Threads that
    work for it, on databases, take no time of this clock: while they do, it is not idle.

    Args:
        clock: the time.
        director: the pipe to whoever moves it on.
    """

    def __init__(self, clock: SharedClock, director: Pipe) -> None:
        self._clock = clock
        self._director = director
        self._in_threads = 0
        self._heard = 0
        super().__init__(_Idling(self._fall_idle))

    def time(self) -> float:
        """Seconds since the start, so that no float of it is rounded by much."""
        return (self._clock.now() - START) / SECOND

    def heard(self) -> None:
        """Counts a message of the director: it must know whether it was read before the loop fell idle."""
        self._heard += 1

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Work in a thread, counted."""
        self._in_threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._thread_ended)
        return future

    def _thread_ended(self, _: asyncio.Future[Any]) -> None:
        self._in_threads -= 1

    def _fall_idle(self, timeout: float | None) -> None:
        if self._in_threads == 0:
            until = None if timeout is None else self._clock.now() + max(1, math.ceil(timeout * SECOND))
            self._director.send(("idle", until, self._heard))


class _Idling(selectors.EpollSelector):
    """Says when there is nothing to do, and then waits for as long as it takes.

    Args:
        idle: is told the seconds until something is to be done; None where nothing is planned.
    """

    def __init__(self, idle: Callable[[float | None], None]) -> None:
        self._idle = idle
        super().__init__()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        self._idle(timeout)
        return super().select(None)
