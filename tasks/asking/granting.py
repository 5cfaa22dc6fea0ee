"""Leave to send, from the ledger: waited for, withheld when a command is to end, handed back when it is not used."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, cast

from tasks.asking.commits import GroupCommit
from tasks.endpoints.answers import Answered, RowFailed
from tasks.endpoints.client import Exchange
from tasks.endpoints.headers import Remaining
from tasks.endpoints.pool import NoSlotError, ParkedError
from tasks.errors import EarthscribeError
from tasks.quota.ledger import Ledger
from tasks.quota.terms import Ask, Correction, Grant, Outcome, Settlement, Wait
from tasks.quota.windows import Measure

_LONGEST_SLEEP = 5.0
"""Seconds after which a slot is asked for again: somebody may have handed one back."""


class StoppedError(EarthscribeError):
    """Nothing more is to be sent: the command is ending."""

    def __init__(self) -> None:
        super().__init__("the command is ending")


@dataclass
class Gate:
    """What every attempt of a command passes, whichever endpoint it is for.

    Attributes:
        budget: attempts that may still be granted; None for any number.
        stopping: nothing more is sent.
        sending: the asyncio tasks that have a request under way.
    """

    budget: int | None = None
    stopping: bool = False
    sending: set[asyncio.Task[Any] | None] = field(default_factory=set)

    @property
    def is_spent(self) -> bool:
        """Whether no attempt is left."""
        return self.budget is not None and self.budget <= 0

    def take(self) -> None:
        """Takes one attempt.

        Raises:
            StoppedError: the command is ending.
            NoSlotError: none is left.
        """
        if self.stopping:
            raise StoppedError
        if self.is_spent:
            raise NoSlotError(math.inf)
        if self.budget is not None:
            self.budget -= 1

    def give_back(self) -> None:
        """Hands one attempt back that was not made."""
        if self.budget is not None:
            self.budget += 1


@dataclass(frozen=True)
class Rest:
    """A wait that an endpoint has told an account.

    Attributes:
        account: whose requests are refused until then.
        seconds: how long.
    """

    account: str
    seconds: float


Item: TypeAlias = Ask | Settlement | Correction | Rest


class Books:
    """One ledger and its one writer, within one event loop.

    Args:
        ledger: the open ledger.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._write: GroupCommit[Item, Grant | Wait | None] = GroupCommit(self._written)
        self._pending: set[asyncio.Task[Any]] = set()

    async def reserve(self, ask: Ask) -> Grant | Wait:
        """A grant, durable when this returns, or a wait. A grant for one who is cancelled meanwhile is handed back."""
        asked = self._write.put(ask)
        try:
            granted = await asyncio.shield(asked)
        except asyncio.CancelledError:
            self.later(self._hand_back(asked))
            raise
        return cast(Grant | Wait, granted)

    async def settle(self, settlement: Settlement) -> None:
        """Settles a request, whoever is cancelled meanwhile."""
        await self._write(settlement)

    async def correct(self, correction: Correction) -> None:
        """Corrects what is left of an account."""
        await self._write(correction)

    async def rest(self, rest: Rest) -> None:
        """Parks an account, for all that share it."""
        await self._write(rest)

    def later(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Does something whether or not somebody waits for it, before `drained` returns."""
        task = asyncio.create_task(work)
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)
        return task

    async def drained(self) -> None:
        """Waits until everything is written."""
        while self._pending:
            await asyncio.gather(*self._pending, return_exceptions=True)
        await self._write.drained()

    async def _hand_back(self, asked: asyncio.Future[Grant | Wait | None]) -> None:
        granted = await asked
        if isinstance(granted, Grant):
            await self._write(Settlement(granted, "unsent"))

    def _written(self, items: Sequence[Item]) -> list[Grant | Wait | None]:
        """Writes a group: what has ended first, since that makes room."""
        if settlements := [item for item in items if isinstance(item, Settlement)]:
            self._ledger.settle_many(settlements)
        if corrections := [item for item in items if isinstance(item, Correction)]:
            self._ledger.correct_many(corrections)
        rests = [item for item in items if isinstance(item, Rest)]
        for account in {rest.account for rest in rests}:  # those that were sent together are told much the same
            self._ledger.park(account, max(rest.seconds for rest in rests if rest.account == account))
        asks = [item for item in items if isinstance(item, Ask)]
        decided = iter(self._ledger.reserve_many(asks) if asks else [])
        return [next(decided) if isinstance(item, Ask) else None for item in items]


class LedgerGrants:
    """The quota of one endpoint, as `tasks.endpoints.pool.Grants` has it.

    Args:
        books: the ledger.
        gate: what every attempt passes.
        ask: the request for a grant, but for its tokens.
    """

    def __init__(self, books: Books, gate: Gate, ask: Ask) -> None:
        self._books = books
        self._gate = gate
        self._ask = ask
        self.day_wait: Wait | None = None

    async def grant(self, tokens: int) -> Grant:
        """Leave to send one request; a minute's limit is waited for."""
        while True:
            self._gate.take()
            try:
                granted = await self._books.reserve(replace(self._ask, tokens=tokens))
            except BaseException:
                self._gate.give_back()
                raise
            if isinstance(granted, Grant):
                if self._gate.stopping:
                    await self._books.settle(Settlement(granted, "unsent"))
                    raise StoppedError
                self._gate.sending.add(asyncio.current_task())
                return granted
            self._gate.give_back()
            if granted.measure is None:
                raise ParkedError(granted.seconds)
            if granted.is_for_the_day:
                self.day_wait = granted
                raise NoSlotError(granted.seconds)
            await asyncio.sleep(min(granted.seconds, _LONGEST_SLEEP))

    async def park(self, seconds: float) -> None:
        """The endpoint has told the account to wait."""
        await self._books.rest(Rest(self._ask.account, seconds))

    async def correct(self, grant: Grant, known: Sequence[Remaining]) -> None:
        """What the endpoint's headers tell, of the limits that the configuration has too."""
        for one in known:
            measure = cast(Measure, f"{one.kind}_per_{one.unit}")
            mark = grant.marks.get(measure)
            if mark is not None and mark.limit.most == one.limit and one.remaining < mark.expected:
                await self._books.correct(Correction(grant, measure, one.remaining))

    async def settle(self, grant: Grant, exchange: Exchange) -> None:
        """What became of the request."""
        outcome: Outcome = exchange.fate.value
        told = exchange.outcome
        tokens = (told.prompt_tokens, told.completion_tokens) if isinstance(told, Answered | RowFailed) else (0, 0)
        if outcome == "unsent":
            self._gate.give_back()
        try:
            await self._books.settle(Settlement(grant, outcome, *tokens))
        finally:
            self._gate.sending.discard(asyncio.current_task())
