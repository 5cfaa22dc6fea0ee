"""A whole simulated campaign, and what it must have kept to."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tasks.captions.state import open_state
from tasks.quota.ledger import open_ledger
from tasks.quota.sums import Sums
from tests.benchmarks.simulated.audit import DAY, least_days, most_spent
from tests.benchmarks.simulated.clock import SharedClock
from tests.benchmarks.simulated.director import Director
from tests.benchmarks.simulated.tiers import Tier
from tests.benchmarks.simulated.worker import Place

WORKERS = 4
KILLS = 20

_TRACE = """
CREATE TABLE trace (id TEXT, account TEXT, event TEXT, at INTEGER);
CREATE TRIGGER traced_grant AFTER INSERT ON requests BEGIN
  INSERT INTO trace VALUES (NEW.id, NEW.account, 'granted', NEW.granted);
  INSERT INTO trace VALUES (NEW.id, NEW.account, 'due', NEW.deadline); END;
CREATE TRIGGER traced_end AFTER UPDATE OF ended ON requests WHEN NEW.ended IS NOT NULL BEGIN
  INSERT INTO trace VALUES (NEW.id, NEW.account, 'ended', NEW.ended); END;
CREATE TRIGGER traced_withdrawal AFTER DELETE ON requests WHEN OLD.ended IS NULL BEGIN
  INSERT INTO trace VALUES (OLD.id, OLD.account, 'unsent', OLD.granted); END;
"""
"""Writes down every grant in the transaction that makes it, and its end: the ledger itself forgets both."""


@dataclass(frozen=True)
class Account:
    """What became of one tier.

    Attributes:
        tier: the tier.
        sums: what the ledger says.
        arrived: requests that its endpoint counted.
        refused: those that it turned away.
        most_arrived: the most that counted at any instant, by the arrivals at the endpoint.
        most_granted: the same at its worst by the trace of all grants.
        days: from the first arrival to the last.
        captions: versions that each tile has: how many tiles have how many.
        answered_again: tiles that the endpoint answered more often than once, each time over.
    """

    tier: Tier
    sums: Sums
    arrived: int
    refused: int
    most_arrived: float
    most_granted: float
    days: float
    captions: Counter[int]
    answered_again: int

    @property
    def least_days(self) -> float:
        """Days that its requests, with those of unknown fate, take at the least."""
        return least_days(self.sums.sent, self.tier.daily, self.tier.window)


@dataclass(frozen=True)
class Result:
    """What became of a campaign.

    Attributes:
        accounts: of each tier.
        kills: workers that were killed.
        in_flight: requests that these waited for, in all.
    """

    accounts: tuple[Account, ...]
    kills: int
    in_flight: int


def published(window: str, part: int = 1) -> tuple[Tier, ...]:
    """The two tiers of the published campaign, or a part of each, with the same part of its quota.

    Args:
        window: of both quotas.
        part: divides tiles and quotas.
    """
    return (
        Tier("text", "text", 163_488 // part, 1, 10_000 // part, window, concurrency=8),
        Tier("vision", "vision", 10_000 // part, 4, 500 // part, window, concurrency=4),
    )


def run_campaign(folder: Path, tiers: Sequence[Tier], *, workers: int = WORKERS, kills: int = KILLS) -> Result:
    """Runs a campaign to its end.

    Args:
        folder: where its databases lie; empty.
        tiers: its captioners.
        workers: processes at once.
        kills: how many are killed on the way.
    """
    place = Place(folder)
    with open_ledger(place.ledger, SharedClock(place.clock)), closing(sqlite3.connect(folder / "ledger.db")) as ledger:
        ledger.executescript(_TRACE)
    trace = Director(place, tiers, workers, kills).run()
    sums = _sums(place)
    accounts = []
    for tier in tiers:
        arrivals = np.array(trace.arrivals[tier.name], np.int64)
        accounts.append(
            Account(
                tier,
                sums[tier.name],
                len(arrivals),
                trace.audits[tier.name]["refused"],
                most_spent(arrivals, arrivals, tier.daily, tier.window),
                most_spent(*_granted(folder, tier.name), tier.daily, tier.window),
                float(arrivals[-1] - arrivals[0]) / DAY,
                _captions(place, tier),
                trace.audits[tier.name]["tiles"]["answered_again"],
            )
        )
    return Result(tuple(accounts), trace.kills, trace.in_flight)


def _sums(place: Place) -> dict[str, Sums]:
    with open_ledger(place.ledger, SharedClock(place.clock)) as ledger:
        return {captioner: sums for (captioner, _), sums in ledger.sums("campaign").items()}


def _granted(folder: Path, account: str) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], ...]:
    """When each request was granted, and when it ended or was due; those that never left are left out."""
    query = """
        SELECT min(at) FILTER (WHERE event = 'granted'),
               coalesce(max(at) FILTER (WHERE event = 'ended'), max(at) FILTER (WHERE event = 'due'))
        FROM trace WHERE account = ? GROUP BY id HAVING sum(event = 'unsent') = 0
    """
    with closing(sqlite3.connect(folder / "ledger.db")) as ledger:
        rows = np.array(ledger.execute(query, (account,)).fetchall(), np.int64)
    return rows[:, 0], rows[:, 1]


def _captions(place: Place, tier: Tier) -> Counter[int]:
    with open_state(place.state, place.dataset) as state:
        versions = Counter(caption.tile_id for caption in state.versions(tier.name) if caption.text is not None)
    return Counter(versions[tile_id] for tile_id in tier.ids)
