"""Running one of our flows from the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from prefect import Flow
from prefect.client.schemas.objects import State

from flows.campaign import campaign
from flows.captions import captions
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
    run: Callable[..., State[Any]] = FLOWS[name]
    state = run(config=config, return_state=True, **parameters)
    result = state.result(raise_on_failure=False)
    if isinstance(result, BaseException):
        raise result
    if not isinstance(result, Outcome):
        raise EarthscribeError(f"the flow {name} ended as {state.name}: {state.message or 'no reason is known'}")
    return result
