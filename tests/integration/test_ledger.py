"""The ledger: never over its limits, never below them without need, and nothing forgotten. On both databases."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from integration.ledger_parts import DAY, START, SetClock, ask, clock, granted, ledger, rows, settle, url, wait_for
from sqlalchemy import select, text

from tasks.errors import InputError
from tasks.quota.days import SECOND
from tasks.quota.ledger import Ledger, open_ledger
from tasks.quota.schema import accounts, requests
from tasks.quota.sums import Sums
from tasks.quota.terms import Grant, Outcome
from tasks.quota.windows import Limits

__all__ = ["clock", "ledger", "url"]


def test_a_day_is_granted_and_no_more_whatever_became_of_the_requests(ledger: Ledger, clock: SetClock) -> None:
    limits = Limits(requests_per_day=5)
    first = granted(ledger, limits, 4)
    outcomes: list[Outcome] = ["answered", "refused", "failed", "unknown"]
    for one, outcome in zip(first, outcomes, strict=True):
        settle(ledger, [one], outcome)
    assert len(granted(ledger, limits, 4)) == 1
    told = wait_for(ledger, limits)
    assert told.measure == "requests_per_day"
    assert told.until == pytest.approx((clock.time + DAY * SECOND) / SECOND)
    clock.wait(told.seconds)
    assert len(granted(ledger, limits, 9)) == 4  # the fifth ended at its time-out, sixty seconds later


def test_what_was_never_sent_is_not_counted(ledger: Ledger) -> None:
    limits = Limits(requests_per_day=5)
    settle(ledger, granted(ledger, limits, 5), "unsent")
    assert len(granted(ledger, limits, 9)) == 5
    assert ledger.sums("campaign") == {("gpt", "host model"): Sums(sent=5, in_flight=5)}


@pytest.mark.parametrize("window", ["sliding", "bucket", "utc"])
def test_what_is_settled_twice_is_counted_once(ledger: Ledger, window: str) -> None:
    limits = Limits(requests_per_day=5, window=window)
    first, second, third = granted(ledger, limits, 3)
    once, lost = [first, second], [third]
    settle(ledger, once, prompt_tokens=1)
    settle(ledger, once, "failed", prompt_tokens=7)
    settle(ledger, once, "unsent")
    for _ in range(2):
        settle(ledger, lost, "unknown")
    assert ledger.standing("a", limits).left == 2
    assert ledger.sums("campaign")["gpt", "host model"] == Sums(sent=3, answered=2, unknown=1, prompt_tokens=2)


def test_a_minute_is_waited_for_and_never_ends_the_day(ledger: Ledger, clock: SetClock) -> None:
    limits = Limits(requests_per_day=100, requests_per_minute=2, tokens_per_minute=50)
    settle(ledger, granted(ledger, limits, 3, tokens=10))
    told = wait_for(ledger, limits, tokens=10)
    assert (told.measure, told.is_for_the_day) == ("requests_per_minute", False)
    assert told.seconds == pytest.approx(60)
    clock.wait(told.seconds)
    assert len(granted(ledger, limits, 1, tokens=50)) == 1
    assert wait_for(ledger, limits, tokens=1).measure == "tokens_per_minute"


def test_tokens_count_as_reserved_or_as_used_if_that_is_more(ledger: Ledger) -> None:
    limits = Limits(tokens_per_day=100)
    settle(ledger, granted(ledger, limits, 1, tokens=30), prompt_tokens=10, completion_tokens=5)
    settle(ledger, granted(ledger, limits, 1, tokens=30), prompt_tokens=20, completion_tokens=30)
    assert len(granted(ledger, limits, 3, tokens=10)) == 2
    assert ledger.sums("campaign")["gpt", "host model"].prompt_tokens == 30


def test_a_request_larger_than_its_limit_goes_alone(ledger: Ledger, clock: SetClock) -> None:
    limits = Limits(tokens_per_minute=100)
    settle(ledger, granted(ledger, limits, 1, tokens=1))
    clock.wait(wait_for(ledger, limits, tokens=500).seconds)
    assert len(granted(ledger, limits, 2, tokens=500)) == 1


def test_a_request_in_flight_across_a_calendar_edge_counts_in_both_days(ledger: Ledger, clock: SetClock) -> None:
    limits = Limits(requests_per_day=5, window="utc")
    clock.wait(DAY - 10)
    across = granted(ledger, limits, 2)
    settle(ledger, granted(ledger, limits, 3))
    clock.wait(20)
    settle(ledger, across)
    assert len(granted(ledger, limits, 9)) == 3


@pytest.mark.parametrize(
    ("window", "elapsed", "worth"),
    [("sliding", 985, False), ("sliding", 995, True), ("bucket", 995, False), ("utc", 985, False), ("utc", 995, True)],
)
def test_what_a_run_that_does_not_wait_waits_for(
    ledger: Ledger, clock: SetClock, window: str, elapsed: int, worth: bool
) -> None:
    limits = Limits(requests_per_day=1000, window=window)
    settle(ledger, granted(ledger, limits, 1000))
    clock.wait(0.5)
    if window == "bucket":
        settle(ledger, granted(ledger, limits, 1000))
    clock.time = START + round(elapsed * SECOND)
    if window == "bucket":
        settle(ledger, granted(ledger, limits, 1000))
    assert wait_for(ledger, limits).is_for_the_day is not worth


def test_a_changed_limit_holds_from_the_next_request_on(ledger: Ledger, clock: SetClock) -> None:
    for window in ("sliding", "bucket", "utc"):
        settle(ledger, granted(ledger, Limits(requests_per_day=6, window=window), 6, account=window))
        assert granted(ledger, Limits(requests_per_day=4, window=window), 1, account=window) == []
        assert len(granted(ledger, Limits(requests_per_day=9, window=window), 9, account=window)) == 3
    assert len(granted(ledger, Limits(requests_per_day=20, window="bucket"), 20, account="sliding")) == 11


def test_accounts_are_apart_and_campaigns_of_one_account_are_not(ledger: Ledger) -> None:
    limits = Limits(requests_per_day=5)
    mixed = [ask(limits, "a"), ask(limits, "b", campaign="other")] * 4
    assert sum(isinstance(one, Grant) for one in ledger.reserve_many(mixed)) == 8
    assert len(granted(ledger, limits, 5, account="b")) == 1
    assert {name: sums.sent for name, sums in ledger.sums("other").items()} == {("gpt", "host model"): 4}


def test_a_parked_account_rests_in_every_process(ledger: Ledger, clock: SetClock) -> None:
    ledger.park("a", 100)
    ledger.park("a", 5)
    other = Ledger(ledger.engine, clock, DAY)
    told = wait_for(other, Limits())
    assert (told.seconds, told.measure, told.is_for_the_day) == (100, None, False)
    assert other.standing("a", Limits()).next_slot == told.until
    clock.wait(100)
    assert len(granted(other, Limits())) == 1
    other.park("a", 1e9)
    assert wait_for(ledger, Limits()).seconds == DAY, "no endpoint parks an account for years"


def test_the_request_of_a_dead_process_counts_as_spent_from_its_time_out(ledger: Ledger, clock: SetClock) -> None:
    limits = Limits(requests_per_day=1)
    granted(ledger, limits, owner="dead")
    assert ledger.owners() == {"dead"}
    assert ledger.abandon({"dead"}) == 1
    assert ledger.owners() == set()
    assert ledger.sums("campaign")["gpt", "host model"] == Sums(sent=1, unknown=1)
    clock.wait(DAY + 59)
    assert granted(ledger, limits) == []
    clock.wait(1.1)
    assert len(granted(ledger, limits)) == 1


def test_a_late_answer_counts_from_when_it_came(ledger: Ledger, clock: SetClock) -> None:
    limits = Limits(requests_per_day=1)
    late = granted(ledger, limits)
    clock.wait(500)
    assert granted(ledger, limits) == []
    assert ledger.sums("campaign")["gpt", "host model"] == Sums(sent=1, unknown=1)
    settle(ledger, late, prompt_tokens=3)
    assert ledger.sums("campaign")["gpt", "host model"] == Sums(sent=1, answered=1, prompt_tokens=3)
    clock.wait(DAY)
    assert granted(ledger, limits) == []
    clock.wait(0.1)
    assert len(granted(ledger, limits)) == 1


GRABBER = """
import os, sys
from tasks.quota.ledger import open_ledger
from tasks.quota.terms import Ask, Grant, Settlement
from tasks.quota.windows import Limits

url, most = sys.argv[1], int(sys.argv[2])
ask = Ask("a", Limits(most), "campaign", "gpt", "host", str(os.getpid()), 3600.0, 10)
with open_ledger(url) as ledger:
    print("ready", flush=True)
    while True:
        grants = [one for one in ledger.reserve_many([ask] * 8) if isinstance(one, Grant)]
        print(*(one.id for one in grants), flush=True)
        if not grants:
            break
        ledger.settle_many([Settlement(one, "answered", 1, 2) for one in grants[:6]])
"""


def test_processes_that_are_killed_amid_reserving_never_exceed(url: str) -> None:
    most, chance = 1500, random.Random(7)
    environment = {**os.environ, "EARTHSCRIBE_DAY_SECONDS": "86400"}
    command = [sys.executable, "-c", GRABBER, url, str(most)]

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)

    running, seen = [start() for _ in range(4)], []
    for number in range(4):
        victim = running[number]
        assert victim.stdout is not None
        for _ in range(chance.randint(2, 12)):
            seen += victim.stdout.readline().split()
        os.kill(victim.pid, signal.SIGKILL)
        seen += victim.stdout.read().split()[:-1]  # the last may be half a word
        victim.wait()
        victim.stdout.close()
        if number < 2:
            running.append(start())
    for survivor in running[4:]:
        seen += survivor.communicate(timeout=60)[0].split()
        assert survivor.returncode == 0
    with open_ledger(url) as ledger, ledger.engine.connect() as connection:
        kept = set(connection.scalars(select(requests.c.id)))
        assert len(kept) == most
        assert {one for one in seen if one != "ready"} <= kept
        sums = ledger.sums("campaign")["gpt", "host"]
        assert sums.sent == len(kept) == sums.answered + sums.in_flight
        row = connection.execute(select(accounts)).one()
        assert (row.in_flight, row.in_flight_tokens) == (sums.in_flight, 10 * sums.in_flight)
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as file:
            assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_the_standing_of_an_account_changes_nothing(ledger: Ledger, clock: SetClock) -> None:
    limits = Limits(requests_per_day=5, requests_per_minute=3)
    assert ledger.standing("a", limits).left == 5
    assert rows(ledger, accounts) == 0
    settle(ledger, granted(ledger, limits, 2))
    granted(ledger, limits, 1)
    stands = ledger.standing("a", limits)
    assert (stands.left, stands.in_flight) == (2, 1)
    assert stands.next_slot == pytest.approx((clock.time + 60 * SECOND) / SECOND)
    clock.wait(61)
    stands = ledger.standing("a", limits)
    assert (stands.left, stands.in_flight, stands.next_slot) == (2, 0, None)
    assert ledger.standing("a", Limits()).left is None
    assert ledger.sums("campaign")["gpt", "host model"] == Sums(sent=3, answered=2, unknown=1)


def test_weeks_leave_a_small_table_and_whole_sums(ledger: Ledger, clock: SetClock) -> None:
    limits = Limits(requests_per_day=20, window="bucket")
    clock.time, sent = 1_700_006_400 * SECOND, 0
    civil = Ledger(ledger.engine, clock, 86_400)
    for _ in range(21):
        grants = granted(civil, limits, 25)
        settle(civil, grants, prompt_tokens=10, completion_tokens=1)
        sent += len(grants)
        clock.wait(86_400)
        assert rows(civil) <= 4 * 20
    assert sent == 21 * 20
    assert civil.sums("campaign")["gpt", "host model"] == Sums(
        sent, sent, prompt_tokens=10 * sent, completion_tokens=sent
    )


def test_what_is_granted_is_on_the_disk(tmp_path: Path) -> None:
    with open_ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger, ledger.engine.connect() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(text("PRAGMA synchronous")) == 2


def test_a_ledger_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "ledger.db-clock").mkdir()
    with (
        pytest.raises(InputError, match=r"ledger\.db-clock: .*expected permission"),
        open_ledger(f"sqlite:///{tmp_path}/ledger.db"),
    ):
        pass
