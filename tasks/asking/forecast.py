"""How long a number of requests takes under quotas.

Days are the quota's: 24 hours, or a calendar's. What an endpoint needs to answer is left out: it is the quota that
makes a campaign last.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tasks.asking.accounts import limits_of
from tasks.configuration import Captioner, Endpoint
from tasks.quota.ledger import Ledger

WindowKind = Literal["sliding", "bucket", "calendar"]

USUAL_TOKENS = 800.0
"""Of a request, where none has been answered yet."""

_MINUTES = 1440
"""Of a day."""


@dataclass(frozen=True)
class Allowance:
    """What one account allows.

    Attributes:
        window: how a day's quota comes back.
        daily: requests a day; infinite without a limit.
        by_the_minute: requests a day that limits per minute let through; infinite without one.
        left: requests that may be sent today.
    """

    window: WindowKind
    daily: float = math.inf
    by_the_minute: float = math.inf
    left: float = math.inf


@dataclass(frozen=True)
class Demand:
    """What one captioner has yet to ask.

    Attributes:
        requests: how many, if each is answered.
        accounts: what each account of its endpoints allows, by name.
    """

    requests: int
    accounts: Mapping[str, Allowance]


def allowance(endpoint: Endpoint, tokens: float, left: int | None = None) -> Allowance:
    """What an endpoint's account allows.

    Args:
        endpoint: the endpoint.
        tokens: of one request.
        left: requests that its day's limit leaves now; None for a day that is yet untouched.
    """
    quota = endpoint.quota
    if quota is None:
        return Allowance("sliding")
    each = max(tokens, 1.0)
    daily = min(_or_inf(quota.requests_per_day), _or_inf(quota.tokens_per_day) / each)
    minutely = min(_or_inf(quota.requests_per_minute), _or_inf(quota.tokens_per_minute) / each)
    return Allowance(kind_of(quota.window), daily, minutely * _MINUTES, daily if left is None else min(daily, left))


def kind_of(window: str) -> WindowKind:
    """The kind of a window: every time zone is a calendar."""
    if window == "sliding":
        return "sliding"
    return "bucket" if window == "bucket" else "calendar"


def days(requests: int, accounts: Sequence[Allowance], window: WindowKind | None = None) -> float:
    """Days until the last of some requests is sent, the first being sent now.

    Args:
        requests: how many.
        accounts: each of them once.
        window: as if all had this window; None for their own. Of calendar days each counts, from today to the last on
            which something is sent, since the first may be nearly over.
    """
    if requests <= 0 or not accounts:
        return 0.0
    daily = sum(account.daily for account in accounts)
    by_the_minute = requests / sum(account.by_the_minute for account in accounts)
    if math.isinf(daily):
        return by_the_minute
    left = sum(account.left for account in accounts)
    kinds = {window} if window else {account.window for account in accounts}
    longest = max(_days(requests, daily, left, kind) for kind in kinds)
    return max(by_the_minute, longest + 1 if window == "calendar" else longest)


def pending_requests(captioner: Captioner, pending: int) -> int:
    """Requests that so many tiles take, if each is answered."""
    return math.ceil(pending / captioner.images_per_request) if captioner.pool else 0


def demand(captioner: Captioner, pending: int, tokens: float, ledger: Ledger) -> Demand:
    """What a captioner has yet to ask, and what its accounts allow as they stand now.

    Args:
        captioner: the captioner.
        pending: its tiles that wait.
        tokens: of one request.
        ledger: what its accounts have spent.
    """
    accounts = {
        endpoint.account: allowance(endpoint, tokens, ledger.standing(endpoint.account, limits_of(endpoint)).left)
        for endpoint in captioner.pool
    }
    return Demand(pending_requests(captioner, pending), accounts)


def days_to_go(own: Demand, ahead: Sequence[Demand], window: WindowKind | None = None) -> float:
    """Days until the last of a captioner's requests is sent, with the quota as it stands.

    Args:
        own: what it asks.
        ahead: what captioners before it ask. What they spend of accounts that it shares goes first.
        window: as if all accounts had this window; None for their own.
    """
    if not own.requests:
        return 0.0
    first = sum(one.requests * _part_of(one, own.accounts) for one in ahead)
    return round(days(own.requests + math.ceil(first), list(own.accounts.values()), window), 2)


def _part_of(one: Demand, accounts: Collection[str]) -> float:
    """The part of a captioner's requests that goes to some accounts: the freest takes the next."""
    speeds = {name: min(account.daily, account.by_the_minute) for name, account in one.accounts.items()}
    if any(map(math.isinf, speeds.values())):  # these take all there is
        speeds = {name: float(math.isinf(speed)) for name, speed in speeds.items()}
    whole = sum(speeds.values())
    return sum(speed for name, speed in speeds.items() if name in accounts) / whole if whole else 0.0


def _days(requests: int, daily: float, left: float, window: WindowKind) -> float:
    more = max(0.0, requests - left)
    if window == "bucket":
        return more / daily
    return float(math.ceil(more / daily))


def _or_inf(limit: int | None) -> float:
    return math.inf if limit is None else float(limit)
