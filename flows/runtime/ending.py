"""How a command ends on Ctrl-C and on SIGTERM: in order, and where something does not let go, at once.

In order means that the flow run is reported as cancelled and workers are closed. A thread deep in a read that hangs
cannot be told, and Dask and Prefect would wait for it. To end at once loses nothing: files appear whole or not at all,
captions are committed batch by batch, and the embedded server ends by itself once its users are gone.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final, NoReturn

INTERRUPTED: Final = "interrupted: what was done is kept; run the command again to go on"

EXIT_CODES: Final = {signal.SIGINT: 130, signal.SIGTERM: 143}

_GRACE_SECONDS: Final = 4.0
"""Time to end in order; a second Ctrl-C cuts it short."""

_REPORT_SECONDS: Final = 2.0
"""Time for last reports of a command that ends at once."""

_SHOW_CURSOR: Final = "\x1b[?25h"
"""Progress bars hide it."""

_patience: list[float] = []
"""Time that parts of the command need on top, while they last."""

_reports: list[Callable[[], object]] = []
_told = threading.Event()
_received: list[int] = []
_signalled = threading.Event()
_cancelled = threading.Event()


def end_on_signals() -> None:
    """Makes this process end on Ctrl-C and SIGTERM, whatever its threads are at; to be called once, by the main one."""
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    sys.unraisablehook = _unraisable
    # The kernel's own handler writes here, also while the main thread is in a library and runs no Python.
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_insist, args=(reading,), name="ending", daemon=True).start()


def tell_interrupted() -> None:
    """Tells the person at the terminal, once."""
    if not _told.is_set():
        _told.set()
        os.write(sys.stderr.fileno(), f"{_SHOW_CURSOR if sys.stderr.isatty() else ''}{INTERRUPTED}\n".encode())


@contextlib.contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Gives the block so much longer to end in order."""
    _patience.append(seconds)
    try:
        yield
    finally:
        _patience.remove(seconds)


@contextlib.contextmanager
def reporting_interruption(report: Callable[[], object]) -> Iterator[None]:
    """Calls ``report`` if a signal ends the block, be it at once, or by an error that a library has made of it."""
    _reports.append(report)
    try:
        try:
            yield
        except Exception:
            heed()
            raise
    except (KeyboardInterrupt, SystemExit):
        report()
        raise
    finally:
        _reports.remove(report)


def heed() -> None:
    """Ends the command in order, if it was told to or its run is cancelled, where a library has swallowed the word.

    Raises:
        KeyboardInterrupt: it was told by Ctrl-C.
        SystemExit: it was told by SIGTERM, or its run is cancelled.
    """
    if _received:
        _raise(_received[0])
    if _cancelled.is_set():
        raise SystemExit(EXIT_CODES[signal.SIGTERM])


def cancel() -> None:
    """Ends the flow run of this process in order, the next time that it heeds."""
    _cancelled.set()


def is_cancelled() -> bool:
    """Whether the flow run of this process was seen to be cancelled."""
    return _cancelled.is_set()


def is_ending() -> bool:
    """Whether the command was told to end, be it that a library has taken the signal for itself."""
    return _signalled.is_set()


def _end(number: int, _frame: FrameType | None) -> None:
    """Ends the command in order."""
    _received.append(number)
    if number == signal.SIGTERM:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _raise(number)


def _unraisable(swallowed: sys.UnraisableHookArgs) -> None:
    """Says nothing of a signal, ours or Prefect's, that came amid a weak reference's callback: `heed` sees to it."""
    if swallowed.exc_value is None or isinstance(swallowed.exc_value, Exception):
        sys.__unraisablehook__(swallowed)


def _raise(number: int) -> NoReturn:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(EXIT_CODES[signal.Signals(number)])


def _insist(signals: int) -> None:
    """Ends the process where a signal has not done so in time."""
    while (first := os.read(signals, 1)[0]) not in EXIT_CODES:
        pass
    _received.append(first)  # who handles signals within a flow is Prefect, and what it raises can be swallowed, too
    _signalled.set()
    select.select([signals], [], [], _GRACE_SECONDS + sum(_patience))
    # Reports need a server that may be what hangs.
    reporting = threading.Thread(target=_report, daemon=True)
    reporting.start()
    reporting.join(_REPORT_SECONDS)
    tell_interrupted()
    os._exit(EXIT_CODES[signal.Signals(first)])


def _report() -> None:
    for report in list(_reports):
        with contextlib.suppress(Exception):
            report()
