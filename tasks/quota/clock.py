"""What time it is to a ledger.

On PostgreSQL it is the server's time, the same for all machines. On SQLite a run reads the machine's clock once, when
it starts, and counts on from there by one that nobody can set and that goes on while the machine sleeps. Runs that
overlap go by the reading of the first: a clock that is set while any of them lasts gives none of them a slot. The
reading lies in a file beside the database, which every run holds a shared lock on; the kernel drops it at any death.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, text

from tasks.errors import InputError

# Both count a machine's sleep: where there is no CLOCK_BOOTTIME (macOS), the monotonic clock goes on.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_OFFSET = struct.Struct("<q")
_NOW = text("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)")


class Clock(Protocol):
    """Tells the time."""

    def now(self, connection: Connection) -> int:
        """Microseconds since the epoch, inside a transaction on the ledger."""


class ServerClock:
    """The time of the database server, as it is when asked and not when the transaction began."""

    def now(self, connection: Connection) -> int:
        """The server's time."""
        return int(connection.execute(_NOW).scalar_one())


@dataclass(frozen=True)
class SteadyClock:
    """A machine's clock as it was read once, carried on by one that cannot be set.

    Attributes:
        offset: microseconds by which the time is ahead of `steady`.
        steady: microseconds that no one sets.
    """

    offset: int
    steady: Callable[[], int]

    def now(self, connection: Connection) -> int:
        """The time since the reading."""
        return self.offset + self.steady()


def machine_time() -> int:
    """Microseconds since the epoch by the machine's clock, which may be set at any time."""
    return time.time_ns() // 1000


def steady_time() -> int:
    """Microseconds from an arbitrary instant, counted through a machine's sleep."""
    return time.clock_gettime_ns(_STEADY) // 1000


@contextlib.contextmanager
def running_clock(
    file: Path, machine: Callable[[], int] = machine_time, steady: Callable[[], int] = steady_time
) -> Iterator[SteadyClock]:
    """The clock of a run, shared with all runs that last at the same time.

    Args:
        file: where the reading lies; made where it is not.
        machine: microseconds since the epoch, believed when no other run lasts.
        steady: microseconds that no one sets.

    Raises:
        InputError: the file cannot be made or locked.
    """
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}; expected permission to write the ledger's folder") from error
    try:
        yield SteadyClock(_offset(file, descriptor, machine, steady), steady)
    finally:
        os.close(descriptor)


def _offset(file: Path, descriptor: int, machine: Callable[[], int], steady: Callable[[], int]) -> int:
    while True:
        try:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.pwrite(descriptor, _OFFSET.pack(machine() - steady()), 0)
            # Between the two locks another run may come and write its own reading: that one holds then.
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            content = os.pread(descriptor, _OFFSET.size, 0)
        except OSError as error:
            raise InputError(f"{file}: {error.strerror}; expected a folder in which files can be locked") from error
        if len(content) == _OFFSET.size:
            offset: int = _OFFSET.unpack(content)[0]
            return offset
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # who made the file died before writing to it
