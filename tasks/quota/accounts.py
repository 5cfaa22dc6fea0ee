"""One account inside a transaction: what it has spent, what others seem to have spent, what it may still be granted."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import merge
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, bindparam, func, select

from tasks.quota.schema import elsewhere, requests
from tasks.quota.windows import UNITS, History, Limit, Measure, Tally, Unit, window_called

_SLACK = 1e-6
"""A bucket that lacks less than this of a whole request has it: floats do not add up exactly."""

_SOON = 50_000
"""Microseconds after which to ask again where only what is in flight stands in the way of a slot."""


@dataclass
class Gauge:
    """What is carried along for one measure of an account.

    Attributes:
        tallies: what has ended and counts, by the key of the window.
        taken: what others are certain to have spent, ever.
        beyond: what `taken` would be if nothing had overtaken anything on its way to the endpoint; at most a slot for
            every request in flight too much. With the instant at which it was told; None if nothing was since there was
            last nothing in flight.
    """

    tallies: dict[str, Tally] = field(default_factory=dict)
    taken: int = 0
    beyond: tuple[int, int] | None = None

    @classmethod
    def read(cls, kept: dict[str, Any]) -> Gauge:
        """A gauge as it was kept."""
        tallies = {key: Tally(used, since) for key, (used, since) in kept["tallies"].items()}
        return cls(tallies, kept["taken"], kept["beyond"] and tuple(kept["beyond"]))

    def kept(self) -> dict[str, Any]:
        """How it is kept, for JSON."""
        tallies = {key: (tally.used, tally.since) for key, tally in self.tallies.items()}
        return {"tallies": tallies, "taken": self.taken, "beyond": self.beyond}


@dataclass(frozen=True)
class Mark:
    """Where an account stood when a request was granted, to hold against what the endpoint says of it.

    Attributes:
        limit: the limit.
        expected: what was left, and `Gauge.taken` on top.
        granted: what was ever granted, with this request and those granted in one go with it.
    """

    limit: Limit
    expected: int
    granted: int


@dataclass
class Account:
    """One account, locked, at one instant.

    Attributes:
        connection: the transaction.
        name: the account's.
        now: the instant.
        kept_from: what ended before is forgotten.
        parked_until: nothing is granted before.
        in_flight: what was granted and has not ended.
        granted: what was ever granted.
        gauges: what is carried along.
    """

    connection: Connection
    name: str
    now: int
    kept_from: int | None = None
    parked_until: int = 0
    in_flight: dict[Unit, int] = field(default_factory=lambda: {"requests": 0, "tokens": 0})
    granted: dict[Unit, int] = field(default_factory=lambda: {"requests": 0, "tokens": 0})
    gauges: dict[Measure, Gauge] = field(default_factory=dict)

    @classmethod
    def read(cls, connection: Connection, row: Row[Any], now: int) -> Account:
        """An account as it was kept."""
        return cls(
            connection,
            row.account,
            now,
            row.kept_from,
            row.parked_until,
            {"requests": row.in_flight, "tokens": row.in_flight_tokens},
            {"requests": row.granted, "tokens": row.granted_tokens},
            {measure: Gauge.read(kept) for measure, kept in row.gauges.items()},
        )

    def kept(self) -> dict[str, Any]:
        """Its row."""
        return {
            "account": self.name,
            "kept_from": self.kept_from,
            "parked_until": self.parked_until,
            "in_flight": self.in_flight["requests"],
            "in_flight_tokens": self.in_flight["tokens"],
            "granted": self.granted["requests"],
            "granted_tokens": self.granted["tokens"],
            "gauges": {measure: gauge.kept() for measure, gauge in self.gauges.items()},
        }

    def history(self, measure: Measure) -> History:
        """What it has spent in one measure."""
        return _Spent(self.connection, self.name, measure, self.kept_from)

    def catch_up(self, limit: Limit) -> None:
        """Brings the tally of a limit to the present; nothing may have ended in this transaction yet."""
        tallies = self.gauges.setdefault(limit.measure, Gauge()).tallies
        tally, history = tallies.get(limit.window.key), self.history(limit.measure)
        tallies[limit.window.key] = (
            limit.window.count(history, self.now) if tally is None else limit.window.advance(tally, history, self.now)
        )

    def tally(self, limit: Limit) -> Tally:
        """What has ended and counts against a limit that has been caught up with."""
        return self.gauges[limit.measure].tallies[limit.window.key]

    def left(self, limit: Limit) -> int:
        """What is left of a limit."""
        return math.floor(limit.most - self.tally(limit).used - self.in_flight[limit.unit] + _SLACK)

    def free(self, limit: Limit) -> int:
        """What may be granted now: what is left, less what others may have spent beyond what is certain."""
        gauge, left = self.gauges[limit.measure], self.left(limit)
        if gauge.beyond is None:
            return left
        surplus, told = gauge.beyond
        return left - max(0, surplus - gauge.taken) if limit.window.covers(told, self.now) else left

    def back(self, limit: Limit, amount: int) -> int:
        """When so much may be granted; the present if it may now."""
        if self.free(limit) >= amount:
            return self.now
        if self.left(limit) >= amount:
            return self.now + _SOON
        lacking = amount - (limit.most - self.tally(limit).used - self.in_flight[limit.unit])
        return limit.window.back(self.tally(limit), self.history(limit.measure), self.now, lacking)

    def regained(self, limit: Limit, then: int) -> float:
        """What of a limit comes back until a later instant."""
        return limit.window.regained(self.tally(limit), self.history(limit.measure), self.now, then)

    def grant(self, tokens: int) -> None:
        """One more request is in flight."""
        self._fly(1, tokens)
        self.granted["requests"] += 1
        self.granted["tokens"] += tokens

    def end(self, reserved: int, tokens: int, ended: int) -> None:
        """A request has ended: what it used counts from its end on."""
        self._fly(-1, -reserved)
        for measure, gauge in self.gauges.items():
            self._add(gauge, 1 if UNITS[measure] == "requests" else tokens, ended)

    def end_later(self, reserved: int, tokens: int, before: int, ended: int) -> None:
        """A request that was taken to have ended has done so only now."""
        for measure, gauge in self.gauges.items():
            amounts = (1, 1) if UNITS[measure] == "requests" else (reserved, tokens)
            for key, tally in gauge.tallies.items():
                window = window_called(key)
                more = amounts[1] - (amounts[0] if window.still_counts(tally, before) else 0)
                gauge.tallies[key] = window.add(tally, more, ended, self.now)

    def withdraw(self, tokens: int) -> None:
        """A request was granted and never sent."""
        self._fly(-1, -tokens)

    def told(self, mark: Mark, granted: int, remaining: int) -> int:
        """Takes note of what an endpoint says is left, in its answer to a request.

        Own requests that were granted later may or may not have been counted by then. What is missing although all of
        them are taken to have been counted, others have spent for certain. What is missing if none had been counted is
        held back until nothing is in flight any more, when the two are the same.

        Args:
            mark: where the account stood when the request was granted.
            granted: when that was.
            remaining: what the endpoint says.

        Returns:
            How much more others are now certain to have spent; it is still to be added to the history.
        """
        limit = mark.limit
        if not limit.window.covers(granted, self.now):
            return 0
        gauge = self.gauges.setdefault(limit.measure, Gauge())
        surplus = mark.expected - remaining
        certain = max(0, surplus - gauge.taken - (self.granted[limit.unit] - mark.granted))
        gauge.taken += certain
        holds = gauge.beyond is not None and limit.window.covers(gauge.beyond[1], self.now)
        gauge.beyond = max(gauge.beyond, (surplus, granted)) if gauge.beyond and holds else (surplus, granted)
        if certain:
            self._add(gauge, certain, self.now)
        return certain

    def forget(self, edge: int) -> None:
        """What ended before this instant is no longer in the history: what was carried along from before goes too."""
        self.kept_from = edge
        for gauge in self.gauges.values():
            gauge.tallies = {key: tally for key, tally in gauge.tallies.items() if tally.since >= edge}

    def _add(self, gauge: Gauge, amount: int, ended: int) -> None:
        for key, tally in gauge.tallies.items():
            gauge.tallies[key] = window_called(key).add(tally, amount, ended, self.now)

    def _fly(self, number: int, tokens: int) -> None:
        self.in_flight["requests"] += number
        self.in_flight["tokens"] += tokens
        if self.in_flight["requests"] == 0:
            for gauge in self.gauges.values():
                gauge.beyond = None


def _ended_between(unit: Unit) -> Select[Any]:
    own = func.count() if unit == "requests" else func.coalesce(func.sum(requests.c.tokens), 0)
    ours = select(own).where(
        requests.c.account == bindparam("account"),
        requests.c.ended >= bindparam("start"),
        requests.c.ended < bindparam("stop"),
    )
    theirs = select(func.coalesce(func.sum(elsewhere.c.amount), 0)).where(
        elsewhere.c.account == bindparam("account"),
        elsewhere.c.measure == bindparam("measure"),
        elsewhere.c.ended >= bindparam("start"),
        elsewhere.c.ended < bindparam("stop"),
    )
    return select(ours.scalar_subquery() + theirs.scalar_subquery())


_ENDED: dict[Unit, Select[Any]] = {"requests": _ended_between("requests"), "tokens": _ended_between("tokens")}
_FOREVER = 2**62


@dataclass(frozen=True)
class _Spent:
    """What an account's rows say: its own requests, and what others spent."""

    connection: Connection
    account: str
    measure: Measure
    kept_from: int | None

    def ended(self, start: int, stop: int | None = None) -> int:
        bounds = {"start": start, "stop": _FOREVER if stop is None else stop}
        values = {"account": self.account, "measure": self.measure, **bounds}
        return int(self.connection.execute(_ENDED[UNITS[self.measure]], values).scalar_one())

    def ends(self, start: int) -> Iterator[tuple[int, int]]:
        own = select(requests.c.ended, requests.c.tokens).where(
            and_(requests.c.account == self.account, requests.c.ended >= start)
        )
        others = select(elsewhere.c.ended, elsewhere.c.amount).where(
            and_(elsewhere.c.account == self.account, elsewhere.c.measure == self.measure, elsewhere.c.ended >= start)
        )
        counts_one = UNITS[self.measure] == "requests"
        rows = self.connection.execute(own.order_by(requests.c.ended))
        ours = ((int(ended), 1 if counts_one else int(tokens)) for ended, tokens in rows)
        theirs = (
            (int(ended), int(amount)) for ended, amount in self.connection.execute(others.order_by(elsewhere.c.ended))
        )
        return merge(ours, theirs)
