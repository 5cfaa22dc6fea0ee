"""What an account may still spend: windows of four kinds, and the limits that a request must pass.

Times are seconds since the epoch; amounts are requests or tokens.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

MINUTE = 60.0
CIVIL_DAY = 86_400.0

Unit = Literal["requests", "tokens"]
Per = Literal["minute", "day"]
Amounts = dict[Unit, int]

_SLACK = 1e-9
"""A bucket that lacks less than this of a whole request is held to have it: floats do not add up exactly."""


class Window(Protocol):
    """How spending comes back."""

    def used(self, now: float) -> float:
        """What is spent and has not come back."""

    def take(self, now: float, amount: float) -> None:
        """Spends, whether or not it fits."""

    def wait(self, now: float, room: float) -> float:
        """Seconds until no more than `room` is used."""


class Sliding:
    """What was spent comes back a length of time later: never more than the limit in any such stretch."""

    def __init__(self, length: float) -> None:
        self._length = length
        self._spent: deque[tuple[float, float]] = deque()
        self._total = 0.0

    def used(self, now: float) -> float:
        """What was spent within the last length of time."""
        while self._spent and self._spent[0][0] <= now - self._length:
            self._total -= self._spent.popleft()[1]
        return self._total

    def take(self, now: float, amount: float) -> None:
        """Spends."""
        self._spent.append((now, amount))
        self._total += amount

    def wait(self, now: float, room: float) -> float:
        """Until enough of the oldest spending is as old as the window is long."""
        used = self.used(now)
        if used <= room:
            return 0.0
        if room <= 0:
            return self._spent[-1][0] + self._length - now
        for time, amount in self._spent:
            used -= amount
            if used <= room:
                return time + self._length - now
        return 0.0


class Bucket:
    """What was spent comes back evenly, the whole limit in one length of time."""

    def __init__(self, limit: float, length: float) -> None:
        self._limit = limit
        self._rate = limit / length
        self._used = 0.0
        self._at = -math.inf

    def used(self, now: float) -> float:
        """What has not come back yet, down to fractions."""
        self._used = max(0.0, self._used - (now - self._at) * self._rate)
        self._at = now
        return self._used

    def take(self, now: float, amount: float) -> None:
        """Spends; a bucket is never emptier than empty."""
        self._used = min(self._limit, self.used(now) + amount)

    def wait(self, now: float, room: float) -> float:
        """Until so much has flowed back."""
        return max(0.0, self.used(now) - room) / self._rate


Edges = Callable[[float], tuple[float, float]]
"""The start and the end of the calendar day of a time."""


class Calendar:
    """All that was spent comes back when the next day begins."""

    def __init__(self, edges: Edges) -> None:
        self._edges = edges
        self._start, self._end = 0.0, 0.0
        self._used = 0.0

    def used(self, now: float) -> float:
        """What was spent today."""
        if not self._start <= now < self._end:
            start, self._end = self._edges(now)
            if start != self._start:
                self._start, self._used = start, 0.0
        return self._used

    def take(self, now: float, amount: float) -> None:
        """Spends."""
        self._used = self.used(now) + amount

    def wait(self, now: float, room: float) -> float:
        """Until the day ends, where today's spending leaves too little."""
        return 0.0 if self.used(now) <= room else self._end - now


def calendar_edges(zone: str, day_seconds: float) -> Edges:
    """The days of a zone, or days of another length, which are the same in every zone.

    Args:
        zone: ``utc`` or an IANA zone.
        day_seconds: the length of a day, where 86,400 stands for the zone's own days.

    Raises:
        ZoneInfoNotFoundError: no such zone.
        ValueError: not the name of a zone.
    """
    if day_seconds != CIVIL_DAY:

        def even(now: float) -> tuple[float, float]:
            number = math.floor(now / day_seconds)
            return number * day_seconds, (number + 1) * day_seconds

        return even
    place = ZoneInfo("UTC" if zone == "utc" else zone)

    def civil(now: float) -> tuple[float, float]:
        date = datetime.fromtimestamp(now, place).date()
        start, end = (
            datetime(day.year, day.month, day.day, tzinfo=place).timestamp() for day in (date, date + timedelta(days=1))
        )
        return start, end

    return civil


@dataclass(frozen=True)
class Quota:
    """What every account may spend; None is no limit.

    Attributes:
        requests_per_day: of the window's kind.
        window: ``sliding``, ``bucket``, ``utc`` or an IANA zone.
        requests_per_minute: in any 60 seconds.
        tokens_per_minute: in any 60 seconds.
        tokens_per_day: of the window's kind.
        day_seconds: how long a day is.
        refused_count: whether refused requests count against the day too; against the minute they always do.
    """

    requests_per_day: int | None = None
    window: str = "sliding"
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    day_seconds: float = CIVIL_DAY
    refused_count: bool = False


@dataclass(frozen=True)
class Limit:
    """One limit of an account.

    Attributes:
        unit: what it counts.
        per: over how long.
        most: how much may be spent.
        window: how it comes back.
    """

    unit: Unit
    per: Per
    most: int
    window: Window

    @property
    def name(self) -> str:
        """Its abbreviation: RPM, RPD, TPM, TPD."""
        return f"{self.unit[0]}P{self.per[0]}".upper()

    def left(self, now: float) -> int:
        """What can still be spent, in whole requests or tokens."""
        return max(0, math.floor(self.most - self.window.used(now) + _SLACK))

    def wait(self, now: float, amount: int) -> float:
        """Seconds until an amount fits; until everything is back, where it never does."""
        return self.window.wait(now, max(0, self.most - amount))

    def reset(self, now: float) -> float:
        """Seconds until everything spent is back."""
        return self.window.wait(now, 0)


@dataclass(frozen=True)
class Refusal:
    """A limit that a request does not fit.

    Attributes:
        limit: the limit; of several the one that takes longest.
        used: what is spent of it.
        requested: what the request would spend.
        wait: seconds until it fits.
    """

    limit: Limit
    used: int
    requested: int
    wait: float


class Account:
    """The limits that hold together: every key of a project spends from one account."""

    def __init__(self, quota: Quota) -> None:
        self._quota = quota
        self.limits = tuple(_limits(quota))

    def spend(self, now: float, tokens: int) -> Refusal | None:
        """Takes one request and its tokens from every limit, or says which limit has too little left."""
        amounts: Amounts = {"requests": 1, "tokens": tokens}
        refusals = [_refusal(limit, now, amounts[limit.unit]) for limit in self.limits]
        refused = max(filter(None, refusals), key=lambda refusal: refusal.wait, default=None)
        if refused:
            self.refuse(now)
        else:
            for limit in self.limits:
                limit.window.take(now, amounts[limit.unit])
        return refused

    def refuse(self, now: float) -> None:
        """Takes a refused request from the limits against which such count."""
        for limit in self.limits:
            if limit.unit == "requests" and (limit.per == "minute" or self._quota.refused_count):
                limit.window.take(now, 1)

    def spend_elsewhere(self, now: float, requests: int, tokens: int) -> None:
        """Takes what somebody else spends, as far as there is so much."""
        amounts: Amounts = {"requests": requests, "tokens": tokens}
        for limit in self.limits:
            if amount := min(amounts[limit.unit], limit.left(now)):
                limit.window.take(now, amount)


def _refusal(limit: Limit, now: float, amount: int) -> Refusal | None:
    if amount <= limit.left(now):
        return None
    used = math.ceil(limit.window.used(now) - _SLACK)
    return Refusal(limit, used, amount, limit.wait(now, amount))


def _limits(quota: Quota) -> Iterator[Limit]:
    if quota.requests_per_minute is not None:
        yield Limit("requests", "minute", quota.requests_per_minute, Sliding(MINUTE))
    if quota.tokens_per_minute is not None:
        yield Limit("tokens", "minute", quota.tokens_per_minute, Sliding(MINUTE))
    if quota.requests_per_day is not None:
        yield Limit("requests", "day", quota.requests_per_day, _day_window(quota, quota.requests_per_day))
    if quota.tokens_per_day is not None:
        yield Limit("tokens", "day", quota.tokens_per_day, _day_window(quota, quota.tokens_per_day))


def _day_window(quota: Quota, most: int) -> Window:
    if quota.window == "sliding":
        return Sliding(quota.day_seconds)
    if quota.window == "bucket":
        return Bucket(most, quota.day_seconds)
    return Calendar(calendar_edges(quota.window, quota.day_seconds))
