"""Bringing a campaign's deployments to a Prefect server, with what they need there. Can be done again at any time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName, FlowFilter, FlowFilterName
from prefect.client.schemas.objects import ConcurrencyOptions, StateType, WorkPool
from prefect.client.schemas.responses import DeploymentResponse
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import get_current_settings
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import is_valid
from prefect.workers.process import ProcessWorker

from flows.captions import captions
from flows.deploying.deployments import (
    HEARTBEAT_SECONDS,
    PROCESS,
    TAG,
    Deployment,
    batch_name,
    deployments_of,
    job_variables,
)
from flows.runtime.outcome import COMPLETED_WITH_FAILURES, QUOTA_REACHED
from tasks.configuration import Campaign
from tasks.errors import EarthscribeError, InputError

POOL: Final = "earthscribe"
"""The work pool where no other is named."""

AUTOMATION: Final = "earthscribe: a run that gives no sign of life has crashed"


_ENDS: Final = ("Completed", QUOTA_REACHED, COMPLETED_WITH_FAILURES, "Failed", "TimedOut", "Cancelled", "Crashed")
"""Names of the states that a run of ours may end in: Prefect's events have a state's name, not its type."""


@dataclass(frozen=True)
class Registered:
    """What a server holds of a campaign now.

    Attributes:
        pool: the work pool whose worker runs it.
        deployments: all of them, in the order of the flows.
        removed: full names of daily batches that were there and belong to no captioner any more.
    """

    pool: str
    deployments: Sequence[Deployment]
    removed: Sequence[str]


def register(config: Campaign, pool_name: str | None) -> Registered:
    """Registers a campaign's deployments, and makes what they need.

    Args:
        config: the campaign.
        pool_name: an existing work pool; None for our own, which is made where it is missing.

    Raises:
        InputError: nothing was registered: there is no server or no such pool, a secret is written out, the pool's
            runs would not find a local path, or a name belongs to another dataset.
    """
    if secrets := config.written_secrets:
        raise InputError(
            f"{', '.join(secrets)}: a secret is written out, and Prefect would store it; use ${{NAME}}, filled in from "
            "the worker's environment, or for api_key prefect-secret:BLOCK"
        )
    deployments = deployments_of(config)
    with _server() as client:
        pool = _pool(client, pool_name)
        if pool and pool.type != PROCESS and (local := config.local_keys):
            raise InputError(
                f"{', '.join(local)}: on this machine alone, and runs of work pool {pool.name} (type {pool.type}) are "
                f"elsewhere; use s3:// and postgresql:// addresses, or a pool of type {PROCESS}"
            )
        there = {deployment.full_name: _registered(client, deployment) for deployment in deployments}
        if others := [name for name, found in there.items() if found and _owner(found.parameters) != _owner_of(config)]:
            raise InputError(
                f"{', '.join(others)}: on this server already, for another dataset; give this campaign a name of its "
                "own (name: in the configuration), or delete those deployments"
            )
        pool = pool or _make_pool(client)
        _make_automation(client)
        for deployment in deployments:
            _apply(client, deployment, pool, there[deployment.full_name])
        return Registered(pool.name, deployments, _remove_batches(client, config, deployments))


@contextmanager
def _server() -> Iterator[SyncPrefectClient]:
    """A client of the server that Prefect is pointed at.

    Raises:
        InputError: there is none, it does not answer, or it refuses.
        EarthscribeError: it fails.
    """
    url = get_current_settings().api.url
    if not url:
        raise InputError(
            "Prefect is pointed at no server; start one (prefect server start) and name it "
            "(prefect config set PREFECT_API_URL=http://HOST:4200/api)"
        )
    try:
        with get_client(sync_client=True) as client:
            client.hello().raise_for_status()
            yield client
    except httpx.TransportError as error:
        raise InputError(f"no Prefect server answers at {url} ({error}); PREFECT_API_URL names it") from error
    except (PrefectHTTPStatusError, httpx.HTTPStatusError) as error:
        answer = error.response
        kind = InputError if answer.is_client_error else EarthscribeError
        said = " ".join(answer.text.split())[:300]
        raise kind(f"the Prefect server at {url} refuses: status {answer.status_code}, {said}") from error


def _pool(client: SyncPrefectClient, name: str | None) -> WorkPool | None:
    """The work pool, or None where our own is still to be made.

    Raises:
        InputError: there is none of the name given.
    """
    try:
        return client.read_work_pool(name or POOL)
    except ObjectNotFound:
        if name is None:
            return None
        raise InputError(
            f"--pool: the server has no work pool called {name}; prefect work-pool ls lists them"
        ) from None


def _make_pool(client: SyncPrefectClient) -> WorkPool:
    template = ProcessWorker.get_default_base_job_template()
    try:
        return client.create_work_pool(
            WorkPoolCreate(
                name=POOL, type=PROCESS, base_job_template=template, description="Runs of earthscribe's campaigns."
            )
        )
    except ObjectAlreadyExists:  # by another `deploy` at this moment
        return client.read_work_pool(POOL)


def _registered(client: SyncPrefectClient, deployment: Deployment) -> DeploymentResponse | None:
    try:
        return client.read_deployment_by_name(deployment.full_name)
    except ObjectNotFound:
        return None


def _owner(parameters: Mapping[str, Any]) -> tuple[Any, Any]:
    """The campaign and the dataset that a deployment works for; of one that is not ours, none."""
    config = parameters.get("config")
    return (config.get("name"), config.get("dataset")) if isinstance(config, Mapping) else (None, None)


def _owner_of(config: Campaign) -> tuple[Any, Any]:
    return _owner({"config": config.written})


def _apply(client: SyncPrefectClient, deployment: Deployment, pool: WorkPool, found: DeploymentResponse | None) -> None:
    """Makes a deployment, or makes the one that was found like it. Who has paused its schedule finds it paused."""
    schema = parameter_schema(deployment.flow).model_dump(exclude_unset=True)
    active = all(schedule.active for schedule in found.schedules) if found else True
    client.create_deployment(
        flow_id=client.create_flow_from_name(deployment.flow.name),
        name=deployment.name,
        description=deployment.flow.description,
        tags=[TAG],
        entrypoint=deployment.entrypoint,
        pull_steps=[],
        work_pool_name=pool.name,
        job_variables=job_variables(pool.type),
        parameters=deployment.parameters,
        parameter_openapi_schema=schema,
        # A number that is a ${NAME} is no number to a server, which fills in nothing.
        enforce_parameter_schema=is_valid(deployment.parameters, schema),
        schedules=[DeploymentScheduleCreate(schedule=schedule, active=active) for schedule in deployment.schedules],
        concurrency_limit=1 if deployment.collision else None,
        concurrency_options=ConcurrencyOptions(collision_strategy=deployment.collision)
        if deployment.collision
        else None,
    )


def _remove_batches(client: SyncPrefectClient, config: Campaign, deployments: Sequence[Deployment]) -> list[str]:
    """Removes the daily batches of captioners that the campaign has no more: they would go on spending.

    Returns:
        Their full names.
    """
    names = {deployment.name for deployment in deployments}
    found = client.read_deployments(
        flow_filter=FlowFilter(name=FlowFilterName(any_=[captions.name])),
        deployment_filter=DeploymentFilter(name=DeploymentFilterName(like_=batch_name(config.name, ""))),
    )
    gone = [
        one
        for one in found
        if TAG in one.tags
        and one.name not in names
        and one.parameters.get("captioner")
        and _owner(one.parameters) == _owner_of(config)
    ]
    for one in gone:
        client.delete_deployment(one.id)
    return [f"{captions.name}/{one.name}" for one in gone]


def _make_automation(client: SyncPrefectClient) -> None:
    """Has the server end runs whose process is gone, with nobody left to say so.

    A worker tells of a run that dies; where the worker dies too, the run would be Running for ever, and hold its
    deployment's only place.
    """
    run = "prefect.flow-run."
    automation = AutomationCore(
        name=AUTOMATION,
        description=f"Made by earthscribe deploy. Runs tagged {TAG} give a sign every {HEARTBEAT_SECONDS} seconds.",
        trigger=EventTrigger(
            match=ResourceSpecification({"prefect.resource.id": f"{run}*"}),
            match_related=ResourceSpecification(
                {"prefect.resource.id": f"prefect.tag.{TAG}", "prefect.resource.role": "tag"}
            ),
            for_each={"prefect.resource.id"},
            after={f"{run}heartbeat", f"{run}Cancelling"},
            expect={f"{run}{event}" for event in ("heartbeat", *_ENDS)},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=3 * HEARTBEAT_SECONDS),
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                message="No sign of life: the run's process is gone. What was done is kept; run it again to go on.",
            )
        ],
    )
    made = client.read_automations_by_name(AUTOMATION)
    if made:
        client.update_automation(made[0].id, automation)
    else:
        client.create_automation(automation)
