"""What is said to a ledger, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tasks.quota.accounts import Mark
from tasks.quota.windows import Limits, Measure

Outcome = Literal["answered", "refused", "failed", "unknown", "unsent"]
"""What became of a request. One that is `unsent` never left, and is taken out of the ledger again."""


@dataclass(frozen=True)
class Ask:
    """A request that somebody wants to send.

    Attributes:
        account: whose quota it uses.
        limits: what the asker's configuration allows that account.
        campaign: what `Ledger.sums` adds up.
        captioner: likewise.
        endpoint: likewise; two endpoints of one account may have two prices.
        owner: the process that asks, see `Ledger.owners`.
        timeout: seconds from the grant after which the owner has given the request up.
        tokens: what the endpoint may count for it at the most.
    """

    account: str
    limits: Limits
    campaign: str
    captioner: str
    endpoint: str
    owner: str
    timeout: float
    tokens: int = 0


@dataclass(frozen=True)
class Grant:
    """Leave to send one request, once.

    Attributes:
        id: the request's, unique everywhere and for ever.
        account: whose quota it uses.
        granted: when, microseconds by the ledger's clock.
        left: how many more requests the account could be granted; None without a limit of requests.
        marks: where the account stood, by measure.
    """

    id: str
    account: str
    granted: int
    left: int | None = None
    marks: Mapping[Measure, Mark] = field(default_factory=dict)


@dataclass(frozen=True)
class Wait:
    """No leave now.

    Attributes:
        seconds: until it is worth asking again. A slot may come sooner if somebody else's request is withdrawn.
        until: the same instant, seconds since the epoch.
        measure: the limit that is reached, of several the one that lasts longest; None while the account is parked.
        is_for_the_day: a day's limit is reached, and too little of it comes back in the next hundredth of a day for it
            to be worth waiting: without `--wait` the command ends.
    """

    seconds: float
    until: float
    measure: Measure | None
    is_for_the_day: bool


@dataclass(frozen=True)
class Settlement:
    """What became of a request.

    Attributes:
        grant: its grant.
        outcome: what became of it.
        prompt_tokens: tokens asked, 0 where nobody said.
        completion_tokens: tokens answered, likewise.
    """

    grant: Grant
    outcome: Outcome
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True)
class Correction:
    """What an endpoint says is left of a limit, in its answer to a request.

    Attributes:
        grant: the request's.
        measure: the limit; the caller is certain which one is meant.
        remaining: what is left.
    """

    grant: Grant
    measure: Measure
    remaining: int


@dataclass(frozen=True)
class Standing:
    """How an account stands.

    Attributes:
        left: requests that a day's limit leaves; None without one.
        next_slot: when one can be granted, seconds since the epoch; None if it can now.
        in_flight: requests that have neither ended nor passed their time.
    """

    left: int | None
    next_slot: float | None
    in_flight: int
