"""How a flow ended, in the words of Prefect and as an exit code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

QUOTA_REACHED: Final = "QuotaReached"
COMPLETED_WITH_FAILURES: Final = "CompletedWithFailures"
"""States' names, by which a run that is Completed tells more."""


@dataclass(frozen=True)
class Outcome:
    """What became of a stage or of a whole run.

    Attributes:
        summary: one line to be printed for each thing worth knowing.
        failed: what failed for good, with the reason: sources, or tiles.
        unusable: captioners without an endpoint that can be used, with the reason.
        next_slots: captioners whose quota is out, and when it has room again, seconds since the epoch.
        task_runs: how many were made where there may be many.
        attempts: requests sent to endpoints, of those that ``--max-requests`` allows.
        results: what a command prints on standard output.
    """

    summary: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    unusable: Mapping[str, str] = field(default_factory=dict)
    next_slots: Mapping[str, float] = field(default_factory=dict)
    task_runs: int = 0
    attempts: int = 0
    results: tuple[str, ...] = ()

    def then(self, later: Outcome) -> Outcome:
        """This stage's outcome and a later one's together."""
        return Outcome(
            summary=self.summary + later.summary,
            failed={**self.failed, **later.failed},
            unusable={**self.unusable, **later.unusable},
            next_slots={**self.next_slots, **later.next_slots},
            task_runs=self.task_runs + later.task_runs,
            attempts=self.attempts + later.attempts,
            results=self.results + later.results,
        )

    def state(self) -> State[Outcome]:
        """The state that a flow ends in."""
        message = "; ".join(self.summary)
        if self.unusable:
            return Failed(message=message, data=self)
        if self.failed:
            return Completed(name=COMPLETED_WITH_FAILURES, message=message, data=self)
        if self.next_slots:
            return Completed(name=QUOTA_REACHED, message=message, data=self)
        return Completed(message=message, data=self)

    @property
    def exit_code(self) -> int:
        """3 where a captioner has no endpoint left, 4 where something failed for good, else 0."""
        if self.unusable:
            return 3
        return 4 if self.failed else 0
