"""A real Prefect server, a worker of processes and a browser: what somebody sees who deploys the flows and watches."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pytest
from campaigns import Endpoint, fake_llm
from commands import write_config
from playwright.sync_api import Browser, Page, expect
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, LogFilter, LogFilterFlowRunId
from prefect.client.schemas.objects import Artifact
from prefect.flows import EntrypointType

from flows.display.artifacts import show_failed_sources
from flows.registry import FLOWS
from tasks.configuration import Campaign, load
from tasks.scene import write_scene
from tests.prefect_server import PrefectServer, serve_prefect, start_run, wait_for

POOL = "earthscribe"
TILES = 60
"""Tiles of the made scene that are kept here."""

NOWHERE = "http://127.0.0.1:9/v1"

HOSTILE = {
    "<img src=x onerror=alert(1)>.tif": "see http://evil.example/a",
    "![i](http://evil.example/i.png)": "[mend it](http://evil.example) `now`, www.evil.example",
}

_Found = TypeVar("_Found")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    with serve_prefect(tmp_path_factory) as server:
        with server.client() as client:
            client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
        with server.worker(POOL, server.home):
            yield server


@pytest.fixture(scope="module")
def folder(server: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the made map, and a dataset whose tiles are counted."""
    made = tmp_path_factory.mktemp("campaigns")
    write_scene(made / "landcover")
    assert server.command("flows", "statistics", configure(made, "counted"), folder=made).returncode == 0
    return made


def configure(folder: Path, name: str, **text: object) -> Path:
    return write_config(
        folder,
        name,
        landcover={"product": "worldcover-2020", "source": str(folder / "landcover")},
        ledger=f"sqlite:///{folder}/{name}-ledger.db",
        tiles={"area": [6.40, 0.00, 6.62, 0.18], "sample": {"strategy": "random", "count": TILES, "seed": 0}},
        captioners=[{"name": "gpt-3.5", "prompt": "text", "model": "m", "endpoint": NOWHERE} | text],
    )


def deploy(name: str, config: Path, pool: str = POOL) -> str:
    """Registers a flow's deployment; returns its full name."""
    made = FLOWS[name].to_deployment(
        config.stem,
        work_pool_name=pool,
        parameters={"config": load(config).model_dump(mode="json")},
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    made.apply()
    return f"{name}/{config.stem}"


def artifacts_of(client: SyncPrefectClient, run: UUID) -> dict[str, Artifact]:
    """The artifacts of a flow run by key."""
    its = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run]))
    return {artifact.key or "": artifact for artifact in client.read_artifacts(artifact_filter=its)}


def until(found: Callable[[], _Found], seconds: float) -> _Found:
    """Waits until something is there."""
    deadline = time.monotonic() + seconds
    while not (what := found()):
        assert time.monotonic() < deadline, f"nothing within {seconds:g} s"
        time.sleep(0.1)
    return what


def test_a_cancelled_run_stops_spending_and_leaves_the_ledger_true(server: PrefectServer, folder: Path) -> None:
    with fake_llm("--latency", 800) as endpoint, server.client() as client:
        shutil.copytree(folder / "counted", folder / "cancelled")
        config = configure(folder, "cancelled", endpoint=endpoint.url, concurrency=4)
        run = start_run(client, deploy("captions", config))
        until(lambda: endpoint.audit()["answered"] >= 4, 60)
        client.request("POST", f"/flow_runs/{run}/set_state", json={"state": {"type": "CANCELLING"}})
        until(lambda: is_quiet(endpoint, 3), 15)
        sent = endpoint.audit()["requests"]
        assert wait_for(client, run, "Cancelled").state_name == "Cancelled"
        audit, standing = endpoint.audit(), status(server, config)
        requests = standing["requests"]
        assert sent == audit["requests"] == requests["sent"] < TILES
        assert audit["answered"] == requests["answered"] == standing["done"]
        assert (standing["in_flight"], requests["in_flight"], requests["unknown"]) == (0, 0, 0)
        told = str(artifacts_of(client, run)["cancelled-unfinished"].data)
        assert "was ended before it was done" in told
        assert "run it again to go on" in told
        assert server.command("flows", "caption", config, folder=folder).returncode == 0
        assert endpoint.audit()["requests"] == TILES, "what was claimed is free again"


def test_a_run_whose_worker_is_gone_heeds_its_being_cancelled(server: PrefectServer, folder: Path) -> None:
    with fake_llm("--latency", 800) as endpoint, server.client() as client:
        shutil.copytree(folder / "counted", folder / "orphan")
        config = configure(folder, "orphan", endpoint=endpoint.url, concurrency=4)
        client.create_work_pool(WorkPoolCreate(name="short-lived", type="process"))
        with server.worker("short-lived", server.home) as worker:
            run = start_run(client, deploy("captions", config, "short-lived"))
            until(lambda: endpoint.audit()["answered"] >= 4, 60)
            worker.kill()
        client.request("POST", f"/flow_runs/{run}/set_state", json={"state": {"type": "CANCELLING"}})
        until(lambda: is_quiet(endpoint, 3), 20)
        # Prefect calls it crashed for a moment, until the run's hook has told what is kept.
        until(lambda: client.read_flow_run(run).state_name == "Cancelled", 60)
        requests = status(server, config)["requests"]
        assert endpoint.audit()["requests"] == requests["sent"] == requests["answered"] < TILES
        assert "run it again to go on" in str(artifacts_of(client, run)["orphan-unfinished"].data)


def is_quiet(endpoint: Endpoint, seconds: float) -> bool:
    """Whether no request comes for so long."""
    before = endpoint.audit()["requests"]
    time.sleep(seconds)
    return bool(endpoint.audit()["requests"] == before)


def status(server: PrefectServer, config: Path) -> dict[str, Any]:
    """What the status command says of the captioner."""
    done = server.command("flows", "status", config, "--json", folder=config.parent)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout)["captioners"]["gpt-3.5"])


@flow(name="hostile", persist_result=False)
def show_hostile(config: Campaign) -> None:
    show_failed_sources(config, HOSTILE)


def test_a_run_started_from_the_form_completes_with_its_artifacts(
    server: PrefectServer, folder: Path, request: pytest.FixtureRequest
) -> None:
    with fake_llm("--requests-per-day", 20, "--faults", "content_filter*1") as endpoint, server.client() as client:
        config = configure(folder, "island", endpoint=endpoint.url, quota={"requests_per_day": 20})
        deployment = client.read_deployment_by_name(deploy("campaign", config))
        show_hostile(load(config))
        browser: Browser = request.getfixturevalue("browser")  # Prefect takes its event loop for the test's
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        pages = f"{server.url.removesuffix('/api')}/v2"
        run = start_from_form(client, page, f"{pages}/deployments/deployment/{deployment.id}", deployment.id)
        page.goto(f"{pages}/runs/flow-run/{run}")
        expect(page.get_by_text("campaign island").first).to_be_visible(timeout=60_000)
        expect(page.get_by_text("CompletedWithFailures").first).to_be_visible(timeout=90_000)
        artifacts = artifacts_of(client, run)
        assert {key: artifact.type for key, artifact in artifacts.items()} == {
            "island-statistics": "progress",
            "island-captions-by-gpt-3-5": "progress",
            "island-captions-by-gpt-3-5-failed-tiles": "table",
            "island-checks-of-gpt-3-5": "progress",
            "island-checks": "markdown",
            "island-summary": "markdown",
        }
        assert artifacts["island-statistics"].data == 100
        assert artifacts["island-captions-by-gpt-3-5"].data == pytest.approx(100 * 20 / TILES)
        page.get_by_role("tab", name="Artifacts").click()
        expect(page.get_by_text("island-summary").first).to_be_visible(timeout=30_000)
        page.goto(f"{pages}/artifacts/artifact/{artifacts['island-summary'].id}")
        row = page.get_by_role("row").filter(has_text="gpt-3.5").first
        expect(row).to_contain_text(f"19 of {TILES}", timeout=30_000)
        expect(row).to_contain_text("1 content_filter")
        expect(page.get_by_text("preview.html").first).to_be_visible()
        logs = client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run])), limit=200)
        assert f"statistics: {TILES} kept" in " ".join(log.message for log in logs)
        assert {"campaign", "island"} <= set(client.read_flow_run(run).tags)


def start_from_form(client: SyncPrefectClient, page: Page, address: str, deployment: UUID) -> UUID:
    """Opens a deployment's form, submits it as it is, and returns the flow run's ID."""
    page.goto(address)
    page.get_by_role("button", name="Run", exact=True).click(timeout=60_000)
    page.get_by_text("Custom run").click()
    expect(page.get_by_text("Captioners").first).to_be_visible(timeout=60_000)
    form = page.url
    its = {"flow_runs": {"deployment_id": {"any_": [str(deployment)]}}}

    def submitted() -> list[dict[str, Any]]:
        if page.url == form:  # a click that comes while the form still fills itself in is lost
            page.get_by_role("button", name="Submit").click()
            page.wait_for_timeout(3_000)
        return list(client.request("POST", "/flow_runs/filter", json=its).json())

    run = until(submitted, 60)[0]
    return UUID(run["id"])


def test_text_from_outside_stays_text_on_every_page(server: PrefectServer, browser: Browser) -> None:
    with server.client() as client:
        (artifact,) = (one for one in client.read_artifacts() if one.key == "island-failed-sources")
    page = browser.new_page()
    for pages in ("v2/artifacts", "artifacts"):
        page.goto(f"{server.url.removesuffix('/api')}/{pages}/artifact/{artifact.id}")
        expect(page.get_by_text("evil.example").first).to_be_visible(timeout=60_000)
        links = [link.get_attribute("href") or "" for link in page.locator("a").all()]
        assert [link for link in links if "evil" in link] == []
        assert page.locator("img[src*=evil], img[src=x]").count() == 0
