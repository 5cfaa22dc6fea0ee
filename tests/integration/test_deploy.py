"""`earthscribe deploy` on a real Prefect server, and its runs in a real worker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from deployed_runs import as_the_form_sends, asking, campaign
from fake_llm_server import serve_fake_llm
from prefect.blocks.system import Secret
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.events.schemas.automations import AutomationCore
from prefect.states import Cancelling, Completed
from prefect.utilities.schema_tools.validation import is_valid_schema

from flows.deploying.deployments import TAG
from flows.deploying.registering import AUTOMATION, POOL, register
from flows.registry import FLOWS
from tasks.configuration import Campaign, load_for_worker
from tasks.configuration.example import write_example
from tasks.errors import InputError
from tasks.scene import write_scene
from tests.prefect_server import PrefectServer, serve_prefect, start_run, wait_for

PREFECT_YAML = Path(__file__).parents[2] / "deployments" / "prefect.yaml"
KEY = "planted-key-51c6d3"
BLOCK = "prefect-secret:planted-key"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    with serve_prefect(tmp_path_factory) as served:
        yield served


@pytest.fixture
def client(server: PrefectServer) -> Iterator[SyncPrefectClient]:
    with server.client() as client:
        yield client


def test_the_command_registers_every_flow_and_a_daily_batch_for_each_captioner_that_asks(
    server: PrefectServer, client: SyncPrefectClient, tmp_path: Path
) -> None:
    campaign(
        tmp_path,
        "isles",
        {"name": "rules", "prompt": "rules"},
        asking("gpt-3.5", api_key="${ONLY_THE_WORKER_HAS_IT}", quota={"requests_per_day": 5, "window": "Asia/Tokyo"}),
        asking("other", quota={"requests_per_day": 5, "window": "bucket"}),
    )
    deployed = server.command("flows", "deploy", "isles.yaml", folder=tmp_path)
    assert deployed.returncode == 0, deployed.stderr
    listed = [line.split("  ")[0] for line in deployed.stdout.splitlines()]
    assert listed == [*(f"{flow}/isles" for flow in FLOWS), "captions/isles-gpt-3-5", "captions/isles-other"]
    assert f"prefect worker start --pool {POOL}" in deployed.stderr
    assert client.read_work_pool(POOL).type == "process"
    for name in listed:
        found = client.read_deployment_by_name(name)
        written = found.parameters["config"]
        assert (written["name"], written["dataset"]) == ("isles", str(tmp_path / "isles"))
        assert written["captioners"][1]["api_key"] == "${ONLY_THE_WORKER_HAS_IT}"
        assert found.pull_steps == []
        assert found.work_pool_name == POOL
        assert found.enforce_parameter_schema
        is_valid_schema(found.parameter_openapi_schema or {})
    # A schedule that looks active may yet never fire.
    tokyo = scheduled_start(client, "captions/isles-gpt-3-5") + timedelta(hours=9)
    assert (tokyo.hour, tokyo.minute) == (0, 5)
    often = scheduled_start(client, "captions/isles-other")
    assert (often.hour % 4, often.minute) == (0, 0)


def scheduled_start(client: SyncPrefectClient, deployment: str) -> datetime:
    """When a deployment's next run is to start, UTC, once the server has made that run."""
    found = client.read_deployment_by_name(deployment)
    deadline = time.monotonic() + 60
    while not (runs := client.get_scheduled_flow_runs_for_deployments([found.id])):
        assert time.monotonic() < deadline, f"{deployment} is never scheduled"
        time.sleep(0.2)
    return min(run.next_scheduled_start_time for run in runs).astimezone(UTC)


def test_it_can_be_done_again_after_a_change(client: SyncPrefectClient, tmp_path: Path) -> None:
    first = register(campaign(tmp_path, "again", asking("one.a"), asking("two")), None)
    before = {one.full_name: client.read_deployment_by_name(one.full_name) for one in first.deployments}
    paused = before["captions/again-one-a"]
    client.update_deployment_schedule(paused.id, paused.schedules[0].id, active=False)
    changed = asking("one.a", quota={"requests_per_day": 7, "window": "utc"})
    second = register(campaign(tmp_path, "again", changed, asking("three")), None)
    after = {one.full_name: client.read_deployment_by_name(one.full_name) for one in second.deployments}
    assert second.removed == ["captions/again-two"], "a captioner that is gone must not go on spending"
    assert before.keys() - after.keys() == {"captions/again-two"}
    assert {name: after[name].id for name in before.keys() & after.keys()} == {
        name: before[name].id for name in before.keys() & after.keys()
    }
    schedule = after["captions/again-one-a"].schedules[0]
    assert schedule.schedule.model_dump()["cron"] == "5 0 * * *"
    assert not schedule.active, "who has paused a batch finds it paused"
    assert after["captions/again-three"].schedules[0].active
    assert after["campaign/again"].parameters["config"]["captioners"][0]["quota"]["window"] == "utc"
    assert len(client.read_automations_by_name(AUTOMATION)) == 1


def test_what_prefect_would_store_or_a_worker_would_not_find_is_refused(
    client: SyncPrefectClient, tmp_path: Path
) -> None:
    def refused(config: Campaign, pool: str | None = None) -> str:
        with pytest.raises(InputError) as caught:
            register(config, pool)
        return str(caught.value)

    written_out = campaign(tmp_path, "told", asking("gpt", api_key=KEY), storage_options={"secret": KEY})
    assert "captioners[0].api_key, storage_options.secret: " in (message := refused(written_out))
    assert KEY not in message
    client.create_work_pool(WorkPoolCreate(name="elsewhere", type="docker"))
    local = refused(campaign(tmp_path, "local", asking("gpt")), "elsewhere")
    assert local.startswith("dataset, state, ledger, landcover.source: ")
    bucket = {"dataset": "s3://bucket/x", "landcover": {"product": "worldcover-2020"}}
    partly = campaign(tmp_path, "partly", **bucket, state="sqlite:///c.db")
    assert refused(partly, "elsewhere").startswith("state, ledger: ")
    assert "no work pool called nowhere" in refused(campaign(tmp_path, "lost"), "nowhere")
    found = {deployment.name for deployment in client.read_deployments()}
    assert not found & {"told", "local", "partly", "lost"}, "what is refused is not half registered"

    database = "postgresql://me:${PASSWORD_OF_THE_WORKER}@host/db"
    shared = campaign(tmp_path, "shared", **bucket, state=database, ledger=database)
    assert register(shared, "elsewhere").pool == "elsewhere"
    taken = refused(campaign(tmp_path, "shared"))
    assert "campaign/shared, plan/shared" in taken
    assert "another dataset" in taken


def test_without_a_server_it_is_a_mistake_of_the_user(server: PrefectServer, tmp_path: Path) -> None:
    campaign(tmp_path, "nobody")
    for url, told in (("", "pointed at no server"), ("http://127.0.0.1:9/api", "answers at http://127.0.0.1:9/api")):
        ended = server.command("flows", "deploy", "nobody.yaml", folder=tmp_path, PREFECT_API_URL=url)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert told in ended.stderr


def test_the_plain_file_holds_what_the_command_registers(
    server: PrefectServer, client: SyncPrefectClient, tmp_path: Path
) -> None:
    write_example(tmp_path / "campaign.yaml")
    write_scene(tmp_path / "landcover")
    registered = register(load_for_worker(tmp_path / "campaign.yaml"), None)

    def read() -> dict[str, dict[str, Any]]:
        kept = {
            "parameters", "parameter_openapi_schema", "enforce_parameter_schema", "entrypoint", "pull_steps", "path",
            "job_variables", "work_pool_name", "tags", "description", "concurrency_options", "schedules",
        }  # fmt: skip
        found = {one.full_name: client.read_deployment_by_name(one.full_name) for one in registered.deployments}
        return {
            name: one.model_dump(include=kept)
            | {"limit": one.global_concurrency_limit.limit if one.global_concurrency_limit else None}
            for name, one in found.items()
        }

    by_command = read()
    for one in registered.deployments:
        client.delete_deployment(client.read_deployment_by_name(one.full_name).id)
    line = ("prefect", "--no-prompt", "deploy", "--prefect-file", PREFECT_YAML, "--all")
    deployed = server.command(*line, folder=tmp_path)
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    assert read() == by_command


def test_a_run_without_a_sign_of_life_has_crashed_and_one_that_ended_has_not(
    client: SyncPrefectClient, tmp_path: Path
) -> None:
    register(campaign(tmp_path, "alive"), None)
    (made,) = client.read_automations_by_name(AUTOMATION)
    sooner = made.trigger.model_copy(update={"within": timedelta(seconds=10)})
    client.update_automation(made.id, AutomationCore(name=made.name, trigger=sooner, actions=made.actions))
    gone, ended, foreign = (
        client.create_flow_run(FLOWS["captions"], tags=tags) for tags in ([TAG], [TAG], ["another"])
    )
    client.request("POST", "/events", json=[sign_of_life(run) for run in (gone, ended, foreign)])
    client.set_flow_run_state(ended.id, Completed(name="QuotaReached"), force=True)
    assert wait_for(client, gone.id).state_name == "Crashed"
    assert client.read_flow_run(ended.id).state_name == "QuotaReached"
    assert client.read_flow_run(foreign.id).state_name == "Pending"


def sign_of_life(run: FlowRun) -> dict[str, Any]:
    """A run's heartbeat, as its process sends it."""
    tags = [{"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"} for tag in run.tags]
    return {
        "id": str(uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": "prefect.flow-run.heartbeat",
        "resource": {"prefect.resource.id": f"prefect.flow-run.{run.id}"},
        "related": tags,
    }


@pytest.fixture(scope="module")
def ended(server: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, FlowRun]]:
    """Runs in one worker, each of a campaign that comes to another end.

    The worker is started in a folder, and its pool is told to start runs there, which holds modules of our names.
    """
    folder = tmp_path_factory.mktemp("campaigns")
    shadows = tmp_path_factory.mktemp("shadows")
    for module in ("flows", "tasks"):
        (shadows / f"{module}.py").write_text("raise SystemExit('this is not earthscribe')")
    with ExitStack() as stack:
        limited = stack.enter_context(serve_fake_llm(folder, "--requests-per-day", "20", "--key", KEY))
        slow = stack.enter_context(serve_fake_llm(shadows, "--latency", "2000"))
        client = stack.enter_context(server.client())
        Secret(value=KEY).save("planted-key")
        quota = {"requests_per_day": 20}
        rules = {"name": "rules", "prompt": "rules"}
        (folder / "holed").mkdir()
        write_scene(folder / "holed")
        (scene,) = (folder / "holed").rglob("*.tif")
        scene.with_name(scene.name.replace("E006", "E009")).write_bytes(b"no raster")
        (folder / "two.txt").write_text("8484_8184\n8606_8184\n")
        campaigns = {
            "quota": campaign(folder, "quota", rules, asking("gpt", limited.url, api_key=BLOCK, quota=quota)),
            "partial": campaign(
                folder,
                "partial",
                rules,
                landcover={"product": "worldcover-2020", "source": "./holed"},
                tiles={"area": "./two.txt"},
            ),
            "failing": campaign(folder, "failing", asking("gpt", limited.url, api_key="prefect-secret:no-such-block")),
            "cancelled": campaign(folder, "cancelled", asking("gpt", slow.url, concurrency=1)),
        }
        for config in campaigns.values():
            register(config, None)
        start_in(client, shadows)
        stack.enter_context(server.worker(POOL, shadows))
        runs = {
            name: start_run(client, f"campaign/{name}", {"config": as_the_form_sends(config)})
            for name, config in campaigns.items()
        }
        deadline = time.monotonic() + 240
        while not slow.audit()["requests"]:
            assert time.monotonic() < deadline, "no request was sent"
            time.sleep(0.2)
        client.set_flow_run_state(runs["cancelled"], Cancelling())
        found = {name: wait_for(client, run) for name, run in runs.items()}
        yield found


def start_in(client: SyncPrefectClient, folder: Path) -> None:
    """Has a process pool start its runs in a folder, where they do not say otherwise."""
    template = client.read_work_pool(POOL).base_job_template
    template["variables"]["properties"]["working_dir"]["default"] = str(folder)
    client.update_work_pool(POOL, WorkPoolUpdate(base_job_template=template))


def logs_of(client: SyncPrefectClient, run: FlowRun) -> str:
    """What a run's page shows as its logs."""
    ours = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id]))
    return "\n".join(log.message for log in client.read_logs(ours))


def test_a_run_from_the_form_ends_as_the_contract_names_it(
    ended: dict[str, FlowRun], client: SyncPrefectClient
) -> None:
    assert {name: (run.state_type, run.state_name) for name, run in ended.items()} == {
        "quota": (StateType.COMPLETED, "QuotaReached"),
        "partial": (StateType.COMPLETED, "CompletedWithFailures"),
        "failing": (StateType.FAILED, "Failed"),
        "cancelled": (StateType.CANCELLED, "Cancelled"),
    }
    assert "20 captioned" in ended["quota"].state.message
    assert "'no-such-block'" in ended["failing"].state.message


def test_a_key_is_in_nothing_that_prefect_or_the_dataset_keeps(
    ended: dict[str, FlowRun], server: PrefectServer, client: SyncPrefectClient
) -> None:
    config = ended["quota"].parameters["config"]
    assert config["captioners"][1]["api_key"] == BLOCK
    folders = (server.home, Path(config["dataset"]))
    holding = [
        path for folder in folders for path in folder.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()
    ]
    assert holding == []
