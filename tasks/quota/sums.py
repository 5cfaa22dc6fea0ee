"""What a campaign's requests add up to, and the removal of their rows once no window counts them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, case, func, select
from sqlalchemy.dialects import postgresql, sqlite

from tasks.quota.schema import elsewhere, requests, totals

_PLACE = ("campaign", "captioner", "endpoint")
_OUTCOMES = ("answered", "refused", "failed", "unknown")
_SUMMED = (*_OUTCOMES, "prompt_tokens", "completion_tokens")


@dataclass(frozen=True)
class Sums:
    """What requests add up to: sent is all the others together.

    Attributes:
        sent: HTTP attempts, or what was about to be one when its process died.
        answered: those that brought an answer.
        refused: those turned away at a limit, or for want of credit.
        failed: those answered with any other error.
        in_flight: those without an answer that still have time.
        unknown: those whose process died, whose connection broke, or whose time passed.
        prompt_tokens: tokens asked.
        completion_tokens: tokens answered.
    """

    sent: int = 0
    answered: int = 0
    refused: int = 0
    failed: int = 0
    in_flight: int = 0
    unknown: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


def campaign_sums(connection: Connection, campaign: str, now: int) -> dict[tuple[str, str], Sums]:
    """What a campaign's requests add up to, by captioner and endpoint.

    Args:
        connection: a transaction on the ledger.
        campaign: the campaign.
        now: microseconds by the ledger's clock.
    """
    overdue = and_(requests.c.outcome.is_(None), requests.c.deadline <= now)
    fate = case((overdue, "unknown"), else_=func.coalesce(requests.c.outcome, "in_flight")).label("fate")
    rows = (
        select(
            requests.c.captioner,
            requests.c.endpoint,
            fate,
            func.count().label("number"),
            func.sum(requests.c.prompt_tokens).label("prompt_tokens"),
            func.sum(requests.c.completion_tokens).label("completion_tokens"),
        )
        .where(requests.c.campaign == campaign)
        .group_by(requests.c.captioner, requests.c.endpoint, fate)
    )
    sums: dict[tuple[str, str], Sums] = {}
    for row in connection.execute(select(totals).where(totals.c.campaign == campaign)):
        sent = sum(getattr(row, name) for name in _OUTCOMES)
        sums[row.captioner, row.endpoint] = Sums(sent, **{name: getattr(row, name) for name in _SUMMED})
    for row in connection.execute(rows):
        place = (row.captioner, row.endpoint)
        sums[place] = sums.get(place, Sums()) + _of_one_fate(row)
    return sums


def remove_old(connection: Connection, account: str, edge: int) -> int:
    """Removes the rows of an account's requests that ended before an instant, and keeps what they add up to.

    Args:
        connection: a transaction on the ledger that holds the account.
        account: the account.
        edge: the instant, microseconds by the ledger's clock.

    Returns:
        How many rows these were, with those of what others spent.
    """
    old = and_(requests.c.account == account, requests.c.ended < edge)
    counted = (func.count().filter(requests.c.outcome == outcome).label(outcome) for outcome in _OUTCOMES)
    tokens = (func.sum(requests.c[name]).label(name) for name in _SUMMED[len(_OUTCOMES) :])
    place = [requests.c[name] for name in _PLACE]
    added = connection.execute(select(*place, *counted, *tokens).where(old).group_by(*place)).mappings().all()
    others = elsewhere.delete().where(and_(elsewhere.c.account == account, elsewhere.c.ended < edge))
    removed = connection.execute(others).rowcount
    if not added:
        return removed
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    new = insert(totals)
    more = {name: totals.c[name] + new.excluded[name] for name in _SUMMED}
    connection.execute(new.on_conflict_do_update(index_elements=list(_PLACE), set_=more), [dict(row) for row in added])
    return removed + connection.execute(requests.delete().where(old)).rowcount


def _of_one_fate(row: Row[Any]) -> Sums:
    fate: dict[str, int] = {row.fate: row.number}
    return Sums(row.number, **fate, prompt_tokens=int(row.prompt_tokens), completion_tokens=int(row.completion_tokens))
