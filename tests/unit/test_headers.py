"""Durations, waits, and what is surely left of a limit."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.endpoints.headers import DAY, MINUTE, Remaining, duration, remaining, told_wait

NOW = 1_700_000_000.0
DATE = "Tue, 14 Nov 2023 22:13:20 GMT"  # NOW


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12ms", 0.012),
        ("1s", 1.0),
        ("8.64s", 8.64),
        ("1m26.4s", 86.4),
        ("7m12s", 432.0),
        ("11m32.334s", 692.334),
        ("11h2m0s", 39720.0),
        ("500µs", 0.0005),
        ("500us", 0.0005),
        ("0s", 0.0),
        ("0", 0.0),
        ("60", 60.0),
        (" 1.5 ", 1.5),
    ],
)
def test_go_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "-1", "-1s", "s", "1x", "1s!", "1m 2", "inf", "nan", "1e9", "soon", "9" * 400, "٣s"]
)
def test_what_is_no_duration_tells_nothing(text: str) -> None:
    assert duration(text) is None


@given(st.text())
def test_any_text_is_a_finite_duration_or_none(text: str) -> None:
    seconds = duration(text)
    assert seconds is None or (math.isfinite(seconds) and seconds >= 0)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "640"}, 0.64),
        ({"retry-after": "1", "retry-after-ms": "640"}, 0.64),
        ({"retry-after": "30", "retry-after-ms": "640"}, 30.0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "later"}, None),
        ({"retry-after": "Tue, 14 Nov 2023 22:14:20 GMT"}, 60.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:12:20 GMT"}, 0.0),
        # The endpoint's clock goes wrong by an hour: its own date is what counts.
        ({"retry-after": "Tue, 14 Nov 2023 23:14:20 GMT", "date": "Tue, 14 Nov 2023 23:13:20 GMT"}, 60.0),
        ({"retry-after": "Tue, 99 Nov 2023 22:14:20 GMT"}, None),
    ],
)
def test_told_waits(headers: dict[str, str], wait: float | None) -> None:
    assert told_wait(headers, NOW) == wait


def limits(limit: object, left: object, reset: object, kind: str = "requests") -> dict[str, str]:
    values = {"limit": limit, "remaining": left, "reset": reset}
    return {f"x-ratelimit-{name}-{kind}": str(value) for name, value in values.items()}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (limits(10000, 9999, "8.64s"), Remaining("requests", "day", 10000, 9999, 8.64)),
        (limits(500, 499, "120ms"), Remaining("requests", "minute", 500, 499, 0.12)),
        (limits(500, 0, "24h0m0s"), Remaining("requests", "day", 500, 0, 86400.0)),
        (limits(500, 450, "8640s"), Remaining("requests", "day", 500, 450, 8640.0)),
        (limits(200000, 199000, "300ms", "tokens"), Remaining("tokens", "minute", 200000, 199000, 0.3)),
    ],
)
def test_the_unit_is_read_from_how_fast_a_limit_refills(headers: dict[str, str], expected: Remaining) -> None:
    assert remaining(headers) == (expected,)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        limits(10000, 10000, "8.64s"),
        limits(10000, 10001, "8.64s"),
        limits(10000, -1, "8.64s"),
        limits(-1, -1, "-1"),
        limits(0, 0, "0s"),
        limits(10000, 0, "1s"),
        limits(10000, 9999, "0s"),
        limits(10000, 4000, "8h0m0s"),
        limits(10000, 9999, "never"),
        limits("1e4", 9999, "8.64s"),
        {"x-ratelimit-limit-requests": "10000", "x-ratelimit-remaining-requests": "9999"},
    ],
)
def test_where_the_unit_is_uncertain_nothing_is_told(headers: dict[str, str]) -> None:
    assert remaining(headers) == ()


@given(
    limit=st.integers(2, 100_000),
    share=st.floats(0, 0.999),
    period=st.sampled_from([MINUTE, DAY]),
    day=st.sampled_from([DAY]),
)
def test_what_a_bucket_shows_is_read_right_or_not_at_all(limit: int, share: float, period: float, day: float) -> None:
    level = limit * share
    shown = limits(limit, int(level), f"{(limit - level) * period / limit:.6f}s")
    unit = "day" if period == DAY else "minute"
    told = remaining(shown, day=day)
    first = limit - int(level) == 1  # only of the first request can a day look like a minute
    assert all(one.unit == unit or first for one in told)
    assert told or (limit - level) * period / limit == 0
