"""What an endpoint's headers tell of its limits and of how long to wait. Pure; what cannot be read tells nothing."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Literal

MINUTE = 60.0
DAY = 86_400.0

Kind = Literal["requests", "tokens"]
Unit = Literal["day", "minute"]

_NUMBER = re.compile(r"\d{1,15}(?:\.\d{0,15})?|\.\d{1,15}", re.ASCII)
_PART = re.compile(r"(\d{1,15}(?:\.\d{0,15})?|\.\d{1,15})(h|ms|m|s|us|µs|μs|ns)", re.ASCII)
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}

_ROUNDING = 0.01
"""How far a reset may be from what a refilling window would show: a hundredth, and a millisecond. They are rounded."""


@dataclass(frozen=True)
class Remaining:
    """What is left of one limit, where the headers leave no doubt which limit it is.

    Attributes:
        kind: what is limited.
        unit: per day or per minute.
        limit: the limit itself. It says which of an account's limits is meant: one of another size is another limit.
        remaining: what is left, in whole requests or tokens.
        reset: seconds until all of it is back.
    """

    kind: Kind
    unit: Unit
    limit: int
    remaining: int
    reset: float


def duration(text: str) -> float | None:
    """Seconds of a duration as Go writes it (`12ms`, `8.64s`, `1m26.4s`, `11h2m0s`), or of a bare number of seconds.

    Returns:
        None for anything else; never a negative or infinite number.
    """
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return float(text)
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    # Rounded below what is printed, so that 1m26.4s is 86.4 and no neighbour of it.
    return round(sum(float(number) * _SECONDS[unit] for number, unit in parts), 9)


def told_wait(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that the endpoint asks to be left alone, from `retry-after-ms` and `retry-after`.

    `retry-after` counts whole seconds, or names a date, and `retry-after-ms` says the same more exactly. Where the two
    are more than that rounding apart, the longer one holds.

    Args:
        headers: names in lower case, or a mapping to which case is nothing.
        now: seconds since the epoch, for a date where the answer itself is not dated.

    Returns:
        None where nothing is told.
    """
    exact = _number(headers.get("retry-after-ms"))
    rounded = _retry_after(headers, now)
    if exact is None:
        return rounded
    exact /= 1000
    return exact if rounded is None or rounded - 1 <= exact else rounded


def told_reset(headers: Mapping[str, str], kind: Kind) -> float | None:
    """Seconds until a limit is whole again, as the headers say; None where they do not say, or have -1."""
    return duration(headers.get(f"x-ratelimit-reset-{kind}", ""))


def remaining(headers: Mapping[str, str], *, day: float = DAY) -> tuple[Remaining, ...]:
    """What is left of the limits whose unit is certain.

    The headers name no unit. An endpoint that refills evenly gives its unit away: `limit - remaining` is gained back in
    `reset`, so that the two make a whole limit in a day or in a minute. Where they make neither, and where nothing is
    used, nothing can be told. The last request of a few seconds ago can look like both (one of 500 used and back in
    120 ms): then it is the minute, in which a mistake is soon over.

    Args:
        headers: as in `told_wait`.
        day: seconds of a day.
    """
    kinds: tuple[Kind, ...] = ("requests", "tokens")
    found = (_remaining(headers, kind, day) for kind in kinds)
    return tuple(one for one in found if one is not None)


def _remaining(headers: Mapping[str, str], kind: Kind, day: float) -> Remaining | None:
    limit = _whole(headers.get(f"x-ratelimit-limit-{kind}"))
    left = _whole(headers.get(f"x-ratelimit-remaining-{kind}"))
    reset = told_reset(headers, kind)
    if not limit or left is None or not reset or left >= limit:
        return None
    used = limit - left
    units: tuple[tuple[Unit, float], ...] = (("minute", MINUTE), ("day", day))
    for unit, period in units:
        slot = period / limit
        tolerance = _ROUNDING * reset + 1e-3
        # What is left is rounded down, so up to one slot of what is used may be back already.
        if (used - 1) * slot - tolerance < reset <= used * slot + tolerance:
            return Remaining(kind, unit, limit, left, reset)
    return None


def _retry_after(headers: Mapping[str, str], now: float) -> float | None:
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None or text is None:
        return seconds
    until = _date(text)
    if until is None:
        return None
    sent = _date(headers.get("date", ""))
    return max(0.0, until - (now if sent is None else sent))


def _date(text: str) -> float | None:
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None


def _number(text: str | None) -> float | None:
    text = (text or "").strip()
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    return number if math.isfinite(number) else None


def _whole(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if re.fullmatch(r"\d{1,15}", text, re.ASCII) else None
