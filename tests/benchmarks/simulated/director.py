"""Directs a simulated campaign: moves the clock on, is the endpoints, and kills workers.

Time moves only when every worker waits for it. Requests reach their endpoint at instants of their own, answers come on
whole ticks, many at once, so that the workers do their work at the same time and meet each other in the databases.
"""

from __future__ import annotations

import heapq
import itertools
import multiprocessing
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from typing import Any

from tasks.fake_llm.answers import Reply
from tasks.fake_llm.books import Books
from tasks.fake_llm.endpoint import Endpoint, Settings
from tasks.fake_llm.limits import CIVIL_DAY, Quota
from tests.benchmarks.simulated.clock import SECOND, SharedClock
from tests.benchmarks.simulated.tiers import Tier
from tests.benchmarks.simulated.worker import Place, work

_TICK = 10 * SECOND
_LONGEST = 20 * SECOND
"""How long an endpoint takes for an answer at most."""

_MOST_DELAY = 0.02
"""Seconds, real ones, by which a kill comes later than the request that it follows: any step may be under way."""


@dataclass
class _Worker:
    process: ForkServerProcess
    pipe: Pipe
    told: int = 0
    is_idle: bool = False
    until: int | None = None
    is_done: bool = False


@dataclass
class Trace:
    """What the endpoints saw.

    Attributes:
        arrivals: of the requests of each tier, microseconds, in order.
        audits: the books of each endpoint.
        kills: how many workers were killed.
        in_flight: requests that a killed worker waited for, in all.
    """

    arrivals: dict[str, list[int]] = field(default_factory=dict)
    audits: dict[str, dict[str, Any]] = field(default_factory=dict)
    kills: int = 0
    in_flight: int = 0


class Director:
    """Runs one campaign.

    Args:
        place: where its databases are.
        tiers: its captioners.
        workers: processes at once.
        kills: how many of them are killed on the way; each is followed by another.
        seed: draws latencies, kills and victims.
    """

    def __init__(self, place: Place, tiers: Sequence[Tier], workers: int, kills: int, seed: int = 0) -> None:
        self._place = place
        self._tiers = tuple(tiers)
        self._clock = SharedClock(place.clock)
        self._instant = self._clock.now()
        self._random = random.Random(seed)
        self._events: list[tuple[int, int, Any]] = []
        self._numbers = itertools.count()
        self._endpoints = {tier.name: Endpoint(_settings(tier), Books(CIVIL_DAY), self._seconds) for tier in tiers}
        self._trace = Trace({tier.name: [] for tier in tiers})
        self._sent_so_far = 0
        requests = sum(tier.tiles // tier.size for tier in tiers)
        self._kills = sorted(self._random.sample(range(1, int(0.98 * requests)), kills), reverse=True)
        self._strike: float | None = None
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([work.__module__])
        self._workers = [self._started() for _ in range(workers)]

    def run(self) -> Trace:
        """Runs it to its end.

        Raises:
            RuntimeError: a worker ended that was not killed.
        """
        try:
            while self._workers:
                busy = [worker.pipe for worker in self._workers if not worker.is_idle]
                if busy or self._strike is not None:
                    self._listen()
                else:
                    self._move_on()
        finally:
            for worker in self._workers:
                worker.process.kill()
                worker.process.join()
        self._trace.audits = {name: endpoint.books.audit() for name, endpoint in self._endpoints.items()}
        return self._trace

    def _started(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=work, args=(self._place, self._tiers, theirs), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _seconds(self) -> float:
        return self._instant / SECOND

    def _listen(self) -> None:
        """Reads what workers say, and kills one when its time has come."""
        patience = None if self._strike is None else max(0.0, self._strike - time.monotonic())
        pipes = {worker.pipe: worker for worker in self._workers}
        for pipe in wait(list(pipes), patience):
            worker = pipes[pipe]  # type: ignore[index]
            try:
                self._hear(worker, worker.pipe.recv())
            except EOFError:
                self._ended(worker)
        if self._strike is not None and time.monotonic() >= self._strike:
            self._strike = None
            self._kill(self._random.choice(self._workers))

    def _hear(self, worker: _Worker, said: tuple[Any, ...]) -> None:
        match said:
            case ("idle", until, heard):
                worker.is_idle = heard == worker.told
                worker.until = until
            case ("request", number, tier, body):
                self._sent(worker, number, tier, body)
            case ("done",):
                worker.is_done = True

    def _sent(self, worker: _Worker, number: int, tier: str, body: bytes) -> None:
        now = self._clock.now()
        answered = now + self._random.randint(1, _LONGEST)
        self._plan(self._random.randint(now + 1, answered), ("arrival", worker, number, tier, body, answered))
        self._sent_so_far += 1
        if self._kills and self._sent_so_far >= self._kills[-1] and self._strike is None:
            self._kills.pop()
            self._strike = time.monotonic() + self._random.uniform(0, _MOST_DELAY)

    def _plan(self, instant: int, event: tuple[Any, ...]) -> None:
        heapq.heappush(self._events, (instant, next(self._numbers), event))

    def _kill(self, victim: _Worker) -> None:
        victim.process.kill()
        victim.process.join()
        try:
            while True:  # what it sent before its death is on its way
                self._hear(victim, victim.pipe.recv())
        except (EOFError, OSError):  # the second where it died amid a message
            pass
        self._trace.kills += 1
        self._trace.in_flight += sum(event[2][1] is victim for event in self._events)
        self._workers[self._workers.index(victim)] = self._started()

    def _ended(self, worker: _Worker) -> None:
        worker.process.join()
        self._workers.remove(worker)
        if not worker.is_done or worker.process.exitcode:
            raise RuntimeError(f"a worker ended with {worker.process.exitcode}; its traceback stands above")

    def _move_on(self) -> None:
        """Moves to the next instant at which a worker has something to do; what reaches an endpoint before is taken."""
        wakes = [worker.until for worker in self._workers if worker.until is not None]
        replies: dict[int, list[tuple[int, Reply]]] = {}
        if not wakes and not self._events:
            raise RuntimeError("every worker waits, and for nothing")
        now = min(wakes, default=2**62)
        while self._events and self._events[0][0] <= now:
            self._instant, _, event = heapq.heappop(self._events)
            if event[0] == "arrival":
                self._take(*event[1:])
                continue
            _, worker, number, reply = event
            now = self._instant
            replies.setdefault(id(worker), []).append((number, reply))
        self._clock.set(now)
        self._instant = now
        for worker in self._workers:
            mine = replies.get(id(worker), [])
            if mine or (worker.until is not None and worker.until <= now):
                worker.is_idle = False
                worker.told += 1
                worker.pipe.send([(number, reply.status, reply.headers, reply.body) for number, reply in mine])

    def _take(self, worker: _Worker, number: int, tier: str, body: bytes, answered: int) -> None:
        self._trace.arrivals[tier].append(self._instant)
        reply = self._endpoints[tier].chat("", body)
        self._plan(-(-answered // _TICK) * _TICK, ("answer", worker, number, reply))


def _settings(tier: Tier) -> Settings:
    return Settings(Quota(requests_per_day=tier.daily, window=tier.window))
