"""The ledger: any order of anything is granted what a list of all requests says."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from integration.ledger_parts import DAY, START, SetClock, ask, names, url

from tasks.quota.days import SECOND
from tasks.quota.ledger import Ledger, open_ledger
from tasks.quota.terms import Correction, Grant, Outcome, Settlement
from tasks.quota.windows import Limits

__all__ = ["url"]


@dataclass
class Request:
    """What a model knows of a request."""

    grant: Grant
    worker: int
    tokens: int
    deadline: int
    ended: int | None = None
    settled: bool = False


def spans(limits: Limits) -> list[tuple[int, str, str, int]]:
    """Limit, unit, kind of window and its span, of each limit that is set."""
    each = [
        (limits.requests_per_minute, "requests", "sliding", 60 * SECOND),
        (limits.tokens_per_minute, "tokens", "sliding", 60 * SECOND),
        (limits.requests_per_day, "requests", limits.window, DAY * SECOND),
        (limits.tokens_per_day, "tokens", limits.window, DAY * SECOND),
    ]
    return [(most, unit, window, span) for most, unit, window, span in each if most is not None]


some = st.none() | st.integers(1, 8)
any_limits = st.builds(
    Limits,
    requests_per_day=st.integers(1, 8),
    window=st.sampled_from(["sliding", "bucket", "utc"]),
    requests_per_minute=some,
    tokens_per_minute=some,
    tokens_per_day=some,
)


class Dealings(RuleBasedStateMachine):
    """Several processes with one account: every grant and every wait is what a list of all requests says."""

    open_workers: Callable[[SetClock], list[Ledger]]

    def __init__(self) -> None:
        super().__init__()
        self.clock = SetClock()
        self.workers = self.open_workers(self.clock)
        self.account = next(names)
        self.requests: list[Request] = []
        self.drained: list[tuple[int, int, int]] = []  # when a bucket learns of an end: instant, requests, tokens
        self.elsewhere = False
        self.limits_held = True
        self.hint: float | None = None

    @initialize(limits=any_limits)
    def start(self, limits: Limits) -> None:
        self.limits = limits

    @rule(worker=st.integers(0, 2), tokens=st.lists(st.integers(0, 5), min_size=1, max_size=5))
    def reserve(self, worker: int, tokens: list[int]) -> None:
        self.expire()
        asks = [ask(self.limits, self.account, tokens=each, owner=f"{self.account} {worker}") for each in tokens]
        for each, answer in zip(tokens, self.workers[worker].reserve_many(asks), strict=True):
            if isinstance(answer, Grant):
                assert self.fits(each, self.ends())
                deadline = self.clock.time + 60 * SECOND
                self.requests.append(Request(answer, worker, each, deadline))
            else:
                assert self.elsewhere or not self.fits(each, self.drained)
                assert answer.seconds > 0
                self.hint = answer.until

    @rule(data=st.data(), outcome=st.sampled_from(["answered", "refused", "failed", "unknown", "unsent"]))
    def settle(self, data: st.DataObject, outcome: Outcome) -> None:
        mine = [one for one in self.requests if not one.settled]
        if not mine:
            return
        chosen = data.draw(st.lists(st.sampled_from(range(len(mine))), min_size=1, max_size=4, unique=True))
        used = data.draw(st.integers(0, 7))
        given = [Settlement(mine[index].grant, outcome, used, 0) for index in chosen]
        for _ in range(data.draw(st.integers(1, 2))):
            self.workers[0].settle_many(given)
        for index in chosen:
            one = mine[index]
            if outcome != "unknown" or one.ended is None:
                self.end(one, outcome, used)
            one.settled = True

    def end(self, one: Request, outcome: Outcome, used: int) -> None:
        one.settled = True
        if outcome == "unsent":
            if one.ended is None:
                self.requests.remove(one)
            return
        tokens = max(one.tokens, used)
        one.tokens, one.ended = tokens, self.clock.time
        self.drained.append((self.clock.time, 1, tokens))

    @rule(seconds=st.sampled_from([0.001, 0.5, 7, 59, 61, 130, 450, 1001]))
    def wait(self, seconds: float) -> None:
        self.clock.wait(seconds)

    @precondition(lambda self: self.hint is not None)
    @rule()
    def wait_as_told(self) -> None:
        assert self.hint is not None
        self.clock.time = max(self.clock.time, math.ceil(self.hint * SECOND))

    @rule(worker=st.integers(0, 2), is_noticed=st.booleans())
    def die(self, worker: int, is_noticed: bool) -> None:
        for one in self.requests:
            one.settled |= one.worker == worker
        if is_noticed:
            self.workers[0].abandon({f"{self.account} {worker}"})

    @rule(limits=any_limits)
    def change_the_configuration(self, limits: Limits) -> None:
        self.limits, self.limits_held = limits, False

    @precondition(lambda self: self.requests)
    @rule(data=st.data(), remaining=st.integers(0, 8))
    def hear_of_others(self, data: st.DataObject, remaining: int) -> None:
        one = data.draw(st.sampled_from(self.requests))
        measure = data.draw(st.sampled_from(["requests_per_day", "tokens_per_minute"]))
        mark = one.grant.marks.get(measure)
        self.elsewhere |= mark is not None and remaining < mark.expected
        self.workers[0].correct_many([Correction(one.grant, measure, remaining)])

    def expire(self) -> None:
        for one in self.requests:
            if one.ended is None and one.deadline <= self.clock.time:
                one.ended = one.deadline
                self.drained.append((self.clock.time, 1, one.tokens))

    def ends(self) -> list[tuple[int, int, int]]:
        """When the requests ended, each with its tokens."""
        return [(one.ended, 1, one.tokens) for one in self.requests if one.ended is not None]

    def fits(self, tokens: int, drained: list[tuple[int, int, int]]) -> bool:
        """Whether a request may go, if a bucket lost these amounts."""
        for most, unit, window, span in spans(self.limits):
            amount = 1 if unit == "requests" else min(tokens, most)
            if self.used(most, unit, window, span, drained) + amount > most + 1e-6:
                return False
        return True

    def used(self, most: int, unit: str, window: str, span: int, drained: list[tuple[int, int, int]]) -> float:
        now = self.clock.time
        in_flight = sum(1 if unit == "requests" else one.tokens for one in self.requests if one.ended is None)
        if window == "bucket":
            lacking, last = 0.0, START
            for instant, *amounts in sorted(drained):
                lacking = max(0.0, lacking - (instant - last) * most / span) + amounts[unit == "tokens"]
                lacking, last = min(lacking, most), instant
            return max(0.0, lacking - (now - last) * most / span) + in_flight
        start = now - span
        if window == "utc":
            apart = math.ceil(span / 86_400)
            start = (now - apart) // span * span - apart
        ended = [one for one in self.requests if one.ended is not None and one.ended >= start]
        return sum(1 if unit == "requests" else one.tokens for one in ended) + in_flight

    def teardown(self) -> None:
        """An endpoint that counts requests as soon as they are sent, or as late as it can, has refused none."""
        if not self.limits_held:
            return
        self.clock.wait(60)
        self.expire()
        for choose in (min, max, lambda pair: pair[0] + hash(pair) % (pair[1] - pair[0] + 1)):
            # Nothing arrives after its owner has given it up, though the owner may say so later.
            arrivals = sorted(choose((one.grant.granted, min(one.ended, one.deadline))) for one in self.requests)
            for most, unit, window, span in spans(self.limits):
                if unit == "requests":
                    assert peak(arrivals, most, window, span) <= most + 1e-6


def peak(arrivals: list[int], most: int, window: str, span: int) -> float:
    """The most that an endpoint has ever counted."""
    if window == "utc":
        return max(Counter(one // span for one in arrivals).values(), default=0)
    if window == "sliding":
        return max((sum(now - span < one <= now for one in arrivals) for now in arrivals), default=0)
    used, highest, last = 0.0, 0.0, START
    for now in arrivals:
        used, last = max(0.0, used - (now - last) * most / span) + 1, now
        highest = max(highest, used)
    return highest


def test_any_order_of_dealings_is_granted_what_a_list_of_requests_says(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARTHSCRIBE_DAY_SECONDS", str(DAY))
    with ExitStack() as stack:
        told = SetClock()
        opened = [stack.enter_context(open_ledger(url, told)) for _ in range(3)]

        class Here(Dealings):
            @staticmethod
            def open_workers(clock: SetClock) -> list[Ledger]:  # type: ignore[override]  # by hypothesis' own class
                return [Ledger(one.engine, clock, DAY) for one in opened]

        slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
        effort = settings(max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=slow)
        run_state_machine_as_test(Here, settings=effort)
