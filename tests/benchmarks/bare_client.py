"""Bare httpx, the baseline of dispatch: ``python -m tests.benchmarks.bare_client ADDRESS BODIES``.

Four clients of 16 connections each, since httpx's pool looks through all its connections on every event; each worker
sends one request after another. Nothing is reserved, claimed, read or kept.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx

CLIENTS = 4
CONNECTIONS = 16


async def _send_all(address: str, bodies: Iterator[bytes]) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(_client(f"{address}/chat/completions", bodies))


async def _client(address: str, bodies: Iterator[bytes]) -> None:
    headers = {"content-type": "application/json"}
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    async with httpx.AsyncClient(headers=headers, limits=limits, timeout=60) as client, asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(_worker(client, address, bodies))


async def _worker(client: httpx.AsyncClient, address: str, bodies: Iterator[bytes]) -> None:
    for body in bodies:
        (await client.post(address, content=body)).raise_for_status()


if __name__ == "__main__":
    asyncio.run(_send_all(sys.argv[1], iter(Path(sys.argv[2]).read_bytes().splitlines())))
