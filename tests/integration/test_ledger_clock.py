"""The ledger and clocks that are set."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from integration.ledger_parts import DAY, START, SetClock, granted, settle
from sqlalchemy import text

from tasks.quota.clock import running_clock
from tasks.quota.days import SECOND
from tasks.quota.ledger import Ledger, open_ledger
from tasks.quota.windows import Limits


@dataclass
class Machine:
    """A machine's two clocks: one that can be set, and one that only goes on."""

    steady: int = 5 * SECOND
    wall: int = START

    def wait(self, seconds: float) -> None:
        self.steady += round(seconds * SECOND)
        self.wall += round(seconds * SECOND)

    def read(self) -> int:
        return self.wall

    def tick(self) -> int:
        return self.steady


def test_runs_that_overlap_share_one_clock_that_nobody_sets(tmp_path: Path) -> None:
    machine = Machine()
    clock = lambda: running_clock(tmp_path / "clock", machine.read, machine.tick)  # noqa: E731 - three times the same
    nothing: Any = None
    with clock() as first:
        machine.wait(10)
        machine.wall += 3600 * SECOND
        with clock() as second:
            assert first.now(nothing) == second.now(nothing) == START + 10 * SECOND
    machine.wall -= 7200 * SECOND
    with clock() as third:
        assert third.now(nothing) == START + (10 - 3600) * SECOND


@pytest.mark.parametrize("step", [-5000, -1, 1, 990, 100_000])
@pytest.mark.parametrize("window", ["sliding", "bucket", "utc"])
def test_a_clock_that_is_set_during_a_run_allows_not_one_more(
    tmp_path: Path, window: str, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARTHSCRIBE_DAY_SECONDS", str(DAY))
    machine, limits = Machine(), Limits(requests_per_day=50, window=window)
    url, file = f"sqlite:///{tmp_path}/ledger.db", tmp_path / "clock"
    with ExitStack() as stack:

        def run() -> Ledger:
            clock = stack.enter_context(running_clock(file, machine.read, machine.tick))
            return stack.enter_context(open_ledger(url, clock))

        first = run()
        settle(first, granted(first, limits, 50))
        machine.wait(7)
        machine.wall += step * SECOND
        second = run()
        assert granted(first, limits, 50) + granted(second, limits, 50) == []
        machine.wait(8)
        assert granted(second, limits, 50) + granted(first, limits, 50) == []
        machine.wait(DAY - 10)
        returned = granted(first, limits, 25) + granted(second, limits, 99)
        assert len(returned) == 50


def test_a_row_from_the_future_is_reported_and_counts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARTHSCRIBE_DAY_SECONDS", str(DAY))
    clock, limits = SetClock(), Limits(requests_per_day=5)
    url = f"sqlite:///{tmp_path}/ledger.db"
    with open_ledger(url, clock) as ledger:
        settle(ledger, granted(ledger, limits, 2))
        clock.wait(5 * DAY)
        settle(ledger, granted(ledger, limits, 1))
    clock.wait(-5 * DAY)
    with caplog.at_level(logging.WARNING), open_ledger(url, clock) as ledger:
        assert "yet to come" in caplog.text
        assert ledger.from_the_future() == pytest.approx((clock.time + 5 * DAY * SECOND) / SECOND)
        assert len(granted(ledger, limits, 5)) == 2
    caplog.clear()
    clock.wait(5 * DAY)
    with open_ledger(url, clock):
        assert caplog.text == ""


def test_the_clock_of_a_server_is_the_servers(postgres: str) -> None:
    with open_ledger(postgres) as ledger, ledger.engine.begin() as connection:
        began = ledger.clock.now(connection)
        connection.execute(text("SELECT pg_sleep(0.05)"))
        assert 50_000 <= ledger.clock.now(connection) - began < 5_000_000
