"""The parts of a stack: how each is started, asked for its health, and ended."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from infra.stack import health, postgres
from infra.stack.layout import POOL, Stack, write_private
from infra.stack.settings import server_settings, worker_settings

DASK_WORKERS: Final = 2

_PYTHON: Final = (sys.executable, "-P", "-m")
"""-P: a folder that happens to hold a `types.py` must not break what is started from it."""

_RUNS_SECONDS: Final = 40.0
"""How long the worker's flow runs may take to end: answers that are under way are waited for, 30 s at most."""


def _nothing() -> None:
    """What most parts need before they are started."""


@dataclass(frozen=True)
class Part:
    """One part of a stack.

    Attributes:
        name: its name, also of its log and of its process ID's file.
        address: where it listens; None where nothing connects to it.
        command: its program and arguments.
        is_healthy: asks it for its health.
        environment: what it needs in its environment beside what all have.
        needs: parts that must be healthy before it is started.
        prepare: done before it is started, and after that.
        ask_to_end: the signal upon which it ends in order.
        patience: seconds that it may take to end.
        user: whom it runs as; None for the present user.
        is_outlived: whether what it has started goes on where it is killed and started anew, as flow runs do.
    """

    name: str
    address: str | None
    command: tuple[str, ...]
    is_healthy: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    prepare: Callable[[], None] = _nothing
    ask_to_end: signal.Signals = signal.SIGTERM
    patience: float = 10.0
    user: str | None = None
    is_outlived: bool = False


def parts_of(stack: Stack) -> list[Part]:
    """All parts of a stack, in the order in which they are started."""
    redis_server = shutil.which("redis-server") if importlib.util.find_spec("prefect_redis") else None
    return [
        _postgres(stack),
        *([_redis(stack, redis_server)] if redis_server else []),
        _s3(stack),
        _scheduler(stack),
        *(_dask_worker(stack, f"dask-worker-{number}") for number in range(1, DASK_WORKERS + 1)),
        _prefect(stack, with_redis=redis_server is not None),
        _worker(stack),
    ]


def common_environment() -> dict[str, str]:
    """What all parts find in their environment: the user's, but for their own Prefect and its server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    hosts = [*filter(None, os.environ.get("NO_PROXY", "").split(",")), "127.0.0.1", "localhost"]
    # No proxy stands between the parts, which are all on this machine.
    return kept | {"NO_PROXY": ",".join(hosts), "no_proxy": ",".join(hosts)}


def _postgres(stack: Stack) -> Part:
    return Part(
        "postgres",
        stack.address("postgres"),
        postgres.command(stack),
        partial(postgres.answers, stack),
        prepare=partial(postgres.prepare, stack),
        # Upon SIGTERM it would wait until its clients have gone.
        ask_to_end=signal.SIGINT,
        user=postgres.system_user(),
    )


def _redis(stack: Stack, program: str) -> Part:
    settings = stack.folder / "secrets" / "redis.conf"
    lines = (
        f"bind 127.0.0.1\nport {stack.ports['redis']}\nrequirepass {stack.secrets['redis']}\n"
        f"dir {stack.folder / 'redis'}\nappendonly yes\n"
        # A title would be written over the environment, and with it over the mark.
        "set-proc-title no\n"
    )

    def prepare() -> None:
        (stack.folder / "redis").mkdir(exist_ok=True)
        write_private(settings, lines)

    healthy = partial(health.answers_redis, stack)
    return Part("redis", stack.address("redis"), (program, str(settings)), healthy, prepare=prepare)


def _s3(stack: Stack) -> Part:
    program = Path(sys.executable).parent / "rclone"
    command = (
        *(str(program), "serve", "s3", str(stack.folder / "s3"), "--addr", stack.address("s3")),
        # Files that are put into the folder by hand are seen within a second.
        *("--dir-cache-time", "1s", "--config", ""),
    )
    # A list of one pair, as CSV.
    keys = {"RCLONE_AUTH_KEY": f'"{stack.client_settings()["AWS_ACCESS_KEY_ID"]},{stack.secrets["s3"]}"'}
    return Part("s3", stack.address("s3"), command, partial(health.answers_s3, stack), keys)


def _scheduler(stack: Stack) -> Part:
    command = (
        *(*_PYTHON, "dask", "scheduler", "--host", "127.0.0.1", "--port", str(stack.ports["dask"])),
        *("--dashboard-address", stack.address("dask-http")),
    )
    healthy = partial(health.answers_http, f"http://{stack.address('dask-http')}/health")
    return Part("dask-scheduler", stack.address("dask"), command, healthy)


def _dask_worker(stack: Stack, name: str) -> Part:
    command = (
        *(*_PYTHON, "dask", "worker", stack.scheduler, "--name", name, "--host", "127.0.0.1", "--nthreads", "1"),
        *("--no-dashboard", "--local-directory", str(stack.folder / "dask" / name)),
    )
    return Part(name, None, command, partial(health.has_dask_worker, stack, name))


def _prefect(stack: Stack, *, with_redis: bool) -> Part:
    environment = {
        **server_settings(with_redis=with_redis),
        "PREFECT_HOME": str(stack.folder / "prefect"),
        "PREFECT_API_DATABASE_CONNECTION_URL": stack.database("prefect", "postgresql+asyncpg"),
        "PGPASSFILE": stack.client_settings()["PGPASSFILE"],
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": str(stack.ports["prefect"]),
    }
    if with_redis:
        url = f"redis://default:{stack.secrets['redis']}@{stack.address('redis')}"
        environment["PREFECT_REDIS_MESSAGING_URL"] = environment["PREFECT_REDIS_WORKER_CLEANUP_QUEUE_URL"] = f"{url}/0"
        environment["PREFECT_SERVER_DOCKET_URL"] = f"{url}/1"
    command = (*_PYTHON, "prefect", "--no-prompt", "server", "start")
    healthy = partial(health.answers_http, f"{stack.ui}/api/health")
    needs = ("postgres", "redis") if with_redis else ("postgres",)
    prepare = partial(postgres.make_databases, stack)
    return Part("prefect", stack.address("prefect"), command, healthy, environment, needs, prepare)


def _worker(stack: Stack) -> Part:
    environment = {
        **worker_settings(),
        **stack.client_settings(),
        "PREFECT_HOME": str(stack.folder / "prefect"),
        "PREFECT_WORKER_WEBSERVER_HOST": "127.0.0.1",
        "PREFECT_WORKER_WEBSERVER_PORT": str(stack.ports["worker"]),
    }
    command = (
        *(*_PYTHON, "prefect", "--no-prompt", "worker", "start"),
        *("--pool", POOL, "--type", "process", "--with-healthcheck"),
    )
    healthy = partial(health.worker_polls, stack)
    return Part("worker", None, command, healthy, environment, ("prefect",), patience=_RUNS_SECONDS, is_outlived=True)
