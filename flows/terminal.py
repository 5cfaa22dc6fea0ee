"""What a person at the terminal sees: lines and progress bars on standard error, results on standard output."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import FlowRunContext
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

console = Console(stderr=True, highlight=False, soft_wrap=True)
"""Standard error; made quiet by ``--quiet``."""

_UPDATE_SECONDS = 2.0
"""Between two updates of a progress artifact: each is a request to the server."""


def say(line: str) -> str:
    """Prints one line for the person who watches, and returns it."""
    console.print(escape(line))
    return line


def warn(line: str) -> None:
    """A line about something that is not as it should be; said even with ``--quiet``."""
    quiet, console.quiet = console.quiet, False
    console.print(f"[yellow]warning:[/yellow] {escape(line)}")
    console.quiet = quiet


@dataclass
class Bar:
    """Progress of one stage, in the terminal and as a Prefect artifact."""

    total: int
    _terminal: Progress
    _task: TaskID
    _artifact: UUID | None
    _done: int = 0
    _updated: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def advance(self, count: int) -> None:
        """Counts some more as done; safe from any thread."""
        with self._lock:
            self._done += count
            self._terminal.update(self._task, completed=self._done)
            now = time.monotonic()
            if self._artifact and now - self._updated > _UPDATE_SECONDS:
                self._updated = now
                update_progress_artifact(self._artifact, self.percent)

    @property
    def percent(self) -> float:
        """How much is done."""
        return 100.0 * self._done / self.total if self.total else 100.0


@contextlib.contextmanager
def progress(stage: str, total: int, unit: str = "tiles") -> Iterator[Bar]:
    """Shows a stage's progress for the block's length; a bar on terminals only.

    Args:
        stage: what is done, also the artifact's key.
        total: how many there are to do.
        unit: of what.
    """
    artifact = None
    if FlowRunContext.get():
        key = stage.replace(" ", "-").replace(".", "-").lower()
        made = create_progress_artifact(0.0, key=key, description=f"{stage}: {total} {unit}")
        artifact = made if isinstance(made, UUID) else None
    hidden = not console.is_terminal or console.quiet
    name, unit_name = TextColumn("{task.description}"), TextColumn(unit)
    columns = (name, BarColumn(), MofNCompleteColumn(), unit_name, TimeRemainingColumn())
    with Progress(*columns, console=console, disable=hidden, transient=True) as terminal:
        bar = Bar(total, terminal, terminal.add_task(stage, total=total), artifact)
        yield bar
        if artifact:
            update_progress_artifact(artifact, bar.percent)
