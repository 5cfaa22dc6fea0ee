"""What is told of a flow run beside its work: whose it is when it begins, and what is kept when it ends unfinished."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypedDict

from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.logging.loggers import flow_run_logger
from prefect.states import Cancelled, Crashed

from flows.display.artifacts import artifact_key
from flows.runtime.cancelling import look_for_cancelling
from flows.runtime.ending import is_cancelled, is_ending
from tasks.captions.owners import dead, this_process
from tasks.pages.markdown import code

_OWNER: Final = "earthscribe.owner"
"""The label under which a flow run tells which process runs it."""

_KEPT: Final = "What was done is kept: files are there whole or not at all, captions are kept as they come."
_COUNTED: Final = "Requests whose answers never came count against the quota; their tiles are asked about again."


class Hooks(TypedDict):
    """Hooks by the names that Prefect's `flow` knows them under."""

    on_running: list[Any]
    on_failure: list[Any]
    on_crashed: list[Any]
    on_cancellation: list[Any]


# Workers call hooks with the names that Prefect's documents give their arguments.


def tell_begun(flow: Flow[Any, Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Gives a flow run its tags and its owner, and has it look for its being cancelled.

    The tags are the campaign, the flow, and the captioner where only one works.
    """
    del state
    look_for_cancelling(flow_run.id)
    found = (_campaign(flow_run), flow.name, flow_run.parameters.get("captioner"))
    with get_client(sync_client=True) as client:
        client.update_flow_run(flow_run.id, tags=sorted({*flow_run.tags, *(tag for tag in found if tag)}))
        client.update_flow_run_labels(flow_run.id, {_OWNER: this_process()})


def tell_unfinished(flow: Flow[Any, Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Leaves a page and a line in the log that say why a flow run ended, what is kept, and what to do."""
    del flow
    with get_client(sync_client=True) as client:
        _tell(client, flow_run, state)
        # Prefect takes what ends a run from within for a crash, and leaves one that has ended anyway as it was.
        if is_cancelled() or state.is_cancelling():
            client.set_flow_run_state(flow_run.id, Cancelled(message="cancelled on request"), force=True)


HOOKS: Final[Hooks] = {
    "on_running": [tell_begun],
    "on_failure": [tell_unfinished],
    "on_crashed": [tell_unfinished],
    "on_cancellation": [tell_unfinished],
}
"""The hooks of every flow of ours."""


def close_dead_runs(flows: Iterable[str]) -> None:
    """Says of runs on this machine that seem to go on, but whose process is gone, that they have crashed.

    Whoever killed them left nobody to say it. Where a server has the heartbeat automation, that does the same.

    Args:
        flows: the names of the flows to look at.
    """
    ours = FlowFilter(name=FlowFilterName(any_=list(flows)))
    going_on = FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.CANCELLING])
    running = FlowRunFilter(state=FlowRunFilterState(type=going_on))
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(flow_filter=ours, flow_run_filter=running)
        owners = {str(run.labels.get(_OWNER, "")) for run in runs}
        gone = set(dead(owners))
        for run in runs:
            if str(run.labels.get(_OWNER, "")) in gone:
                state: State[Any] = Crashed(message="its process was killed")
                client.set_flow_run_state(run.id, state, force=True)
                _tell(client, run, state)


def _tell(client: SyncPrefectClient, flow_run: FlowRun, state: State[Any]) -> None:
    how, advice = _ending(state)
    flow_run_logger(flow_run).warning("%s: %s", how, advice)
    reason = [f"**Why**: {code(state.message)}", ""] if state.message else []
    lines = [f"# {code(flow_run.name)} {how}", "", *reason, f"- {_KEPT}", f"- {_COUNTED}", f"- {advice}"]
    client.create_artifact(
        ArtifactCreate(
            key=artifact_key(_campaign(flow_run), "unfinished"),
            type="markdown",
            description=f"What is kept of {code(flow_run.name)}, and what to do",
            data="\n".join(lines),
            flow_run_id=flow_run.id,
        )
    )


def _ending(state: State[Any]) -> tuple[str, str]:
    """How a run ended, and what to do."""
    if state.is_failed():
        return "failed", "mend what the reason names, then run it again: it does what is missing"
    if state.is_crashed() and not (is_ending() or is_cancelled()):
        return "crashed", "run it again: it does what is missing"
    return "was ended before it was done", "run it again to go on: it does what is missing"


def _campaign(flow_run: FlowRun) -> str:
    config = flow_run.parameters.get("config")
    name = config.get("name") if isinstance(config, Mapping) else None
    return str(name or "campaign")
