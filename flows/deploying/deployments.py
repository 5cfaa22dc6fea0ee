"""What is deployed of a campaign: every flow, and a daily batch for each captioner that asks endpoints.

``flows.deploying.registering`` brings them to a server; ``deployments/prefect.yaml`` holds the same for the example
that ``earthscribe init`` writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from prefect import Flow
from prefect.client.schemas.objects import ConcurrencyLimitStrategy
from prefect.client.schemas.schedules import CronSchedule

from flows.captions import captions
from flows.registry import FLOWS
from tasks.configuration import Campaign, Captioner, Quota
from tasks.configuration.values import CALENDAR_FREE_WINDOWS

TAG: Final = "earthscribe"
"""On every deployment, and so on its runs: what is done about our runs is done to them alone."""

PROCESS: Final = "process"
"""The type of a work pool whose runs are processes of the worker's machine, and see its files."""

HEARTBEAT_SECONDS: Final = 30
"""Between two signs of life of a run; Prefect's least."""

ENVIRONMENT: Final = {
    # Python itself then looks for no modules in the folder where a process starts; Prefect does, see `job_variables`.
    "PYTHONSAFEPATH": "1",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS),
    # Arrow's own allocator keeps what tables took for as long as the run lasts.
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}
"""What a worker sets for our runs, beside its own environment: on every machine, whatever started the worker."""

_AFTER_MIDNIGHT: Final = "5 0 * * *"
"""Five minutes past midnight, for clocks that differ."""

_EVERY_FOUR_HOURS: Final = "0 */4 * * *"


def job_variables(pool_type: str) -> dict[str, Any]:
    """What a work pool is told of our runs.

    A worker puts the folder in which a run starts on Python's path, before everything that is installed: a `tasks.py`
    or `flows.py` there would be taken for ours. So on a process pool, whose folder can be set, runs start in a new one.

    By default it also passes on what a run prints. Once it is gone, the run would end at its next line of log, for want
    of a reader. Without that, a run outlives its worker; its log is on the server in any case.

    Args:
        pool_type: the pool's type.
    """
    return {"env": ENVIRONMENT} | ({"working_dir": None, "stream_output": False} if pool_type == PROCESS else {})


@dataclass(frozen=True)
class Deployment:
    """One deployment.

    Attributes:
        flow: what is run.
        name: under which name; with the flow's name it is unique on a server.
        parameters: what its runs are given: the configuration as written, in JSON's types.
        schedules: when it runs by itself.
        collision: what becomes of a second run while one is under way; None where any number may be.
    """

    flow: Flow[Any, Any]
    name: str
    parameters: dict[str, Any]
    schedules: tuple[CronSchedule, ...] = field(default=())
    collision: ConcurrencyLimitStrategy | None = None

    @property
    def full_name(self) -> str:
        """As Prefect's commands and pages name it."""
        return f"{self.flow.name}/{self.name}"

    def __str__(self) -> str:
        """For a list of them: the name, and when it runs by itself."""
        return "  ".join([self.full_name, *(f"{schedule.cron} {schedule.timezone}" for schedule in self.schedules)])

    @property
    def entrypoint(self) -> str:
        """The module path of the flow: a worker needs the package, and no pull step."""
        return f"{self.flow.fn.__module__}.{self.flow.fn.__name__}"


def deployments_of(config: Campaign) -> list[Deployment]:
    """Every flow under the campaign's name, and the daily batches.

    Of a flow that rewrites tables, a second run waits for the first. Runs of the captions share out the work, on any
    number of machines.
    """
    written = config.written
    every_flow = [
        Deployment(flow, config.name, {"config": written}, collision=_collision(flow)) for flow in FLOWS.values()
    ]
    return every_flow + [_daily_batch(config, captioner) for captioner in config.captioners if captioner.pool]


def _collision(flow: Flow[Any, Any]) -> ConcurrencyLimitStrategy | None:
    return None if flow is captions else ConcurrencyLimitStrategy.ENQUEUE


def _daily_batch(config: Campaign, captioner: Captioner) -> Deployment:
    """The batch of one captioner that its quota's days start.

    A batch that is still under way takes up what comes back of the quota itself. So a second one is cancelled: those
    that waited instead would pile up behind a slow endpoint or a worker that is off, and find nothing to do.
    """
    return Deployment(
        captions,
        batch_name(config.name, captioner.name),
        {"config": config.written, "captioner": captioner.name},
        tuple(CronSchedule(cron=cron, timezone=zone) for cron, zone in dict.fromkeys(_times(captioner))),
        ConcurrencyLimitStrategy.CANCEL_NEW,
    )


def batch_name(campaign: str, captioner: str) -> str:
    """The name of a captioner's daily batch."""
    return f"{campaign}-{captioner}".replace(".", "-")


def _times(captioner: Captioner) -> Iterator[tuple[str, str]]:
    """Cron lines and time zones of when slots come back: when a calendar day begins, else all the time.

    The endpoints of a pool may differ in that.
    """
    for endpoint in captioner.pool:
        window = (endpoint.quota or Quota()).window
        if window in CALENDAR_FREE_WINDOWS:
            yield _EVERY_FOUR_HOURS, "UTC"
        else:
            yield _AFTER_MIDNIGHT, "UTC" if window == "utc" else window
