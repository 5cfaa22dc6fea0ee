"""A real Prefect server in processes of its own, and workers that run what is deployed there."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.once import prefect_database

PROMPT = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_WORKER_QUERY_SECONDS": "1",
}
"""Settings with which tests need not wait for loops that turn seldom."""

_STARTING_SECONDS = 90


@dataclass(frozen=True)
class PrefectServer:
    """A running server.

    Attributes:
        url: its API's address.
        home: its folder; the database is `prefect.db` in it.
        environment: what commands find in their environment to reach it.
    """

    url: str
    home: Path
    environment: Mapping[str, str]

    def command(self, *arguments: object, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs a Python module as a command, to its end."""
        return subprocess.run(
            [sys.executable, "-m", *map(str, arguments)],
            cwd=folder,
            env={**self.environment, "PWD": str(folder), **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    @contextlib.contextmanager
    def client(self) -> Iterator[SyncPrefectClient]:
        """Points Prefect at this server for the block's length."""
        with temporary_settings({PREFECT_API_URL: self.url}), get_client(sync_client=True) as client:
            yield client

    @contextlib.contextmanager
    def worker(self, pool: str, folder: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
        """Runs a worker in a folder for the block's length."""
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--limit", "2"]
        with (
            (self.home / f"worker-{pool}.log").open("ab") as log,
            _running(command, folder, log, {**self.environment, **environment}) as process,
        ):
            yield process


def start_run(client: SyncPrefectClient, deployment: str, parameters: Mapping[str, Any] | None = None) -> UUID:
    """Starts a run as the form of Prefect's pages does: parameters against the deployment's schema."""
    found = client.read_deployment_by_name(deployment)
    answer = client.request(
        "POST",
        f"/deployments/{found.id}/create_flow_run",
        json={
            "parameters": dict(parameters or {}),
            "enforce_parameter_schema": found.enforce_parameter_schema,
            "state": {"type": "SCHEDULED", "message": "", "state_details": {"scheduled_time": None}},
        },
    )
    return UUID(answer.json()["id"])


def wait_for(client: SyncPrefectClient, run: UUID, *states: str, seconds: float = 150) -> FlowRun:
    """The run, once it has ended or is in one of some states."""
    deadline = time.monotonic() + seconds
    while True:
        found = client.read_flow_run(run)
        if found.state is not None and (found.state.is_final() or found.state.name in states):
            return found
        assert time.monotonic() < deadline, f"{found.name} is {found.state_name} still"
        time.sleep(0.2)


@contextlib.contextmanager
def serve_prefect(factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """Serves for the block's length, with a database of its own."""
    home = factory.mktemp("prefect")
    shutil.copy(prefect_database(factory), home)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment = {**kept, **PROMPT, "PREFECT_HOME": str(home), "PREFECT_SERVER_API_PORT": str(port)}
    server = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    url = f"http://127.0.0.1:{port}/api"
    with (home / "server.log").open("wb") as log, _running(server, home, log, environment) as process:
        deadline = time.monotonic() + _STARTING_SECONDS
        while not _answers(url):
            assert process.poll() is None, (home / "server.log").read_text()
            assert time.monotonic() < deadline, (home / "server.log").read_text()
            time.sleep(0.2)
        yield PrefectServer(url, home, {**environment, "PREFECT_API_URL": url})


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5).is_success
    except httpx.TransportError:
        return False


@contextlib.contextmanager
def _running(
    command: list[str], folder: Path, log: Any, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A process with all that it starts, which ends with the block."""
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
