"""Windows: how what was spent comes back. Pure arithmetic, apart from where the spending is kept.

Instants are whole microseconds since the epoch, amounts are requests or tokens. What is in flight counts in full
whatever the window, and is counted by whoever keeps it; a window says what has ended and still counts. An endpoint
counts a request at some instant between its grant and its end, so that this is never less than what it counts.

- sliding: counts for a whole span from its end
- calendar: counts until the day is over in which it ended
- bucket: flows back evenly, the whole limit in a span
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol

from tasks.quota.days import CIVIL_DAY, MINUTE, SECOND, calendar_day

Unit = Literal["requests", "tokens"]
Measure = Literal["requests_per_minute", "tokens_per_minute", "requests_per_day", "tokens_per_day"]

UNITS: dict[Measure, Unit] = {
    "requests_per_minute": "requests",
    "tokens_per_minute": "tokens",
    "requests_per_day": "requests",
    "tokens_per_day": "tokens",
}

_CLOCKS_APART = 1 / CIVIL_DAY
"""Part of a day, a second of a civil one, by which an endpoint's clock may differ from ours at a calendar day's edge.

Within it either day may be the endpoint's, so what ends there counts in both, and the new day's slots come after it.
"""


class History(Protocol):
    """What an account has spent in one unit, for as long as it is remembered."""

    @property
    def kept_from(self) -> int | None:
        """What ended before this instant is forgotten; None if nothing is."""

    def ended(self, start: int, stop: int | None = None) -> int:
        """How much ended at `start` or later, and before `stop`."""

    def ends(self, start: int) -> Iterator[tuple[int, int]]:
        """When what ended at `start` or later did so, in order, and how much it was."""


@dataclass(frozen=True)
class Tally:
    """What has ended and still counts, carried along so that the history is not counted anew.

    Attributes:
        used: how much it is.
        since: in a bucket the instant for which this holds; elsewhere, what ended at this instant or later counts.
    """

    used: float
    since: int


class Window(Protocol):
    """How what was spent comes back."""

    @property
    def key(self) -> str:
        """What it is called where its tally is kept; `window_called` makes it again."""

    def count(self, history: History, now: int) -> Tally:
        """The tally, from the history alone."""

    def advance(self, tally: Tally, history: History, now: int) -> Tally:
        """The tally of a later instant. Where the clock was set back, it is counted anew."""

    def add(self, tally: Tally, amount: float, ended: int, now: int) -> Tally:
        """The tally with more in it, which ended at an instant of the past."""

    def still_counts(self, tally: Tally, ended: int) -> bool:
        """Whether what was added with this end needs not be added again when its end turns out to be later."""

    def covers(self, instant: int, now: int) -> bool:
        """Whether what an endpoint said of a request granted then tells of what counts now."""

    def back(self, tally: Tally, history: History, now: int, amount: float) -> int:
        """When so much of what counts will have come back, at the earliest if what is in flight must end first."""

    def regained(self, tally: Tally, history: History, now: int, then: int) -> float:
        """How much comes back by a later instant."""


class _Lapsing(ABC):
    """Windows in which spending counts whole until it lapses."""

    @abstractmethod
    def start(self, now: int) -> int:
        """What ended at this instant or later counts."""

    @abstractmethod
    def lapse(self, ended: int) -> int:
        """The first instant at which what ended then no longer counts."""

    def count(self, history: History, now: int) -> Tally:
        """What the history has since `start`."""
        start = self.start(now)
        return Tally(history.ended(start), start)

    def advance(self, tally: Tally, history: History, now: int) -> Tally:
        """Takes off what has lapsed meanwhile; counts anew if the clock was set back."""
        start = self.start(now)
        if start < tally.since:
            return self.count(history, now)
        if start == tally.since:
            return tally
        return Tally(tally.used - history.ended(tally.since, start), start)

    def add(self, tally: Tally, amount: float, ended: int, now: int) -> Tally:
        """Adds what has not lapsed."""
        return Tally(tally.used + amount, tally.since) if ended >= tally.since else tally

    def still_counts(self, tally: Tally, ended: int) -> bool:
        """Whether it has not lapsed."""
        return ended >= tally.since

    def covers(self, instant: int, now: int) -> bool:
        """Whether the instant lies in what counts."""
        return instant >= self.start(now)

    def back(self, tally: Tally, history: History, now: int, amount: float) -> int:
        """When enough of what ended first has lapsed."""
        for ended, ending in history.ends(tally.since):
            amount -= ending
            if amount <= 0:
                return max(now, self.lapse(ended))
        return self.lapse(now)

    def regained(self, tally: Tally, history: History, now: int, then: int) -> float:
        """What will have lapsed."""
        start = self.start(then)
        return history.ended(tally.since, start) if start > tally.since else 0


@dataclass(frozen=True)
class Sliding(_Lapsing):
    """At most the limit in any span.

    Attributes:
        span: microseconds.
    """

    span: int

    @property
    def key(self) -> str:
        """Its name and span."""
        return f"sliding {self.span}"

    def start(self, now: int) -> int:
        """A span ago."""
        return now - self.span

    def lapse(self, ended: int) -> int:
        """Just more than a span later."""
        return ended + self.span + 1


@dataclass(frozen=True)
class Calendar(_Lapsing):
    """At most the limit in a calendar day.

    Attributes:
        zone: ``utc`` or an IANA zone.
        span: microseconds of a day; other than a civil day's they are the same days in every zone.
    """

    zone: str
    span: int

    @property
    def key(self) -> str:
        """Its zone and span."""
        return f"{self.zone} {self.span}"

    @property
    def _apart(self) -> int:
        return math.ceil(self.span * _CLOCKS_APART)

    def start(self, now: int) -> int:
        """When the day began, or might have by the endpoint's clock."""
        return self._day(now - self._apart)[0] - self._apart

    def lapse(self, ended: int) -> int:
        """When the day is over, by the endpoint's clock too."""
        return self._day(ended + self._apart)[1] + self._apart

    def _day(self, instant: int) -> tuple[int, int]:
        return calendar_day(instant, self.zone, self.span)


@dataclass(frozen=True)
class Bucket:
    """A bucket that holds the limit and refills evenly; used is what it lacks.

    What is in flight is taken out when it ends: until then the endpoint's bucket may be full, and gain nothing.

    Attributes:
        limit: what it holds.
        span: microseconds in which it refills from empty.
    """

    limit: int
    span: int

    @property
    def key(self) -> str:
        """Its name, limit and span."""
        return f"bucket {self.limit} {self.span}"

    def count(self, history: History, now: int) -> Tally:
        """Fills and drains it as the history has it."""
        kept_from = history.kept_from
        # Before what is remembered the bucket may have been empty.
        tally = Tally(0, 0) if kept_from is None else Tally(self.limit, min(kept_from, now))
        for ended, amount in history.ends(tally.since):
            tally = self.add(tally, amount, ended, min(ended, now))
        return self._drained(tally, now)

    def advance(self, tally: Tally, history: History, now: int) -> Tally:
        """Lets it refill; counts anew if the clock was set back."""
        return self.count(history, now) if now < tally.since else self._drained(tally, now)

    def add(self, tally: Tally, amount: float, ended: int, now: int) -> Tally:
        """Takes out more, as of now: an earlier end would only have given it more time to refill."""
        drained = self._drained(tally, now)
        return Tally(min(drained.used + amount, self.limit), drained.since)

    def still_counts(self, tally: Tally, ended: int) -> bool:
        """Never: some of it has flowed back."""
        return False

    def covers(self, instant: int, now: int) -> bool:
        """Always: a bucket has no edge."""
        return True

    def back(self, tally: Tally, history: History, now: int, amount: float) -> int:
        """When so much has flowed back."""
        drained = self._drained(tally, now)
        return drained.since + math.ceil(amount * self.span / self.limit)

    def regained(self, tally: Tally, history: History, now: int, then: int) -> float:
        """What flows back, until it is full."""
        return min(tally.used, (then - now) * self.limit / self.span)

    def _drained(self, tally: Tally, now: int) -> Tally:
        elapsed = max(0, now - tally.since)
        return Tally(max(0.0, tally.used - elapsed * self.limit / self.span), tally.since + elapsed)


@lru_cache
def window_called(key: str) -> Window:
    """The window whose key this is."""
    name, *numbers = key.split(" ")
    if name == "bucket":
        return Bucket(int(numbers[0]), int(numbers[1]))
    return Sliding(int(numbers[0])) if name == "sliding" else Calendar(name, int(numbers[0]))


@dataclass(frozen=True)
class Limit:
    """One limit of an account.

    Attributes:
        measure: what is limited.
        most: how much of it.
        window: how it comes back.
    """

    measure: Measure
    most: int
    window: Window

    @property
    def unit(self) -> Unit:
        """What is counted."""
        return UNITS[self.measure]

    @property
    def is_daily(self) -> bool:
        """Whether it is a day's, and not a minute's."""
        return self.measure.endswith("day")


@dataclass(frozen=True)
class Limits:
    """The limits of an account, as a configuration has them; None is no limit.

    Attributes:
        requests_per_day: most requests in a day.
        window: what a day is: ``sliding``, ``bucket``, ``utc`` or an IANA zone.
        requests_per_minute: most requests in any 60 seconds.
        tokens_per_minute: most tokens in any 60 seconds.
        tokens_per_day: most tokens in a day.
    """

    requests_per_day: int | None = None
    window: str = "sliding"
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None

    @lru_cache  # noqa: B019 - a handful of small values, the same for the life of a process
    def each(self, day: float) -> tuple[Limit, ...]:
        """The limits that are set, those of a day last.

        Args:
            day: seconds of a day, see `tasks.quota.days.day_seconds`.
        """
        limits = []
        for measure in UNITS:
            most: int | None = getattr(self, measure)
            if most is not None:
                is_daily = measure.endswith("day")
                window = self._day_window(most, round(day * SECOND)) if is_daily else Sliding(round(MINUTE * SECOND))
                limits.append(Limit(measure, most, window))
        return tuple(limits)

    def _day_window(self, most: int, span: int) -> Window:
        if self.window == "sliding":
            return Sliding(span)
        return Bucket(most, span) if self.window == "bucket" else Calendar(self.window, span)
