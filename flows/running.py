"""Running one of our flows from the command line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.states import Cancelled

from flows.campaign import campaign
from flows.captions import captions
from flows.ending import INTERRUPTED, reporting_interruption
from flows.outcome import Outcome
from flows.plan import plan
from flows.statistics import statistics
from flows.terminal import say
from tasks.configuration import Campaign
from tasks.errors import EarthscribeError
from tasks.quota.days import day_seconds

_SHORTEST_SLEEP = 1 / 200
"""Part of a day between two batches that wait for their quota: each is a flow run, and costs seconds."""

FLOWS: Mapping[str, Flow[Any, Any]] = {
    "campaign": campaign,
    "plan": plan,
    "statistics": statistics,
    "captions": captions,
}
"""Our flows, by name."""


def run_flow(name: str, config: Campaign, parameters: Mapping[str, Any]) -> Outcome:
    """Runs a flow and returns its outcome.

    Raises:
        InputError: the input is wrong.
        EarthscribeError: the flow was cancelled or ended in no known way.
    """
    started: list[UUID] = []
    run: Callable[..., State[Any]] = FLOWS[name].with_options(
        on_running=[lambda _flow, flow_run, _state: started.append(flow_run.id)]
    )
    with reporting_interruption(lambda: _cancel(started)):
        state = run(config=config, return_state=True, **parameters)
    result = state.result(raise_on_failure=False)
    if isinstance(result, BaseException):
        raise result
    if not isinstance(result, Outcome):
        raise EarthscribeError(f"the flow {name} ended as {state.name}: {state.message or 'no reason is known'}")
    return result


def run_on(name: str, config: Campaign, parameters: Mapping[str, Any], outcome: Outcome) -> Outcome:
    """Runs a flow again, each time as a flow run of its own, whenever a quota returns; until none was out.

    What failed before is not asked again each time, and ``max_requests`` is what the command may send in all.

    Args:
        name: the flow's.
        config: the campaign.
        parameters: those of the first run.
        outcome: of the first run.

    Returns:
        The last run's outcome.
    """
    left = parameters.get("max_requests")
    while outcome.next_slots:
        if left is not None:
            left -= outcome.attempts
            if left <= 0:
                break
        _sleep_until_slot(outcome.next_slots)
        outcome = run_flow(name, config, {**parameters, "max_requests": left, "retry_failed": None})
    return outcome


def _sleep_until_slot(next_slots: Mapping[str, float]) -> None:
    """Sleeps until a quota that was out returns, and a little longer: a bucket's slots come back one by one.

    Args:
        next_slots: when each captioner's quota has room again, seconds since the epoch.
    """
    now = time.time()
    seconds = max(min(next_slots.values()) - now, day_seconds() * _SHORTEST_SLEEP)
    until = datetime.fromtimestamp(now + seconds, UTC)
    say(f"waiting for the quota until {until:%Y-%m-%d %H:%M:%S} UTC")
    time.sleep(seconds)


def _cancel(flow_runs: Iterable[UUID]) -> None:
    """Says of flow runs that they were cancelled: Prefect takes whatever ends a run from outside for a crash."""
    for flow_run in flow_runs:
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(flow_run, Cancelled(message=INTERRUPTED), force=True)
