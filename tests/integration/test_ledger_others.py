"""The ledger and others who spend from the same account."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import pytest
from integration.ledger_parts import DAY, START, SetClock, ask, clock, granted, ledger, rows, settle, url

from tasks.quota.days import SECOND
from tasks.quota.ledger import Ledger
from tasks.quota.schema import elsewhere
from tasks.quota.terms import Correction, Grant, Settlement, Wait
from tasks.quota.windows import Limits

__all__ = ["clock", "ledger", "url"]


@dataclass
class Endpoint:
    """An endpoint with a bucket, a sliding window or a day, which somebody else uses too."""

    limit: int
    window: str
    arrivals: list[int]
    refused: int = 0

    def take(self, now: int, is_ours: bool) -> tuple[bool, int]:
        left = self.limit - self.used(now)
        if left >= 1 - 1e-6:
            self.arrivals.append(now)
            return True, math.floor(left - 1 + 1e-6)
        self.refused += is_ours
        return False, 0

    def used(self, now: int) -> float:
        if self.window == "bucket":
            used, last = 0.0, START
            for one in [*self.arrivals, now]:
                used, last = max(0.0, used - (one - last) * self.limit / (DAY * SECOND)) + 1, one
            return used - 1
        start = now - DAY * SECOND if self.window == "sliding" else now // (DAY * SECOND) * DAY * SECOND
        return sum(one > start or (self.window == "utc" and one == start) for one in self.arrivals)


def campaign(ledger: Ledger, clock: SetClock, endpoint: Endpoint, others: dict[int, int], until: int) -> int:
    """Sends what is granted, sixteen at a time, out of order, each for some seconds; returns how many were answered."""
    chance, limits = random.Random(3), Limits(requests_per_day=endpoint.limit, window=endpoint.window)
    flying: list[tuple[int, int, Grant]] = []  # arrival, end, grant
    heard: dict[str, int] = {}
    answered, rests_until = 0, 0
    while clock.time < until:
        now = clock.time
        arriving = [(one[0], one[2].id) for one in flying if one[0] <= now and one[2].id not in heard]
        spending = [(instant, "") for instant, number in others.items() if instant <= now for _ in range(number)]
        for arrival, own in sorted(arriving + spending):
            fine, left = endpoint.take(arrival, is_ours=own != "")
            others.pop(arrival, None)
            if own:
                heard[own] = left
                answered += fine
        done = [one for one in flying if one[1] <= now]
        flying = [one for one in flying if one[1] > now]
        ledger.correct_many([Correction(one[2], "requests_per_day", heard[one[2].id]) for one in done])
        ledger.settle_many([Settlement(one[2], "answered") for one in done])
        free = 16 - len(flying) if now >= rests_until or done else 0
        for one in ledger.reserve_many([ask(limits, timeout=50)] * free):
            if isinstance(one, Wait):
                rests_until = round(one.until * SECOND)
                continue
            arrival = now + chance.randint(1, 600_000)
            flying.append((arrival, arrival + chance.randint(500_000, 5_000_000), one))
        clock.wait(0.25)
    return answered


@pytest.mark.parametrize("window", ["sliding", "bucket", "utc"])
def test_what_others_spent_before_costs_one_refusal_at_most_and_nothing_else_is_lost(
    ledger: Ledger, clock: SetClock, window: str
) -> None:
    endpoint = Endpoint(150, window, [START] * 60)
    until = START + 200 * SECOND
    answered = campaign(ledger, clock, endpoint, {}, until)
    refilled = 150 * 200 / DAY if window == "bucket" else 0
    assert endpoint.refused <= 1
    assert 90 + refilled - 2 <= answered <= 90 + refilled


def test_what_others_spend_meanwhile_costs_at_most_those_in_flight(ledger: Ledger, clock: SetClock) -> None:
    endpoint = Endpoint(150, "sliding", [])
    answered = campaign(
        ledger, clock, endpoint, {START + second * SECOND: 9 for second in range(2, 10)}, START + 200 * SECOND
    )
    assert endpoint.refused <= 1
    assert answered == 150 - 72


@pytest.mark.parametrize("window", ["sliding", "bucket", "utc"])
def test_where_nobody_else_spends_nothing_is_held_back(ledger: Ledger, clock: SetClock, window: str) -> None:
    endpoint = Endpoint(100, window, [])
    campaign(ledger, clock, endpoint, {}, START + (DAY - 20) * SECOND)
    assert endpoint.refused == 0
    assert rows(ledger, elsewhere) == 0
    assert len(endpoint.arrivals) >= (100 + 100 * 0.98 * 0.97 if window == "bucket" else 100)


def test_a_header_of_yesterday_says_nothing_of_today(ledger: Ledger, clock: SetClock) -> None:
    limits = Limits(requests_per_day=5, window="utc")
    clock.wait(DAY - 10)
    (one,) = granted(ledger, limits)
    clock.wait(20)
    ledger.correct_many([Correction(one, "requests_per_day", 0)])
    settle(ledger, [one])
    assert len(granted(ledger, limits, 5)) == 4


def test_a_header_that_tells_of_more_gives_nothing(ledger: Ledger) -> None:
    limits = Limits(requests_per_day=5)
    one, *_ = granted(ledger, limits, 3)
    ledger.correct_many([Correction(one, "requests_per_day", 400), Correction(one, "tokens_per_day", 0)])
    assert len(granted(ledger, limits, 9)) == 2
