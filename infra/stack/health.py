"""Whether a part does what it is there for, asked of the part itself."""

from __future__ import annotations

import httpx
import redis
import s3fs
from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]  # botocore ships no types

from infra.stack.layout import POOL, USER, Stack, is_free

_SECONDS = 5.0
"""Longest wait for an answer."""


def answers_http(url: str) -> bool:
    """Whether an address answers with status 200."""
    try:
        return _get(url).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def worker_polls(stack: Stack) -> bool:
    """Whether Prefect's worker says that it is well, and the server that its pool is being worked."""
    if not answers_http(f"http://{stack.address('worker')}/health"):
        return False
    try:
        return bool(_get(f"{stack.ui}/api/work_pools/{POOL}").json().get("status") == "READY")
    except httpx.TransportError:
        return False


def has_dask_worker(stack: Stack, name: str) -> bool:
    """Whether a worker of that name is with the scheduler."""
    try:
        workers = _get(f"http://{stack.address('dask-http')}/json/identity.json").json()["workers"]
    except httpx.TransportError:
        return False
    return any(worker["name"] == name for worker in workers.values())


def answers_s3(stack: Stack) -> bool:
    """Whether the S3 server lists the bucket for the stack's key."""
    if is_free(stack.ports["s3"]):
        return False
    settings = stack.client_settings()
    store = s3fs.S3FileSystem(
        key=USER,
        secret=stack.secrets["s3"],
        endpoint_url=settings["AWS_ENDPOINT_URL"],
        skip_instance_cache=True,
    )
    try:
        return bool(store.exists(USER))
    except (OSError, BotoCoreError):
        return False


def answers_redis(stack: Stack) -> bool:
    """Whether Redis answers to the stack's password."""
    with redis.Redis("127.0.0.1", stack.ports["redis"], password=stack.secrets["redis"]) as client:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False


def _get(url: str) -> httpx.Response:
    """An answer without a proxy in between: all parts are on this machine."""
    return httpx.get(url, timeout=_SECONDS, trust_env=False)
