"""A ledger for tests, on SQLite and on a real PostgreSQL, and a clock that they set."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, func, select, text

from tasks.quota.days import SECOND
from tasks.quota.ledger import Ledger, open_ledger
from tasks.quota.schema import requests
from tasks.quota.terms import Ask, Grant, Outcome, Settlement, Wait
from tasks.quota.windows import Limits

DAY = 1000
"""Seconds of a day in most of these tests."""

START = 1_700_000_000 * SECOND // (DAY * SECOND) * DAY * SECOND

names = (f"account {number}" for number in itertools.count())


@dataclass
class SetClock:
    """A clock that a test sets."""

    time: int = START

    def now(self, connection: Connection) -> int:
        return self.time

    def wait(self, seconds: float) -> None:
        self.time += round(seconds * SECOND)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    server: str = request.getfixturevalue("postgres")
    name = next(names).replace(" ", "_")
    engine = create_engine(server.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {name}"))
    engine.dispose()
    return f"{server}&options=-csearch_path%3D{name}"


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def ledger(url: str, clock: SetClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setenv("EARTHSCRIBE_DAY_SECONDS", str(DAY))
    with open_ledger(url, clock) as opened:
        yield opened


def ask(limits: Limits, account: str = "a", **values: Any) -> Ask:
    return replace(Ask(account, limits, "campaign", "gpt", "host model", "me", timeout=60), **values)


def granted(ledger: Ledger, limits: Limits, count: int = 1, **values: Any) -> list[Grant]:
    return [one for one in ledger.reserve_many([ask(limits, **values)] * count) if isinstance(one, Grant)]


def wait_for(ledger: Ledger, limits: Limits, **values: Any) -> Wait:
    (one,) = ledger.reserve_many([ask(limits, **values)])
    assert isinstance(one, Wait)
    return one


def settle(ledger: Ledger, grants: list[Grant], outcome: Outcome = "answered", **tokens: int) -> None:
    ledger.settle_many([Settlement(one, outcome, **tokens) for one in grants])


def rows(ledger: Ledger, table: Any = requests) -> int:
    with ledger.engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())
