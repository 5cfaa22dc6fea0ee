"""How long a day is, and where calendar days begin. Pure, but for the variable that shortens the day."""

from __future__ import annotations

import math
import os
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from tasks.errors import InputError

SECOND = 1_000_000
"""Microseconds, of which all arithmetic of windows is made: no sum of them is rounded."""

CIVIL_DAY = 86_400.0
"""Seconds of a day as clocks have it."""

MINUTE = 60.0

VARIABLE = "EARTHSCRIBE_DAY_SECONDS"
"""The environment's variable that shortens the day, for rehearsals and tests."""


def day_seconds() -> float:
    """Seconds of a day: 86,400, or what ``EARTHSCRIBE_DAY_SECONDS`` says.

    Raises:
        InputError: the variable holds no positive number.
    """
    given = os.environ.get(VARIABLE)
    if not given:
        return CIVIL_DAY
    try:
        seconds = float(given)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds > 0):
        raise InputError(f"{VARIABLE}: expected the seconds of a day, such as 60, and not {given!r}")
    return seconds


def calendar_day(now: int, zone: str, day: int) -> tuple[int, int]:
    """The calendar day that an instant lies in.

    A day is as long as its zone makes it: 23 or 25 hours where daylight saving begins or ends. A day of another length
    than the civil one begins at the same instant in every zone.

    Args:
        now: microseconds since the epoch.
        zone: ``utc`` or the name of an IANA zone.
        day: microseconds of a day, see `day_seconds`.

    Returns:
        Its first instant, and that of the next day.
    """
    if zone == "utc" or day != CIVIL_DAY * SECOND:
        start = now // day * day
        return start, start + day
    place = _place(zone)
    today = datetime.fromtimestamp(now // SECOND, place).date()
    return _midnight(today, place), _midnight(today + timedelta(days=1), place)


@lru_cache(maxsize=64)
def _midnight(day: date, place: ZoneInfo) -> int:
    # A midnight that a clock skips is, to `datetime`, the instant of the skip: there the day begins.
    return round(datetime.combine(day, time(), place).timestamp()) * SECOND


@lru_cache
def _place(zone: str) -> ZoneInfo:
    return ZoneInfo(zone)
