"""Which of the requests that somebody wants to send may leave now, and how long the others wait."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace

from tasks.quota.accounts import Account, Mark
from tasks.quota.days import SECOND
from tasks.quota.terms import Ask, Grant, Wait
from tasks.quota.windows import Limit, Limits, Measure

_HORIZON = 1 / 100
_WORTH_WAITING = 1 / 20
"""Part of a day, and of a day's limit: where so much comes back in so long, even a run that does not wait does."""


def decide(account: Account, asks: Sequence[Ask], day: float) -> list[Grant | Wait]:
    """Grants to the asks of one account what its limits allow, first come, first served.

    Args:
        account: locked, and caught up with the asks' limits.
        asks: of this account.
        day: seconds of a day.

    Returns:
        A grant or a wait for each, in order.
    """
    waits: dict[tuple[Limits, int], Wait] = {}
    decided: list[Grant | Wait] = []
    for ask in asks:
        kind = (ask.limits, ask.tokens)
        if kind not in waits and (wait := _wait(account, ask, day)):
            waits[kind] = wait
        if kind in waits:
            decided.append(waits[kind])
        else:
            account.grant(ask.tokens)
            decided.append(Grant(_new_id(account.now), account.name, account.now))
    left = {limits: _left(account, limits, day) for limits in {ask.limits for ask in asks}}
    marks = {limits: _marks(account, limits, day) for limits in left}
    return [
        replace(one, left=left[ask.limits], marks=marks[ask.limits]) if isinstance(one, Grant) else one
        for ask, one in zip(asks, decided, strict=True)
    ]


def _wait(account: Account, ask: Ask, day: float) -> Wait | None:
    """Why nothing can be granted to an ask; None if it can."""
    until, measure, is_for_the_day = max(account.parked_until, account.now), None, False
    for limit in ask.limits.each(day):
        # What is larger than the limit goes when nothing else counts, and the endpoint decides.
        amount = 1 if limit.unit == "requests" else min(ask.tokens, limit.most)
        then = account.back(limit, amount)
        if then > until:
            until, measure = then, limit.measure
        if limit.is_daily and account.left(limit) < amount:
            is_for_the_day |= not _is_worth_waiting(account, limit, then, day)
    if until == account.now:
        return None
    return Wait((until - account.now) / SECOND, until / SECOND, measure, is_for_the_day)


def _is_worth_waiting(account: Account, limit: Limit, slot: int, day: float) -> bool:
    horizon = account.now + round(day * _HORIZON * SECOND)
    return slot <= horizon and account.regained(limit, horizon) >= limit.most * _WORTH_WAITING


def _left(account: Account, limits: Limits, day: float) -> int | None:
    free = (max(0, account.free(limit)) for limit in limits.each(day) if limit.unit == "requests")
    return min(free, default=None)


def _marks(account: Account, limits: Limits, day: float) -> dict[Measure, Mark]:
    return {
        limit.measure: Mark(
            limit,
            expected=account.left(limit) + account.gauges[limit.measure].taken,
            granted=account.granted[limit.unit],
        )
        for limit in limits.each(day)
    }


def _new_id(now: int) -> str:
    """Of the instant and of chance: in the order of time, and never given twice, not even by a ledger begun anew."""
    return f"{now:014x}{secrets.token_hex(8)}"
