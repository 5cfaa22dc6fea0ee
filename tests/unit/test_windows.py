"""Windows: exact to the microsecond, and never below what an endpoint counts."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import InputError
from tasks.quota.days import CIVIL_DAY, SECOND, calendar_day, day_seconds
from tasks.quota.windows import Bucket, Calendar, Limits, Sliding, Window, window_called

DAY = round(CIVIL_DAY * SECOND)
START = 20_000 * DAY


@dataclass
class Past:
    """A history in a list."""

    spent: list[tuple[int, int]] = field(default_factory=list)
    kept_from: int | None = None

    def add(self, ended: int, amount: int) -> None:
        insort(self.spent, (ended, amount))

    def ended(self, start: int, stop: int | None = None) -> int:
        return sum(amount for ended, amount in self.spent if start <= ended and (stop is None or ended < stop))

    def ends(self, start: int) -> Iterator[tuple[int, int]]:
        return (one for one in self.spent if one[0] >= start)


def instant(zone: str, *when: int) -> int:
    return SECOND * round(datetime(*when, tzinfo=ZoneInfo(zone)).timestamp())  # type: ignore[arg-type, misc]  # the parts of a date


windows: st.SearchStrategy[Window] = st.one_of(
    st.just(Sliding(1000)),
    st.just(Calendar("utc", 1000)),
    st.sampled_from([3, 7, 1000]).map(lambda limit: Bucket(limit, 1000)),
)
steps = st.lists(st.tuples(st.integers(0, 700), st.integers(0, 5), st.integers(0, 300)), max_size=30)


@given(windows, steps)
def test_a_tally_carried_along_is_what_the_history_says(window: Window, steps: list[tuple[int, int, int]]) -> None:
    past, now = Past(), START
    tally = window.count(past, now)
    for elapsed, amount, ago in steps:
        now += elapsed
        tally = window.advance(tally, past, now)
        # A bucket counts what ended some time ago from when that is known.
        ended = now if isinstance(window, Bucket) else now - ago
        tally = window.add(tally, amount, ended, now)
        past.add(ended, amount)
        assert tally.used == pytest.approx(window.count(past, now).used, abs=1e-6)
        assert window_called(window.key) == window


@given(windows, steps, st.integers(0, 3000))
def test_a_clock_set_back_gives_nothing_back(window: Window, steps: list[tuple[int, int, int]], back: int) -> None:
    past, now = Past(), START
    for elapsed, amount, _ in steps:
        now += elapsed
        past.add(now, amount)
    tally = window.count(past, now)
    assert window.advance(tally, past, now - back).used >= tally.used - 1e-6


@given(windows, steps, st.integers(1, 8))
def test_what_comes_back_is_back_then_and_no_sooner(
    window: Window, steps: list[tuple[int, int, int]], most: int
) -> None:
    past, now = Past(), START
    for elapsed, amount, _ in steps:
        now += elapsed
        past.add(now, amount)
    tally = window.count(past, now)
    amount = min(most, int(tally.used))
    if amount < 1:
        return
    then = window.back(tally, past, now, amount)
    assert then > now
    assert tally.used - window.count(past, then).used >= amount - 1e-6
    assert tally.used - window.count(past, then - 1).used < amount
    assert window.regained(tally, past, now, then) >= amount - 1e-6


def test_a_sliding_window_counts_a_request_for_a_whole_span_from_its_end() -> None:
    past = Past([(START, 1)])
    assert Sliding(DAY).count(past, START + DAY).used == 1
    assert Sliding(DAY).count(past, START + DAY + 1).used == 0


def test_a_calendar_day_begins_late_and_counts_from_early_as_the_clocks_may_differ() -> None:
    window = Calendar("utc", DAY)
    past = Past([(START - 2 * SECOND, 1), (START - SECOND // 2, 10), (START + 5, 100)])
    assert window.count(past, START + SECOND - 1).used == 111
    assert window.count(past, START + SECOND).used == 110
    assert window.lapse(START - 2 * SECOND) == START + SECOND
    assert window.lapse(START - SECOND // 2) == START + DAY + SECOND


def test_a_bucket_is_full_at_first_and_refills_evenly() -> None:
    window, past = Bucket(500, DAY), Past()
    tally = window.add(window.count(past, START), 500, START, START)
    assert window.back(tally, past, START, 1) == START + round(172.8 * SECOND)
    assert window.advance(tally, past, START + DAY // 4).used == 375
    assert window.advance(tally, past, START + 2 * DAY).used == 0
    assert window.add(tally, 10, START, START).used == 500


def test_a_bucket_whose_history_is_cut_was_empty_at_the_cut() -> None:
    assert Bucket(500, DAY).count(Past(kept_from=START - DAY // 2), START).used == 250
    assert Bucket(500, DAY).count(Past(kept_from=START - DAY), START).used == 0


@given(
    st.sampled_from([Sliding(1000), Calendar("utc", 1000), Bucket(5, 1000)]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 900), st.floats(0, 1)), max_size=40),
)
def test_an_endpoint_that_counts_at_any_instant_of_a_request_never_refuses_it(
    window: Window, requests: list[tuple[int, int, float]]
) -> None:
    past, now, limit = Past(), START, 5
    open_ones: list[tuple[int, int]] = []
    arrivals: list[int] = []
    for elapsed, lasts, share in requests:
        now += elapsed
        for _, end in [one for one in open_ones if one[1] <= now]:
            past.add(end, 1)
        open_ones = [one for one in open_ones if one[1] > now]
        if limit - window.count(past, now).used - len(open_ones) >= 1 - 1e-9:
            open_ones.append((now, now + lasts))
            arrivals.append(now + round(share * lasts))
    assert_within(window, limit, sorted(arrivals))


def assert_within(window: Window, limit: int, arrivals: list[int]) -> None:
    level, last = float(limit), START
    for number, now in enumerate(arrivals):
        if isinstance(window, Bucket):
            level = min(limit, level + (now - last) * limit / window.span) - 1
            last = now
            assert level >= -1e-6
        elif isinstance(window, Calendar):
            assert sum(one // 1000 == now // 1000 for one in arrivals[: number + 1]) <= limit
        else:
            assert sum(one > now - 1000 for one in arrivals[: number + 1]) <= limit


# --- Days -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "noon", "hours"),
    [
        ("utc", (2024, 3, 31, 12), 24),
        ("Europe/Berlin", (2024, 3, 30, 12), 24),
        ("Europe/Berlin", (2024, 3, 31, 12), 23),
        ("Europe/Berlin", (2024, 10, 27, 12), 25),
        ("America/Los_Angeles", (2024, 11, 3, 12), 25),
        ("Australia/Lord_Howe", (2024, 4, 7, 12), 24.5),
        ("America/Havana", (2024, 3, 10, 12), 23),  # skips its midnight
        ("America/Sao_Paulo", (2018, 2, 17, 12), 25),  # 23 o'clock comes twice
    ],
)
def test_a_calendar_day_is_as_long_as_its_zone_makes_it(zone: str, noon: tuple[int, ...], hours: float) -> None:
    now = instant("UTC" if zone == "utc" else zone, *noon)
    start, end = calendar_day(now, zone, DAY)
    assert start <= now < end
    assert end - start == hours * 3600 * SECOND
    assert calendar_day(start, zone, DAY) == calendar_day(end - 1, zone, DAY) == (start, end)
    assert calendar_day(end, zone, DAY)[0] == end


@given(st.integers(0, 2**53), st.sampled_from(["Europe/Berlin", "America/Havana", "Asia/Kathmandu", "utc"]))
def test_every_instant_lies_in_one_day(now: int, zone: str) -> None:
    start, end = calendar_day(now, zone, DAY)
    assert start <= now < end
    assert calendar_day(end, zone, DAY)[0] == end


def test_a_shortened_day_is_the_same_in_every_zone() -> None:
    minute = 60 * SECOND
    for zone in ("Asia/Tokyo", "utc"):
        assert calendar_day(125 * SECOND, zone, minute) == (2 * minute, 3 * minute)


def test_the_day_is_shortened_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EARTHSCRIBE_DAY_SECONDS", raising=False)
    assert day_seconds() == 86_400
    monkeypatch.setenv("EARTHSCRIBE_DAY_SECONDS", "2.5")
    assert day_seconds() == 2.5
    for wrong in ("0", "-1", "nan", "inf", "a day"):
        monkeypatch.setenv("EARTHSCRIBE_DAY_SECONDS", wrong)
        with pytest.raises(InputError, match="EARTHSCRIBE_DAY_SECONDS: expected"):
            day_seconds()


def test_limits_that_are_absent_are_none() -> None:
    assert Limits().each(CIVIL_DAY) == ()
    each = Limits(requests_per_day=7, window="Europe/Berlin", tokens_per_minute=9).each(60)
    assert [(limit.measure, limit.most, limit.window) for limit in each] == [
        ("tokens_per_minute", 9, Sliding(60 * SECOND)),
        ("requests_per_day", 7, Calendar("Europe/Berlin", 60 * SECOND)),
    ]
