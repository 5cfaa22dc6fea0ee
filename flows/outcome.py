"""How a flow ended, in the words of Prefect and as an exit code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from prefect.client.schemas.objects import State
from prefect.states import Completed


@dataclass(frozen=True)
class Outcome:
    """What became of a stage or of a whole run.

    Attributes:
        summary: one line to be printed for each thing worth knowing.
        failed: what failed for good, with the reason: sources, or tiles.
        waiting: captioners that could not be asked, with the reason.
        results: what a command prints on standard output.
    """

    summary: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    waiting: Mapping[str, str] = field(default_factory=dict)
    results: tuple[str, ...] = ()

    def then(self, later: Outcome) -> Outcome:
        """This stage's outcome and a later one's together."""
        return Outcome(
            self.summary + later.summary,
            {**self.failed, **later.failed},
            {**self.waiting, **later.waiting},
            self.results + later.results,
        )

    def state(self) -> State[Outcome]:
        """The state that a flow ends in."""
        message = "; ".join(self.summary)
        if self.failed:
            return Completed(name="CompletedWithFailures", message=message, data=self)
        return Completed(message=message, data=self)

    @property
    def exit_code(self) -> int:
        """4 where something failed for good, else 0."""
        return 4 if self.failed else 0
