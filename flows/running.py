"""Running one of our flows from the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
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
from tasks.configuration import Campaign
from tasks.errors import EarthscribeError

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


def _cancel(flow_runs: Iterable[UUID]) -> None:
    """Says of flow runs that they were cancelled: Prefect takes whatever ends a run from outside for a crash."""
    for flow_run in flow_runs:
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(flow_run, Cancelled(message=INTERRUPTED), force=True)
