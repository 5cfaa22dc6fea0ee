"""Running one of our flows from the command line."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Cancelled

from flows.display.terminal import say
from flows.registry import FLOWS
from flows.runtime.ending import EXIT_CODES, INTERRUPTED, heed, reporting_interruption
from flows.runtime.hooks import close_dead_runs
from flows.runtime.outcome import Outcome
from tasks.configuration import Campaign
from tasks.errors import EarthscribeError
from tasks.quota.days import day_seconds

_BETWEEN: Final = 1 / 20
"""Part of a day between two batches of a captioner: where slots come back one by one, a twentieth of them is enough."""


def run_flow(name: str, config: Campaign, parameters: Mapping[str, Any]) -> Outcome:
    """Runs a flow and returns its outcome.

    Raises:
        InputError: the input is wrong.
        EarthscribeError: the flow was cancelled or ended in no known way.
    """
    started: list[UUID] = []
    flow = FLOWS[name]

    def tell_started(flow: Flow[Any, Any], flow_run: FlowRun, state: State[Any]) -> None:
        del flow, state
        started.append(flow_run.id)

    run: Callable[..., State[Any]] = flow.with_options(on_running=[tell_started, *flow.on_running_hooks])
    close_dead_runs(FLOWS)
    with reporting_interruption(lambda: _cancel(started)):
        state = run(config=config, return_state=True, **parameters)
        if state.is_cancelling() or state.is_cancelled():
            # It came when the work was done: there was nothing left that would have heeded it.
            raise SystemExit(EXIT_CODES[signal.SIGTERM])
        if not state.is_completed():
            heed()
    result = state.result(raise_on_failure=False)
    if isinstance(result, BaseException):
        raise result
    if not isinstance(result, Outcome):
        raise EarthscribeError(f"the flow {name} ended as {state.name}: {state.message or 'no reason is known'}")
    return result


def run_on(name: str, config: Campaign, parameters: Mapping[str, Any], outcome: Outcome) -> Outcome:
    """Runs a flow again whenever a quota returns, for the captioner whose it is; until none was out.

    Each time it is a flow run of its own. What failed before is not asked again each time, and ``max_requests`` is what
    the command may send in all.

    Args:
        name: the flow's.
        config: the campaign.
        parameters: those of the first run.
        outcome: of the first run.

    Returns:
        What became of all runs together.
    """
    due = _due(outcome.next_slots)
    while due:
        left = parameters.get("max_requests")
        if left is not None and (left := left - outcome.attempts) <= 0:
            break
        captioner = min(due, key=lambda name: due[name])
        _sleep_until(due.pop(captioner), captioner)
        again = {**parameters, "captioner": captioner, "max_requests": left, "retry_failed": None}
        later = run_flow(name, config, again)
        due |= _due(later.next_slots)
        outcome = outcome.then(later)
    return outcome


def _due(next_slots: Mapping[str, float]) -> dict[str, float]:
    """When the next batch of each captioner is worth a flow run, seconds since the epoch.

    Args:
        next_slots: when each one's quota has room again.
    """
    soonest = time.time() + _BETWEEN * day_seconds()
    return {name: max(slot, soonest) for name, slot in next_slots.items()}


def _sleep_until(when: float, captioner: str) -> None:
    until = datetime.fromtimestamp(when, UTC)
    say(f"waiting for the quota of {captioner} until {until:%Y-%m-%d %H:%M:%S} UTC")
    time.sleep(max(0.0, when - time.time()))


def _cancel(flow_runs: Iterable[UUID]) -> None:
    """Says of flow runs that they were cancelled: Prefect takes whatever ends a run from outside for a crash."""
    for flow_run in flow_runs:
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(flow_run, Cancelled(message=INTERRUPTED), force=True)
