"""One process of a simulated campaign: `earthscribe caption --wait`, but for the flow around it and the wire.

Claims, leave to send, group commits, pool, replies and captions are those of a real run, on real databases.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

from tasks.asking.granting import Books, Gate, LedgerGrants
from tasks.asking.tiles import Asking, Tile
from tasks.captions.claims import Claims
from tasks.captions.owners import dead, this_process
from tasks.captions.state import State, open_state
from tasks.captions.wanting import missing
from tasks.endpoints.client import Connection, Target
from tasks.endpoints.pool import Member, NoSlotError, Pool
from tasks.quota.days import CIVIL_DAY
from tasks.quota.ledger import Ledger, open_ledger
from tasks.quota.terms import Ask, Grant
from tests.benchmarks.simulated.clock import SharedClock, SimulatedLoop
from tests.benchmarks.simulated.tiers import Tier

TIMEOUT = 60.0
_SLICE = 128
_SLICES = 3
"""Groups of a slice, and slices at once, as `flows.asking` has them for a run of thousands."""

_SHORTEST_SLEEP = CIVIL_DAY / 48
"""Seconds between batches that wait for a quota. `flows.commands.running` sleeps less; here each costs real time."""


@dataclass(frozen=True)
class Place:
    """Where the databases and the clock of a campaign lie.

    Attributes:
        folder: all of them.
    """

    folder: Path

    @property
    def ledger(self) -> str:
        """The ledger's URL."""
        return f"sqlite:///{self.folder}/ledger.db"

    @property
    def state(self) -> str:
        """The state's URL."""
        return f"sqlite:///{self.folder}/state.db"

    @property
    def clock(self) -> Path:
        """The clock's file."""
        return self.folder / "clock"

    @property
    def dataset(self) -> str:
        """What the campaign is called."""
        return str(self.folder / "dataset")


def work(place: Place, tiers: Sequence[Tier], director: Pipe) -> None:
    """Captions until nothing is pending, sleeping while quotas are out."""
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    clock = SharedClock(place.clock)
    loop = SimulatedLoop(clock, director)
    with open_state(place.state, place.dataset) as state, open_ledger(place.ledger, clock) as ledger:
        wire = _Wire(loop, director)
        workers = [_Captioner(tier, state, ledger, wire) for tier in tiers]
        try:
            while waits := [
                wait for worker in workers if (wait := loop.run_until_complete(worker.batch())) is not None
            ]:
                loop.run_until_complete(asyncio.sleep(max(min(waits), _SHORTEST_SLEEP)))
        finally:
            director.send(("done",))
            loop.close()


class _Wire:
    """Requests to the director, which is the endpoints too, and its replies."""

    def __init__(self, loop: SimulatedLoop, director: Pipe) -> None:
        self._loop = loop
        self._director = director
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[tuple[int, Mapping[str, str], bytes]]] = {}
        loop.add_reader(director.fileno(), self._read)

    async def exchange(self, tier: str, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """Sends a request, and waits for its reply."""
        number = next(self._numbers)
        self._waiting[number] = self._loop.create_future()
        self._director.send(("request", number, tier, body))
        return await self._waiting[number]

    def _read(self) -> None:
        replies: Sequence[tuple[int, int, Mapping[str, str], bytes]] = self._director.recv()
        self._loop.heard()
        for number, status, headers, body in replies:
            waiting = self._waiting.pop(number)
            if not waiting.done():
                waiting.set_result((status, headers, body))


class _SimulatedConnection(Connection):
    """A connection whose wire is simulated: what an answer means is read from it as ever."""

    def __init__(self, target: Target, wire: _Wire, tier: str) -> None:
        super().__init__(target)
        self._wire = wire
        self._tier = tier

    async def _exchange(self, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        return await self._wire.exchange(self._tier, body)


class _Captioner:
    """One tier, as one process works it."""

    def __init__(self, tier: Tier, state: State, ledger: Ledger, wire: _Wire) -> None:
        self._tier = tier
        self._ids = tier.ids
        self._state = state
        self._ledger = ledger
        self._questions = tier.questions()
        self._claims = Claims(state, tier.name, this_process())
        target = Target(f"http://{tier.name}/v1", tier.name, concurrency=tier.concurrency, timeout=TIMEOUT)
        self._connection = _SimulatedConnection(target, wire, tier.name)

    async def batch(self) -> float | None:
        """Asks until nothing is pending or the quota is out.

        Returns:
            Seconds to wait until there is something to do again; None where nothing is pending.
        """
        if gone := dead(self._ledger.owners()):
            self._ledger.abandon(gone)
        self._claims.drop_dead()
        wanted = missing(self._state, self._tier.name, self._ids)
        if not wanted:
            return None
        books = Books(self._ledger)
        name, owner = self._tier.name, self._claims.owner
        ask = Ask(name, self._tier.limits, "campaign", name, name, owner, TIMEOUT + 5)
        gate = Gate()
        pool = Pool([Member[Grant](self._connection, LedgerGrants(books, gate, ask))], warn=_fail)
        asking = Asking(self._questions, pool, self._claims, books, gate, attempts=5)
        renewing = asyncio.create_task(asking.renewing())
        try:
            slices = self._slices(list(wanted))
            await asyncio.gather(*(self._ask(asking, slices) for _ in range(_SLICES)))
        finally:
            renewing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await renewing
            await books.drained()
            self._claims.end_all()
        if isinstance(asking.end, NoSlotError):
            return asking.end.wait
        # What others had claimed may be left over by one that was killed.
        return 0.0 if missing(self._state, self._tier.name, self._ids) else None

    async def _ask(self, asking: Asking, slices: Iterator[list[list[Tile]]]) -> None:
        for groups in slices:
            if asking.is_over:
                return
            await asking.ask(groups)

    def _slices(self, wanted: Sequence[str]) -> Iterator[list[list[Tile]]]:
        groups = self._tier.groups(wanted)
        for at in range(0, len(groups), _SLICE):
            yield [[Tile(self._tier.view(tile_id)) for tile_id in group] for group in groups[at : at + _SLICE]]


def _fail(line: str) -> None:
    raise AssertionError(f"no endpoint is to be stopped here: {line}")
