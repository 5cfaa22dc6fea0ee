"""One campaign on several machines: tables in a bucket, captions and requests in PostgreSQL.

A machine is a command with a state folder of its own, so that none meets another in a lock file.
"""

from __future__ import annotations

import itertools
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from campaigns import TILES, Campaign, Endpoint, fake_llm, sent_agrees, text
from commands import Command, Commands
from postgres_server import postgres
from s3_server import KEY, S3, SECRET, s3
from sqlalchemy import Connection, create_engine, make_url
from sqlalchemy import text as sql

from tasks.database import locked_on_all_machines
from tasks.scene import write_scene

__all__ = ["postgres", "s3"]

names = (f"campaign_{number}" for number in itertools.count())


@dataclass(frozen=True)
class Shared:
    """A campaign that machines share."""

    campaign: Campaign
    database: str
    keys: dict[str, Any]
    files: Path

    def configure(self, *captioners: dict[str, Any]) -> None:
        self.campaign.configure(*captioners, **self.keys)

    def on(self, machine: str, *command: object, **environment: str) -> Command:
        """Starts a command on a machine."""
        home = self.campaign.folder / machine
        home.mkdir(exist_ok=True)
        return self.campaign.earthscribe.start(
            command[0], "c.yaml", *command[1:], folder=self.campaign.folder, XDG_STATE_HOME=str(home), **environment
        )

    def connect(self) -> Iterator[Connection]:
        engine = create_engine(make_url(self.database).set(drivername="postgresql+psycopg"))
        with engine.begin() as connection:
            yield connection
        engine.dispose()

    def execute(self, statement: str, **values: object) -> int:
        """Does something to the database; returns how many rows that met."""
        (count,) = [connection.execute(sql(statement), values).rowcount for connection in self.connect()]
        return int(count)

    def versions(self, captioner: str) -> Counter[str]:
        """How many versions of each tile there are, by the file in the bucket."""
        table = pq.read_table(self.files / "captions" / f"{captioner}.parquet")
        return Counter(table.column("tile_id").to_pylist())


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scene")
    write_scene(folder)
    return folder


@pytest.fixture
def shared(postgres: str, s3: S3, earthscribe: Commands, scene: Path, tmp_path: Path) -> Shared:
    """A campaign whose tiles are counted."""
    name = next(names)
    engine = create_engine(make_url(postgres).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sql(f"CREATE DATABASE {name}"))
    engine.dispose()
    database = make_url(postgres).set(database=name).render_as_string(hide_password=False)
    (s3.root / "data").mkdir(exist_ok=True)
    keys = {"dataset": f"s3://data/{name}", "storage_options": s3.options, "state": database, "ledger": database}
    made = Shared(Campaign(earthscribe, tmp_path, scene), database, keys, s3.root / "data" / name)
    made.configure()
    counted = made.on("first", "statistics").wait()
    assert counted.code == 0, counted.stderr
    return made


def await_requests(endpoint: Endpoint, count: int) -> None:
    while endpoint.audit()["requests"] < count:
        time.sleep(0.05)


def test_each_tile_is_asked_about_once_though_a_machine_dies(shared: Shared) -> None:
    concurrency = 3
    with fake_llm("--latency", 300, "--seed", 2) as endpoint:
        shared.configure(text(endpoint, concurrency=concurrency))
        machines = [shared.on(name, "caption") for name in ("first", "second", "third")]
        await_requests(endpoint, 12)
        # What dies on another machine cannot be seen to be dead: its claims have to run out.
        machines[0].signal(signal.SIGKILL)
        assert machines[0].wait().code == -signal.SIGKILL
        shared.execute(
            "UPDATE claims SET owner = 'elsewhere/0 ' || owner WHERE owner LIKE :its", its=f"% {machines[0].pid} %"
        )
        ended = [machine.wait() for machine in machines[1:]]
        assert [one.code for one in ended] == [0, 0], [one.stderr for one in ended]

        left = TILES - len(shared.versions("text"))
        assert left <= 2 * concurrency, "and only those"
        if left:
            assert shared.on("second", "caption").wait().code == 0
            assert TILES - len(shared.versions("text")) == left
            assert shared.execute("UPDATE claims SET expires = 0") == left
        assert shared.on("third", "caption").wait().code == 0
        audit = endpoint.audit()
        status = shared.campaign.status()["text"]
    assert shared.versions("text") == dict.fromkeys(shared.versions("text"), 1)
    assert (status["done"], status["pending"], status["in_flight"]) == (TILES, 0, 0)
    assert TILES <= audit["requests"] <= status["requests"]["sent"] <= TILES + 2 * concurrency
    assert status["requests"]["unknown"] <= 2 * concurrency, "in flight, or kept and not yet settled"


def test_machines_share_a_calendar_quota_of_a_pool_in_which_one_dies(shared: Shared) -> None:
    day = {"EARTHSCRIBE_DAY_SECONDS": "15"}
    quota = {"requests_per_day": 20, "window": "utc"}
    with (
        fake_llm("--requests-per-day", 20, "--window", "utc", "--latency", 50, day=15) as lasting,
        fake_llm("--requests-per-day", 20, "--window", "utc", "--latency", 50, day=15) as dying,
    ):
        pool = [{"endpoint": one.url, "model": "m", "concurrency": 2, "quota": quota} for one in (lasting, dying)]
        shared.configure({"name": "pool", "prompt": "text", "endpoints": pool})
        machines = [shared.on(name, "caption", "--wait", **day) for name in ("first", "second")]
        await_requests(dying, 5)
        before = dying.audit()
        dying.process.kill()
        ended = [machine.wait() for machine in machines]
        assert [one.code for one in ended] == [0, 0], [one.stderr for one in ended]
        audit = lasting.audit()
        status = shared.campaign.status(**day)["pool"]
    assert (status["done"], status["pending"]) == (TILES, 0)
    assert shared.versions("pool") == dict.fromkeys(shared.versions("pool"), 1)
    assert audit["refused"] == 0, "together they kept to the quota of each calendar day"
    assert audit["most_in_a_day"] <= 2 * 20, "of any day's length, across the calendar's edge"
    assert audit["requests"] + before["requests"] <= status["requests"]["sent"]
    assert {entry["limit"] for entry in status["quota"]} == {20}


def test_a_whole_run_agrees_with_the_endpoint_and_keeps_its_secrets(shared: Shared) -> None:
    with fake_llm("--seed", 3) as endpoint:
        shared.configure(text(endpoint), {"name": "rules", "prompt": "rules"})
        ran = shared.on("first", "run", "--verbose").wait()
        audit = endpoint.audit()
        status = shared.campaign.status()
    assert ran.code == 0, ran.stderr
    assert sent_agrees(status["text"], audit)
    assert {name: one["done"] for name, one in status.items()} == {"text": TILES, "rules": TILES}
    assert (shared.files / "preview.html").stat().st_size > 10_000
    for secret in (KEY, SECRET):
        assert secret not in ran.stdout + ran.stderr


def test_stages_of_two_machines_follow_each_other(shared: Shared) -> None:
    with locked_on_all_machines(shared.database, shared.keys["dataset"], lambda: pytest.fail("nobody else is here")):
        other = shared.on("second", "statistics")
        output = other.output.with_suffix(".err")
        while not (output.exists() and re.search("waiting for another run on s3://", output.read_text())):
            time.sleep(0.05)
    ended = other.wait()
    assert ended.code == 0, ended.stderr
