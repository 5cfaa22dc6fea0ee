"""The ledger: every HTTP attempt is reserved here before it is sent, and settled after it.

A request counts against its account's limits from its grant on, whatever becomes of it: an answer, a refusal, a fault,
or the death of the process that sent it. The ledger holds the requests; how many are allowed, each caller says.

Reserving and settling take groups. A group is one transaction, durable when the call returns, so that a request that is
sent after it is counted whatever happens. In SQLite transactions follow each other, in PostgreSQL those on one account.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, and_, bindparam, func, select, update

from tasks.database import clear_errors, database_file, database_name, insert_new, open_database, writing
from tasks.quota.accounts import Account
from tasks.quota.clock import Clock, ServerClock, running_clock
from tasks.quota.days import CIVIL_DAY, SECOND, day_seconds
from tasks.quota.granting import decide
from tasks.quota.schema import UPGRADES, accounts, elsewhere, requests
from tasks.quota.sums import Sums, campaign_sums, remove_old
from tasks.quota.terms import Ask, Correction, Grant, Settlement, Standing, Wait
from tasks.quota.windows import Limits

_log = logging.getLogger(__name__)

_REMEMBERED = 2
"""Days, not shorter than civil ones, for which the rows of requests that have ended are kept."""


class Ledger:
    """The requests of any number of campaigns against the quotas of their accounts.

    Every method raises `EarthscribeError` where the database fails it (locked, full, gone), naming it.

    Attributes:
        engine: the open database.
        clock: what time it is.
        day: seconds of a day.
    """

    def __init__(self, engine: Engine, clock: Clock, day: float) -> None:
        self.engine = engine
        self.clock = clock
        self.day = day
        self._tidied: dict[str, int] = {}

    def reserve_many(self, asks: Sequence[Ask]) -> list[Grant | Wait]:
        """Grants what the limits allow, first come, first served; what is granted is counted when this returns.

        An ask for more tokens than a limit has is granted when nothing else counts; then the endpoint decides.

        Returns:
            A grant or a wait for each ask, in order.
        """
        if not asks:
            return []
        decided: dict[int, Grant | Wait] = {}
        with self._locked({ask.account for ask in asks}) as (connection, locked):
            for name, account in locked.items():
                numbers = [number for number, ask in enumerate(asks) if ask.account == name]
                own = [asks[number] for number in numbers]
                self._tidy(account)
                self._catch_up(account, {ask.limits for ask in own})
                decided |= zip(numbers, decide(account, own, self.day), strict=True)
            answers = [decided[number] for number in range(len(asks))]
            rows = [_row(ask, one) for ask, one in zip(asks, answers, strict=True) if isinstance(one, Grant)]
            if rows:
                connection.execute(requests.insert(), rows)
        return answers

    def settle_many(self, settlements: Sequence[Settlement]) -> None:
        """Says what became of requests. Saying it again does nothing; saying it of one given up as unknown does."""
        if not settlements:
            return
        by_id = {settlement.grant.id: settlement for settlement in settlements}
        with self._locked({settlement.grant.account for settlement in settlements}) as (connection, locked):
            there = connection.execute(_SETTLED, {"ids": list(by_id)}).all()
            ended: list[dict[str, Any]] = []
            for row in there:
                if row.outcome in (None, "unknown"):
                    ended += _settle(locked[row.account], row, by_id[row.id])
            if ended:
                connection.execute(_SETTLE, ended)
            if unsent := [one for one in by_id if by_id[one].outcome == "unsent"]:
                connection.execute(requests.delete().where(requests.c.id.in_(unsent), requests.c.ended.is_(None)))

    def correct_many(self, corrections: Iterable[Correction]) -> None:
        """Counts what others spend from the same account, as far as endpoints tell; never gives anything back.

        What fits in with our own requests alone changes nothing, and costs no transaction.
        """
        told = [(one, mark) for one in corrections if (mark := one.grant.marks.get(one.measure))]
        told = [(one, mark) for one, mark in told if one.remaining < mark.expected]
        if not told:
            return
        with self._locked({one.grant.account for one, _ in told}) as (connection, locked):
            for one, mark in told:
                account = locked[one.grant.account]
                if more := account.told(mark, one.grant.granted, one.remaining):
                    values = {"account": account.name, "measure": one.measure, "ended": account.now, "amount": more}
                    connection.execute(elsewhere.insert().values(values))

    def park(self, account: str, seconds: float) -> None:
        """Grants an account nothing for so long, in no process; of two waits the one that ends later holds.

        For longer than a day nothing is kept: then it is worth asking again, whatever was told.
        """
        with self._locked({account}) as (_, locked):
            parked = locked[account]
            parked.parked_until = max(parked.parked_until, parked.now + round(min(seconds, self.day) * SECOND))

    def owners(self) -> set[str]:
        """Who has requests in flight."""
        query = select(requests.c.owner).where(requests.c.ended.is_(None), requests.c.outcome.is_(None)).distinct()
        with clear_errors(self.engine), self.engine.connect() as connection:
            return set(connection.scalars(query))

    def abandon(self, owners: Collection[str]) -> int:
        """Says that these owners are dead, and the fate of what they had in flight unknown: it counts as spent.

        It goes on counting as in flight until its time is up, since it may still be on its way.

        Returns:
            How many requests these were.
        """
        theirs = and_(requests.c.owner.in_(owners), requests.c.ended.is_(None), requests.c.outcome.is_(None))
        with clear_errors(self.engine), self.engine.connect() as connection:
            names = set(connection.scalars(select(requests.c.account).where(theirs).distinct()))
        if not names:
            return 0
        with self._locked(names) as (connection, _):
            return connection.execute(update(requests).where(theirs).values(outcome="unknown")).rowcount

    def standing(self, name: str, limits: Limits) -> Standing:
        """How an account stands, without changing anything."""
        with clear_errors(self.engine), self.engine.connect() as connection:
            now = self.clock.now(connection)
            row = connection.execute(select(accounts).where(accounts.c.account == name)).first()
            account = Account(connection, name, now) if row is None else Account.read(connection, row, now)
            daily = limits.each(self.day)
            for limit in daily:
                account.catch_up(limit)
            for expired in _expired(account):
                account.end(expired.tokens, expired.tokens, expired.deadline)
            then = max([account.parked_until, *(account.back(limit, 1) for limit in daily)])
            left = [account.left(limit) for limit in daily if limit.measure == "requests_per_day"]
        slot = None if then <= now else then / SECOND
        return Standing(max(0, left[0]) if left else None, slot, account.in_flight["requests"])

    def sums(self, campaign: str) -> dict[tuple[str, str], Sums]:
        """What a campaign's requests add up to, by captioner and endpoint."""
        with clear_errors(self.engine), self.engine.connect() as connection:
            return campaign_sums(connection, campaign, self.clock.now(connection))

    def from_the_future(self) -> float | None:
        """The latest instant in the ledger where that is yet to come, seconds since the epoch: a clock was wrong."""
        with clear_errors(self.engine), self.engine.connect() as connection:
            granted, ended = connection.execute(_LATEST).one()
            latest = max(granted or 0, ended or 0)
            return latest / SECOND if latest > self.clock.now(connection) else None

    @contextmanager
    def _locked(self, names: Collection[str]) -> Iterator[tuple[Connection, dict[str, Account]]]:
        """A transaction that holds some accounts, made where they are not, and keeps what becomes of them."""
        with clear_errors(self.engine), writing(self.engine).begin() as connection:
            rows = connection.execute(_LOCKED, {"names": list(names)}).all()
            if len(rows) < len(names):
                new = [{"account": name} for name in sorted(names)]
                connection.execute(insert_new(self.engine, accounts), new)
                rows = connection.execute(_LOCKED, {"names": list(names)}).all()
            now = self.clock.now(connection)  # only now that nobody else can write
            locked = {row.account: Account.read(connection, row, now) for row in rows}
            before = {name: account.kept() for name, account in locked.items()}
            yield connection, locked
            changed = [account.kept() for name, account in locked.items() if account.kept() != before[name]]
            if changed:
                connection.execute(_KEEP, [{**kept, "name": kept["account"]} for kept in changed])

    def _catch_up(self, account: Account, each: Iterable[Limits]) -> None:
        """Brings an account to the present: what has lapsed, and what has passed its time without an answer."""
        for limits in each:
            for limit in limits.each(self.day):
                account.catch_up(limit)
        expired = _expired(account)
        for row in expired:
            account.end(row.tokens, row.tokens, row.deadline)
        if expired:
            account.connection.execute(_EXPIRE, [{"key": row.id, "ended": row.deadline} for row in expired])

    def _tidy(self, account: Account) -> None:
        """Removes, once a day, the rows that no window counts."""
        last = self._tidied.get(account.name)
        if last is not None and account.now - last < CIVIL_DAY * SECOND:
            return
        edge = account.now - round(_REMEMBERED * max(self.day, CIVIL_DAY) * SECOND)
        if remove_old(account.connection, account.name, edge):
            account.forget(edge)
        self._tidied[account.name] = account.now


@contextmanager
def open_ledger(url: str, clock: Clock | None = None, warn: Callable[[str], None] = _log.warning) -> Iterator[Ledger]:
    """Opens a ledger, made where there is none.

    Where it holds requests that lie in the future, by a clock that is now believed, a warning is given: they count
    until that future has passed.

    Args:
        url: ``sqlite:///FILE`` or ``postgresql://...``.
        clock: tells the time; default the server's, or the machine's as a run reads it, see `tasks.quota.clock`.
        warn: told in one line; default the log.

    Raises:
        InputError: the database cannot be opened or made, or is of a newer version of earthscribe.
    """
    engine = open_database(url, "ledger", UPGRADES)
    try:
        with _clock(engine) if clock is None else _given(clock) as told:
            ledger = Ledger(engine, told, day_seconds())
            if (latest := ledger.from_the_future()) is not None:
                warn(
                    f"{database_name(engine.url)} holds requests up to "
                    f"{datetime.fromtimestamp(latest, UTC).isoformat(timespec='seconds')}, which is yet to come: "
                    "a clock was or is wrong; they count until then"
                )
            yield ledger
    finally:
        engine.dispose()


@contextmanager
def _clock(engine: Engine) -> Iterator[Clock]:
    file = database_file(engine.url)
    if file is None:
        yield ServerClock()
        return
    with running_clock(file.with_name(f"{file.name}-clock")) as clock:
        yield clock


@contextmanager
def _given(clock: Clock) -> Iterator[Clock]:
    yield clock


def _row(ask: Ask, grant: Grant) -> dict[str, Any]:
    return {
        "id": grant.id,
        "account": ask.account,
        "campaign": ask.campaign,
        "captioner": ask.captioner,
        "endpoint": ask.endpoint,
        "owner": ask.owner,
        "granted": grant.granted,
        "deadline": grant.granted + round(ask.timeout * SECOND),
        "tokens": ask.tokens,
    }


def _settle(account: Account, row: Row[Any], settlement: Settlement) -> list[dict[str, Any]]:
    """Settles one request of an account; returns what its row becomes, nothing if it goes."""
    if settlement.outcome == "unknown" and row.ended is not None:
        return []  # as is known already
    if settlement.outcome == "unsent":
        if row.ended is None:
            account.withdraw(row.tokens)
        return []
    tokens = max(row.tokens, settlement.prompt_tokens + settlement.completion_tokens)
    if row.ended is None:
        account.end(row.tokens, tokens, account.now)
    else:
        account.end_later(row.tokens, tokens, row.ended, account.now)
    values = {"outcome": settlement.outcome, "tokens": tokens, "ended": account.now, "key": row.id}
    return [values | {"prompt_tokens": settlement.prompt_tokens, "completion_tokens": settlement.completion_tokens}]


def _expired(account: Account) -> Sequence[Row[Any]]:
    if account.in_flight["requests"] == 0:
        return []
    return account.connection.execute(_EXPIRED, {"name": account.name, "now": account.now}).all()


_LOCKED = (
    select(accounts)
    .where(accounts.c.account.in_(bindparam("names", expanding=True)))
    .order_by(accounts.c.account)
    .with_for_update()
)
_KEEP = update(accounts).where(accounts.c.account == bindparam("name"))
_EXPIRED = select(requests.c.id, requests.c.tokens, requests.c.deadline).where(
    requests.c.account == bindparam("name"), requests.c.ended.is_(None), requests.c.deadline <= bindparam("now")
)
_EXPIRE = (
    update(requests)
    .where(requests.c.id == bindparam("key"))
    .values(ended=bindparam("ended"), outcome=func.coalesce(requests.c.outcome, "unknown"))
)
_SETTLED = select(requests.c.id, requests.c.account, requests.c.ended, requests.c.outcome, requests.c.tokens).where(
    requests.c.id.in_(bindparam("ids", expanding=True))
)
_SETTLE = (
    update(requests)
    .where(requests.c.id == bindparam("key"))
    .values(
        outcome=bindparam("outcome"),
        tokens=bindparam("tokens"),
        ended=bindparam("ended"),
        prompt_tokens=bindparam("prompt_tokens"),
        completion_tokens=bindparam("completion_tokens"),
    )
)
_LATEST = select(func.max(requests.c.granted), func.max(requests.c.ended))
