"""What a person who watches sees of a run, at the terminal and on Prefect's pages: lines and progress.

At the terminal these are lines and bars on standard error, once a command has asked for them: a worker's flow runs
print nothing by themselves. On Prefect's pages they are the run's log and progress artifacts.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from prefect import get_run_logger
from prefect.exceptions import MissingContextError
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from flows.display.artifacts import ProgressArtifact

_console: Final = Console(stderr=True, highlight=False, soft_wrap=True, quiet=True)
_shown = threading.Event()
"""Somebody watches the terminal."""

_printing: Final = threading.Lock()

_UPDATE_SECONDS: Final = 2.0
_UPDATE_POINTS: Final = 0.5
"""Between two updates of a progress artifact, of a hundred points: each is a request, and an event that is kept."""


def show_at_terminal(*, quiet: bool) -> None:
    """Shows lines and bars at the terminal from now on; with ``quiet`` warnings only."""
    _console.quiet = quiet
    _shown.set()


def say(line: str) -> str:
    """Tells the person who watches one line, and returns it."""
    _log(logging.INFO, line)
    _console.print(escape(line))
    return line


def warn(line: str) -> None:
    """A line about something that is not as it should be; shown at the terminal even with ``--quiet``."""
    _log(logging.WARNING, line)
    if _shown.is_set():
        with _printing:
            quiet, _console.quiet = _console.quiet, False
            _console.print(f"[yellow]warning:[/yellow] {escape(line)}")
            _console.quiet = quiet


def _log(level: int, line: str) -> None:
    """Writes a line into the log of the flow or task run, where there is one."""
    with contextlib.suppress(MissingContextError):
        get_run_logger().log(level, line)


@dataclass
class Bar:
    """Progress of one stage.

    Attributes:
        total: how many there are.
        done: how many are done.
    """

    total: int
    done: int
    _terminal: Progress
    _task: TaskID
    _artifact: ProgressArtifact
    _told: float = 0.0
    _told_at: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def advance(self, count: int) -> None:
        """Counts some more as done; safe from any thread."""
        with self._lock:
            self.done += count
            self._terminal.update(self._task, completed=self.done)
            now = time.monotonic()
            if now - self._told_at > _UPDATE_SECONDS and self.percent - self._told >= _UPDATE_POINTS:
                self._told, self._told_at = self.percent, now
                self._artifact.show(self.percent)

    @property
    def percent(self) -> float:
        """How much is done."""
        return 100.0 * self.done / self.total if self.total else 100.0


@contextlib.contextmanager
def progress(campaign: str, stage: str, total: int, unit: str = "tiles", done: int = 0) -> Iterator[Bar]:
    """Shows a stage's progress for the block's length; at the terminal a bar, where it is one.

    Args:
        campaign: the campaign's name.
        stage: what is done.
        total: how many there are.
        unit: of what.
        done: how many of them were done before.
    """
    artifact = ProgressArtifact(campaign, stage, f"{stage}: {total} {unit}", 100.0 * done / max(total, 1))
    hidden = not _console.is_terminal or _console.quiet
    name, unit_name = TextColumn("{task.description}"), TextColumn(unit)
    columns = (name, BarColumn(), MofNCompleteColumn(), unit_name, TimeRemainingColumn())
    with Progress(*columns, console=_console, disable=hidden, transient=True) as terminal:
        bar = Bar(total, done, terminal, terminal.add_task(stage, total=total, completed=done), artifact)
        try:
            yield bar
        finally:
            artifact.show(bar.percent)
