"""Several endpoints as one: the freest takes the next request, one that is parked or down is passed over.

A request is sent as often as it needs to be and is worth it. Every attempt has a grant of its own, obtained before it
is sent. What an endpoint answers changes how it is used:

- a limit, or a wait that was told: parked for exactly so long; nothing is sent meanwhile. Whoever shares the account
  learns of it through its quota, and need not be refused too
- too fast: parked, then half of what was in flight, and one more with every round of answers
- a key, a model, credit: stopped, with one message; the others go on
- faults and no answer between them: down. It is tried again with single requests, ever more rarely, and then stopped

Until an endpoint has answered once, one request at a time is sent, so that a wrong key costs one request and not sixty.
"""

from __future__ import annotations

import asyncio
import functools
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_result, stop_after_attempt

from tasks.endpoints.answers import (
    Answered,
    Fate,
    LimitReached,
    OutOfCredit,
    RowFailed,
    SetUpWrong,
    SlowDown,
    Transient,
)
from tasks.endpoints.client import Connection, Exchange
from tasks.endpoints.headers import Remaining
from tasks.errors import EarthscribeError


class Granted(Protocol):
    """Leave to send one request."""

    @property
    def left(self) -> int | None:
        """How many more its account could be granted now; None without a quota."""


GrantT = TypeVar("GrantT", bound=Granted)


class Grants(Protocol[GrantT]):
    """The quota of one endpoint, as a ledger keeps it."""

    async def grant(self, tokens: int) -> GrantT:
        """Leave to send one request, durable when this returns; waits for one as long as that is worth while.

        Cancelled, it leaves no leave behind, or one that is settled as unsent.

        Raises:
            NoSlotError: waiting is not worth while, since the day's quota is spent.
            ParkedError: the account is parked, by whomever it was told to.
        """

    async def park(self, seconds: float) -> None:
        """The endpoint has told its account to wait for so long, whoever asks."""

    async def correct(self, grant: GrantT, known: Sequence[Remaining]) -> None:
        """What the endpoint's own headers tell, in the answer to the request of this grant."""

    async def settle(self, grant: GrantT, exchange: Exchange) -> None:
        """What became of the request."""


class NoSlotError(EarthscribeError):
    """No endpoint takes a request before `wait` seconds have passed: quotas are spent, or a long wait was told."""

    def __init__(self, wait: float) -> None:
        self.wait = wait
        super().__init__(f"no endpoint takes a request for another {wait:.0f} s")


class ParkedError(EarthscribeError):
    """An account is parked for another `wait` seconds: its endpoint said so to somebody who shares it."""

    def __init__(self, wait: float) -> None:
        self.wait = wait
        super().__init__(f"the account is parked for another {wait:.0f} s")


class NoEndpointError(EarthscribeError):
    """No endpoint is left that can be used (exit code 3).

    Attributes:
        reasons: what is wrong, by endpoint.
    """

    def __init__(self, reasons: dict[str, str]) -> None:
        self.reasons = dict(reasons)
        super().__init__("; ".join(f"{name}: {reason}" for name, reason in self.reasons.items()))


@dataclass(frozen=True)
class Patience:
    """How long to put up with what.

    Attributes:
        attempts: of one request, while others are answered.
        backoff: seconds until the second attempt; each further one waits twice as long, at most `most_backoff`.
        most_backoff: seconds.
        park: seconds that an endpoint rests that is down, or that asks for a rest without saying how long; each further
            time until it answers it rests twice as long, at most `most_park`.
        most_park: seconds.
        rounds: times that an endpoint may be found down before it is stopped.
        first_rounds: the same for one that has not answered once.
        rejections: requests that are rejected for no known reason, or answered with what is no answer, by an endpoint
            that has not answered once, until its set-up is taken to be wrong.
        wait: seconds that a request waits for an endpoint that is parked; for longer ones `NoSlotError` is raised.
    """

    attempts: int = 5
    backoff: float = 0.25
    most_backoff: float = 20.0
    park: float = 5.0
    most_park: float = 300.0
    rounds: int = 7
    first_rounds: int = 3
    rejections: int = 8
    wait: float = 120.0


@dataclass(frozen=True)
class Delivery(Generic[GrantT]):
    """What came of a request in the end.

    Attributes:
        exchange: its last attempt: `Answered` or `RowFailed`.
        member: who was asked.
        grant: the last attempt's, still to be settled; None once it is.
    """

    exchange: Exchange
    member: Member[GrantT]
    grant: GrantT | None

    async def settle(self) -> None:
        """Settles the last attempt: once its captions are committed, and not before."""
        if self.grant is not None:
            await self.member.grants.settle(self.grant, self.exchange)


class Member(Generic[GrantT]):
    """An endpoint of a pool, its quota, and what is known of its state.

    Attributes:
        connection: to the endpoint.
        grants: its quota.
        name: what messages call it.
        stopped: why it is no longer used; None while it is.
        in_flight: requests that hold one of its places.
        parked_until: when it may be asked again, on the event loop's clock.
        spent_until: when its quota is worth asking for again, on the same clock.
        has_answered: whether it has answered once.
    """

    def __init__(self, connection: Connection, grants: Grants[GrantT]) -> None:
        self.connection = connection
        self.grants = grants
        self.name = connection.target.name
        self.stopped: str | None = None
        self.in_flight = 0
        self.parked_until = 0.0
        self.spent_until = 0.0
        self.has_answered = False
        self._places = 1.0  # until it has answered once
        self._left: int | None = None
        # Since the last answer:
        self._faults = 0
        self._rounds = 0
        self._rests = 0
        self._rejected = 0

    @property
    def closed_until(self) -> float:
        """When it takes requests again, for whichever reason it does not."""
        return max(self.parked_until, self.spent_until)

    def free(self, now: float) -> int:
        """How many requests it takes now: places, as far as its quota goes; 0 while it is parked or stopped."""
        if self.stopped is not None or now < self.closed_until:
            return 0
        places = int(self._places) - self.in_flight
        # Quota that has run out may be back: whoever keeps it knows, and says so when asked.
        return max(0, places if self._left is None else min(places, max(1, self._left)))

    def note_grant(self, grant: GrantT) -> None:
        """Remembers how much quota is left."""
        self._left = grant.left

    def learn(self, exchange: Exchange, now: float, patience: Patience) -> None:
        """Draws the consequences of an attempt."""
        outcome = exchange.outcome
        match outcome:
            case SetUpWrong() | OutOfCredit():
                self._stop(outcome.message)
            case Transient():
                self._learn_fault(outcome, now, patience)
            case LimitReached() | SlowDown():
                self._faults = 0
                # Those that were sent together are turned away together: once is enough.
                if isinstance(outcome, SlowDown) and now >= self.parked_until:
                    self._places = max(1.0, min(self._places, self.in_flight / 2))
                self._park(now, outcome.wait, patience)
            case RowFailed(code="transport"):
                self._faults = 0
                self._rejected += 1
                if not self.has_answered and self._rejected >= patience.rejections:
                    self._stop(f"none of its first {self._rejected} answers can be used: {outcome.reason}")
            case Answered() | RowFailed():
                self._learn_answer()

    def _learn_answer(self) -> None:
        most = self.connection.target.concurrency
        back = not self.has_answered or self._rounds > 0
        self._places = most if back else min(most, self._places + 1 / self._places)
        self.has_answered = True
        self._faults = self._rounds = self._rests = self._rejected = 0

    def _learn_fault(self, fault: Transient, now: float, patience: Patience) -> None:
        if now < self.parked_until:  # sent before it was found down
            return
        self._faults += 1
        enough = max(patience.attempts, min(2 * int(self._places), 32)) if self._rounds == 0 else 1
        if self._faults < enough:
            if fault.wait is not None:
                self._park(now, fault.wait, patience)
            return
        self._rounds += 1
        self._places = 1.0
        if self._rounds >= (patience.rounds if self.has_answered else patience.first_rounds):
            self._stop(f"it cannot be reached: {fault.reason}")
        self._park(now, fault.wait, patience)

    def _park(self, now: float, told: float | None, patience: Patience) -> None:
        if told is None and now < self.parked_until:
            return
        if told is None:
            told = min(patience.most_park, patience.park * 2**self._rests)
            self._rests += 1
        self.parked_until = max(self.parked_until, now + told)

    def _stop(self, message: str) -> None:
        self.stopped = self.stopped or message


class Pool(Generic[GrantT]):
    """The endpoints of one captioner, within one event loop.

    Args:
        members: one or more.
        warn: told once of every endpoint that is stopped.
        patience: how long to put up with what.
    """

    def __init__(
        self,
        members: Sequence[Member[GrantT]],
        *,
        warn: Callable[[str], None],
        patience: Patience | None = None,
    ) -> None:
        self.members = tuple(members)
        self._warn = warn
        self._patience = patience or Patience()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._random = random.Random()  # noqa: S311 - spreads retries, keeps no secret
        self._retrying = AsyncRetrying(
            retry=retry_if_result(lambda delivery: isinstance(delivery.exchange.outcome, Transient)),
            stop=stop_after_attempt(self._patience.attempts),
            wait=self._backoff,
            retry_error_callback=_last,
        )

    async def ask(self, body: Callable[[str], bytes], tokens: int) -> Delivery[GrantT]:
        """Sends a request until it is answered, or is not worth another attempt.

        Args:
            body: the request's, for a model's name.
            tokens: what it may use, for quotas of tokens.

        Returns:
            `Answered` or `RowFailed`, its grant to be settled by the caller. A request that met nothing but faults,
            from endpoints that have answered others, has failed with `transport`.

        Raises:
            NoSlotError: every endpoint that is left is parked for long.
            NoEndpointError: none is left.
        """
        body = functools.cache(body)
        while True:
            delivery: Delivery[GrantT] = await self._retrying.copy()(self._attempt, body, tokens)
            fault = delivery.exchange.outcome
            if not isinstance(fault, Transient):
                return delivery
            # Where nobody has answered yet the endpoint is at fault, and the request waits until it is up, or stopped.
            if any(member.has_answered for member in self.members):
                failed = RowFailed("transport", True, fault.reason)
                return replace(delivery, exchange=replace(delivery.exchange, outcome=failed))

    async def _attempt(self, body: Callable[[str], bytes], tokens: int) -> Delivery[GrantT]:
        """One attempt, after as many refusals as it takes: these say nothing of the request."""
        while True:
            member = await self._place()
            try:
                delivery = await self._send(member, body, tokens)
            finally:
                member.in_flight -= 1
                self._wake()
            if delivery is None:
                continue
            match delivery.exchange.outcome:
                case Answered() | RowFailed():
                    return delivery
                case Transient():
                    await delivery.settle()
                    return replace(delivery, grant=None)
                case _:
                    await delivery.settle()

    async def _send(self, member: Member[GrantT], body: Callable[[str], bytes], tokens: int) -> Delivery[GrantT] | None:
        """One attempt at one endpoint; None where its quota has no slot."""
        content = body(member.connection.target.model)
        now = asyncio.get_running_loop().time
        try:
            grant = await member.grants.grant(tokens)
        except NoSlotError as none:
            member.spent_until = max(member.spent_until, now() + none.wait)
            return None
        except ParkedError as parked:
            member.parked_until = max(member.parked_until, now() + parked.wait)
            return None
        member.note_grant(grant)
        # While the grant was waited for, an answer may have shown that nothing should be sent.
        if member.stopped is not None or now() < member.parked_until:
            await member.grants.settle(grant, Exchange(Transient("not sent"), Fate.UNSENT))
            return None
        try:
            exchange = await member.connection.attempt(content)
        except asyncio.CancelledError:
            await member.grants.settle(grant, Exchange(Transient("given up"), Fate.UNKNOWN))
            raise
        running = member.stopped is None
        member.learn(exchange, now(), self._patience)
        if running and member.stopped is not None:
            self._warn(f"{member.name} is no longer asked: {member.stopped}")
        if exchange.remaining:
            await member.grants.correct(grant, exchange.remaining)
        if isinstance(exchange.outcome, LimitReached | SlowDown) and exchange.outcome.wait is not None:
            await member.grants.park(exchange.outcome.wait)
        return Delivery(exchange, member, grant)

    async def _place(self) -> Member[GrantT]:
        """A place at the freest endpoint, waited for.

        Raises:
            NoSlotError: every endpoint that is left is parked for long.
            NoEndpointError: none is left.
        """
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            left = [member for member in self.members if member.stopped is None]
            if not left:
                raise NoEndpointError({member.name: member.stopped or "" for member in self.members})
            freest = max(left, key=lambda member: (member.free(now), -member.in_flight))
            if freest.free(now) > 0:
                freest.in_flight += 1
                return freest
            closed = [member for member in left if now < member.closed_until]
            soon = [member.closed_until - now for member in closed if now >= member.spent_until]
            soon = [seconds for seconds in soon if seconds <= self._patience.wait]
            if len(closed) == len(left) and not soon:
                raise NoSlotError(min(member.closed_until - now for member in closed))
            await self._woken(min(soon, default=None))

    async def _woken(self, seconds: float | None) -> None:
        """Waits until a place may be free, or a park has ended."""
        loop = asyncio.get_running_loop()
        woken = loop.create_future()
        self._waiting.append(woken)
        timer = None if seconds is None else loop.call_later(seconds, _resolve, woken)
        try:
            await woken
        except asyncio.CancelledError:
            self._wake()  # somebody else may need the place that this one was woken for
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _wake(self) -> None:
        """Wakes as many as there are places; all of them where none is to be had and somebody must be told so."""
        now = asyncio.get_running_loop().time()
        places = sum(member.free(now) for member in self.members)
        usable = any(member.stopped is None and now >= member.closed_until for member in self.members)
        while self._waiting and (places > 0 or not usable):
            woken = self._waiting.popleft()
            if not woken.done():
                woken.set_result(None)
                places -= 1

    def _backoff(self, state: RetryCallState) -> float:
        most = min(self._patience.most_backoff, self._patience.backoff * 2 ** (state.attempt_number - 1))
        return float(most * self._random.uniform(0.5, 1.0))


def _resolve(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)


def _last(state: RetryCallState) -> object:
    """The last attempt, where there have been enough."""
    return state.outcome.result() if state.outcome is not None else None
