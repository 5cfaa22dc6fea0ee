"""A whole campaign on the local stack, as it is deployed: schedule, workers, cluster, stores, and what kills them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from commands import Commands, write_config
from fake_llm_server import FakeLlm, serve_fake_llm
from local_stack import LocalStack, running_stack
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleUpdate, DeploymentUpdate
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateName,
)
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.prefect_server import start_run, wait_for

DAY_SECONDS = 30

STORE = {
    "endpoint_url": "${AWS_ENDPOINT_URL}",
    "key": "${AWS_ACCESS_KEY_ID}",
    "secret": "${AWS_SECRET_ACCESS_KEY}",
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with running_stack(tmp_path_factory.mktemp("stack"), EARTHSCRIBE_DAY_SECONDS=str(DAY_SECONDS)) as running:
        yield running


@dataclass(frozen=True)
class Islands:
    """An area of some islands and much sea.

    Attributes:
        area: west, south, east, north.
        quota: requests a day with which their tiles take two days.
    """

    area: list[float]
    quota: int


@pytest.fixture
def islands(real_data: Path | None) -> Islands:
    """Príncipe, 35 tiles; or the made coast, 65."""
    return Islands([7.0, 1.2, 8.0, 2.1], 22) if real_data else Islands([6.4, 0.0, 7.4, 0.9], 40)


@pytest.fixture
def endpoint(tmp_path: Path, islands: Islands) -> Iterator[FakeLlm]:
    # A second for each request: time enough to kill while some are under way.
    options = ("--requests-per-day", str(islands.quota), "--latency", "1000")
    with serve_fake_llm(tmp_path, *options, day_seconds=DAY_SECONDS) as running:
        yield running


@pytest.fixture
def client(stack: LocalStack) -> Iterator[SyncPrefectClient]:
    with (
        temporary_settings({PREFECT_API_URL: f"{stack.layout.ui}/api"}),
        get_client(sync_client=True) as found,
    ):
        yield found


def campaign(folder: Path, islands: Islands, url: str, **keys: Any) -> Path:
    captioner = {"name": "gpt", "prompt": "text", "endpoint": url, "model": "gpt-3.5-turbo", "concurrency": 4}
    if "quota" in keys:
        captioner["quota"] = keys.pop("quota")
    folder.mkdir()
    return write_config(
        folder, name="islands", tiles={"area": islands.area}, splits={"by": "none"}, captioners=[captioner], **keys
    )


@pytest.mark.timeout(600)
def test_a_campaign_survives_its_workers_and_equals_the_embedded_run(
    stack: LocalStack,
    client: SyncPrefectClient,
    endpoint: FakeLlm,
    islands: Islands,
    worldcover: Path,
    earthscribe: Commands,
    tmp_path: Path,
) -> None:
    shutil.copytree(worldcover, stack.folder / "s3" / "worldcover")
    config = campaign(
        tmp_path / "deployed",
        islands,
        endpoint.url,
        quota={"requests_per_day": islands.quota, "window": "sliding"},
        dataset="s3://earthscribe/islands",
        storage_options=STORE,
        state=stack.layout.database("earthscribe"),
        cluster={"address": stack.layout.scheduler},
        landcover={"product": "worldcover-2020", "source": "s3://worldcover", "storage_options": STORE},
    )
    ran(stack, "deploy", config)

    # Statistics on two Dask workers, from S3 to S3. One dies with work in its hands, for which it waits on S3.
    counting = start_run(client, "statistics/islands")
    wait_until(lambda: tasks_on_dask(stack) > 0, 120)
    s3 = psutil.Process(stack.pid("s3"))
    s3.suspend()
    assert tasks_on_dask(stack) > 0
    for process in stack.processes()["dask-worker-1"]:
        process.kill()
    s3.resume()
    assert wait_for(client, counting).state_name == "Completed"

    # A batch begins by its schedule. Its worker dies, and it goes on until the day's quota is out.
    every(client, "captions/islands-gpt", seconds=15)
    wait_until(lambda: endpoint.audit()["requests"] > 0, 120)
    (batch,) = batches(client, "Running")
    psutil.Process(stack.pid("worker")).kill()
    assert endpoint.audit()["requests"] < islands.quota
    assert wait_for(client, batch.id).state_name == "QuotaReached"
    assert endpoint.audit()["answered"] == islands.quota

    # The next worker takes up the schedule, and the next day's batches do the rest. Meanwhile the same is run embedded.
    assert stack.command("start").returncode == 0
    (tmp_path / "other").mkdir()
    with serve_fake_llm(tmp_path / "other") as other:
        alone = campaign(
            tmp_path / "alone",
            islands,
            other.url,
            dataset="./dataset",
            ledger="sqlite:///ledger.db",
            landcover={"product": "worldcover-2020", "source": str(worldcover)},
        )
        assert earthscribe("run", alone.name, folder=alone.parent).code == 0
    wait_until(lambda: bool(batches(client, "Completed")), 3 * DAY_SECONDS + 60)
    assert wait_for(client, start_run(client, "verification/islands")).state_name == "Completed"

    kept = len(deployed_rows(stack, "tiles.parquet").filter(pc.field("status") == "kept"))
    assert islands.quota < kept == endpoint.audit()["answered"]
    status = json.loads(ran(stack, "status", config, "--json"))["captioners"]["gpt"]
    assert (status["done"], status["pending"], status["requests"]["sent"]) == (kept, 0, kept)
    for table in ("tiles.parquet", "statistics", "captions/gpt.parquet"):
        ours, theirs = deployed_rows(stack, table), sorted_rows(tmp_path / "alone" / "dataset" / table)
        same = [name for name in ours.column_names if name not in {"request_id", "created_at"}]
        assert ours.select(same).equals(theirs.select(same)), table


def ran(stack: LocalStack, *arguments: object) -> str:
    """Runs a command in a shell that uses the stack; gives what it prints."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    home = {"PREFECT_HOME": str(stack.folder / "user")}
    done = subprocess.run(
        [sys.executable, "-m", "flows", *map(str, arguments)],
        env={**kept, **home, **stack.environment, **stack.exports()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def wait_until(holds: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def tasks_on_dask(stack: LocalStack) -> int:
    """Tasks that Dask's workers have in their hands."""
    answer = httpx.get(f"http://{stack.layout.address('dask-http')}/json/counts.json", trust_env=False, timeout=60)
    return int(answer.json()["processing"])


def every(client: SyncPrefectClient, deployment: str, *, seconds: int) -> None:
    """Has a deployment run more often than once a minute, which is the most that cron can tell.

    A change of the deployment shows in the schedule within five seconds, one of its schedule alone within a minute.
    """
    found = client.read_deployment_by_name(deployment)
    schedule = IntervalSchedule(interval=timedelta(seconds=seconds))
    client.update_deployment(found.id, DeploymentUpdate(schedules=[DeploymentScheduleUpdate(schedule=schedule)]))


def batches(client: SyncPrefectClient, state: str) -> list[FlowRun]:
    """The runs of the daily batch that are in a state."""
    return client.read_flow_runs(
        deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=["islands-gpt"])),
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(name=FlowRunFilterStateName(any_=[state]))),
    )


def deployed_rows(stack: LocalStack, table: str) -> pa.Table:
    """A table of the dataset in the bucket, by tile."""
    return sorted_rows(stack.folder / "s3" / "earthscribe" / "islands" / table)


def sorted_rows(table: Path) -> pa.Table:
    """A table, of one file or of a folder of files, by tile."""
    files = sorted(table.glob("*.parquet")) if table.is_dir() else [table]
    return pa.concat_tables([pq.read_table(file) for file in files]).sort_by("tile_id")
