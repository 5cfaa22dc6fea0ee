"""What weeks of captions at quota leave in the database of Prefect's server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psycopg
import yaml
from psycopg import sql

from infra.stack.layout import Stack, open_stack
from infra.stack.parts import common_environment, parts_of
from infra.stack.running import start, stop
from tests.benchmarks.commands import ROOT, campaign, run
from tests.benchmarks.made import corners, eleven_classes, write_maps
from tests.benchmarks.measuring import Figure
from tests.benchmarks.memory import area_of_tiles
from tests.benchmarks.sizes import Sizes
from tests.fake_llm_server import serve_fake_llm

_KB_A_REQUEST = 2.0

_VACUUM = """
import asyncio
from prefect.server.database import provide_database_interface
from prefect.server.services import db_vacuum as vacuum

async def all_of_it():
    for clean in (
        vacuum.vacuum_old_flow_runs,
        vacuum.vacuum_events_with_retention_overrides,
        vacuum.vacuum_old_events,
        vacuum.vacuum_orphaned_logs,
        vacuum.vacuum_orphaned_artifacts,
        vacuum.vacuum_stale_artifact_collections,
    ):
        await clean(db=provide_database_interface())

asyncio.run(all_of_it())
"""
"""What the server does every hour, and once a day."""

_TIMES = """
SELECT table_name, array_agg(column_name::text)
FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND data_type = 'timestamp with time zone'
GROUP BY table_name
"""


def growth(sizes: Sizes, scratch: Path) -> list[Figure]:
    """A fortnight of batches on the local stack, which is started for it."""
    stack = open_stack(scratch / "stack")
    start(stack, lambda _line: None)
    try:
        return [growth_on(stack, sizes, scratch)]
    finally:
        stop(stack)


def growth_on(stack: Stack, sizes: Sizes, scratch: Path) -> Figure:
    """A fortnight on a stack that runs: each day one batch, then everything in the database becomes a day older.

    At 10,000 requests a day under a sliding window there are six batches a day, of 1,667 requests. One stands for
    all, since the rows of a batch do not depend on how many there are.

    Args:
        stack: whose database is measured.
        sizes: how many days, and how many requests a batch.
        scratch: where the campaign lies.
    """
    requests = sizes.days * sizes.batch
    write_maps(scratch / "maps", corners(requests // 15_000 + 1), eleven_classes(4))
    config = campaign(scratch / "growth", scratch / "maps", {"area": area_of_tiles(requests)})
    run("statistics", config)
    _vacuum(stack)
    before = _size(stack)
    with serve_fake_llm(scratch) as endpoint:
        _ask(config, endpoint.url)
        for _ in range(sizes.days):
            command = [sys.executable, "-m", "flows", "caption", str(config), "--quiet"]
            command += ["--max-requests", str(sizes.batch)]
            environment = {**common_environment(), **stack.client_settings(), "PREFECT_HOME": str(scratch / "home")}
            subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=True)
            _grow_older(stack)
    _vacuum(stack)
    return Figure(
        f"the server's database, {sizes.days} days of a batch of {sizes.batch:,} requests, each",
        (_size(stack) - before) / requests / 1e3,
        "kB",
        "<=",
        _KB_A_REQUEST,
    )


def _ask(config: Path, endpoint: str) -> None:
    """Has the campaign's captions asked of an endpoint."""
    content = yaml.safe_load(config.read_text())
    content["captioners"] = [{"name": "gpt", "prompt": "text", "endpoint": endpoint, "model": "m", "concurrency": 32}]
    content["captioners"][0]["api_key"] = "none"
    config.write_text(yaml.safe_dump(content))


def _vacuum(stack: Stack) -> None:
    """Prefect's vacuum with the settings of the stack's server, then PostgreSQL's own, which gives room back."""
    settings: Mapping[str, str] = next(part.environment for part in parts_of(stack) if part.name == "prefect")
    subprocess.run([sys.executable, "-c", _VACUUM], env={**common_environment(), **settings}, check=True)
    with _database(stack) as database:
        database.execute("VACUUM FULL")


def _size(stack: Stack) -> int:
    with _database(stack) as database:
        found = database.execute("SELECT pg_database_size(current_database())").fetchone()
    assert found is not None
    return int(found[0])


def _grow_older(stack: Stack) -> None:
    """Moves every time in the database a day back."""
    with _database(stack) as database:
        columns = database.execute(_TIMES).fetchall()
        for table, names in columns:
            back = sql.SQL(", ").join(
                sql.SQL("{0} = {0} - interval '1 day'").format(sql.Identifier(name)) for name in names
            )
            database.execute(sql.SQL("UPDATE {} SET {}").format(sql.Identifier(table), back))


def _database(stack: Stack) -> psycopg.Connection:
    passwords = os.fspath(stack.client_settings()["PGPASSFILE"])
    return psycopg.connect(stack.database("prefect"), passfile=passwords, autocommit=True)
