"""Asking endpoints from within a flow: one event loop beside it, and task runs that wait for its answers."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AsyncExitStack, contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias, cast

from prefect.blocks.system import Secret
from pydantic import SecretStr

from flows.display.terminal import Bar, warn
from flows.runtime.ending import heed, patience
from flows.runtime.event_loop import EventLoop, event_loop
from flows.runtime.steps import step
from tasks.asking.accounts import campaign_of, endpoint_name, limits_of
from tasks.asking.granting import Books, Gate, LedgerGrants
from tasks.asking.material import Groups, Material, gather
from tasks.asking.requests import questions_of
from tasks.asking.tiles import Asking, Tile
from tasks.captions.claims import Claims
from tasks.captions.owners import this_process
from tasks.captions.state import State
from tasks.captions.wanting import Versions
from tasks.configuration import Campaign, Captioner
from tasks.endpoints.client import Connection, Target
from tasks.endpoints.pool import Member, NoEndpointError, NoSlotError, Pool
from tasks.errors import InputError
from tasks.places import dataset_of
from tasks.planning.choosing import survey_of
from tasks.planning.survey import Survey
from tasks.quota.days import day_seconds
from tasks.quota.ledger import Ledger
from tasks.quota.terms import Ask, Grant

_AHEAD = 64
"""Requests for which maps are read at once, where each is a task run."""

_NAMED = 4
"""Tiles that the name of a request tells."""

_LATE = 5.0
"""Seconds beyond a request's time-out until the ledger takes it for ended."""

GRACE = 20.0
"""Seconds for answers under way when a run is ended: 30 after it is cancelled, a Prefect worker kills its process."""

_SECRET_BLOCK = "prefect-secret:"  # noqa: S105 - says where a secret is


_Prepare: TypeAlias = Callable[[Sequence[tuple[int, ...]]], list[list[Tile]]]
"""Gives the tiles of groups of rows, ready to be asked about."""


@dataclass(frozen=True)
class Asked:
    """What came of asking for one captioner.

    Attributes:
        done: tiles captioned.
        failed: tiles that have no caption for good, by code.
        left: tiles that wait.
        busy: tiles that another run asks about.
        next_slot: seconds since the epoch at which the quota has room again; None if it has, or nothing is left.
        unusable: why no endpoint can be used; None if one can.
        unreadable: tiles whose map cannot be read, with the reason.
    """

    done: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    left: int = 0
    busy: int = 0
    next_slot: float | None = None
    unusable: str | None = None
    unreadable: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether more could be asked: an endpoint can be used, and the quota is not out."""
        return self.unusable is None and self.next_slot is None and not self.left

    def then(self, later: Asked) -> Asked:
        """This and what was asked afterwards together."""
        slots = [slot for slot in (self.next_slot, later.next_slot) if slot is not None]
        return Asked(
            self.done + later.done,
            self.failed + later.failed,
            self.left + later.left,
            self.busy + later.busy,
            min(slots, default=None),
            self.unusable or later.unusable,
            {**self.unreadable, **later.unreadable},
        )


def ask_endpoints(
    config: Campaign,
    captioner: Captioner,
    wanted: Versions,
    state: State,
    ledger: Ledger,
    gate: Gate,
    bar: Bar,
    task_runs: int,
    faults: Mapping[str, str] | None = None,
) -> Asked:
    """Asks for captions until there are none to ask for, the quota is out, or no endpoint can be used.

    Args:
        config: the campaign.
        captioner: one that asks endpoints.
        wanted: the tiles.
        state: where the captions are kept.
        ledger: where the requests are counted.
        gate: what every attempt passes.
        bar: shows how far it is.
        task_runs: requests up to which each is a task run of its own; more of them are cut into fewer slices.
        faults: of tiles that are asked about again, what was wrong with their captions.

    Raises:
        InputError: a key is missing, or the templates cannot be used.
        EarthscribeError: a database failed.
    """
    keys = [_key(endpoint.api_key) for endpoint in captioner.pool]
    material = gather(dataset_of(config), list(wanted), placed=captioner.recipe == "vision")
    groups = material.groups(captioner.images_per_request)
    found = survey_of(config) if captioner.recipe == "vision" else None
    claims = Claims(state, captioner.name, this_process())
    claims.drop_dead()
    unreadable: dict[str, str] = {}

    def prepared(portion: Sequence[tuple[int, ...]]) -> list[list[Tile]]:
        return list(_prepared(material, portion, wanted, faults or {}, found, unreadable))

    with event_loop() as loop, _opened(loop, config, captioner, keys, claims, ledger, gate) as asking:
        loop.start(asking.renewing())
        work = _Work(captioner, loop, asking, bar, len(groups), task_runs)
        with patience(GRACE):
            work.do(groups, prepared)
        made = asking.progress
        end = asking.end
    left = len(wanted) - made.total - len(unreadable)
    return Asked(
        made.done,
        made.failed,
        left,
        made.busy,
        _next_slot(end) if left else None,
        str(end) if isinstance(end, NoEndpointError) else None,
        unreadable,
    )


class _Work:
    """The task runs of one captioner."""

    def __init__(
        self, captioner: Captioner, loop: EventLoop, asking: Asking, bar: Bar, requests: int, task_runs: int
    ) -> None:
        self._captioner = captioner
        self._loop = loop
        self._asking = asking
        self._bar = bar
        self._shown = 0
        self._each_alone = requests <= task_runs
        places = sum(endpoint.concurrency for endpoint in captioner.pool)
        self._size = _AHEAD if self._each_alone else max(_AHEAD, 4 * places, math.ceil(requests / task_runs))
        # A slice is followed by the next before its slowest request is answered.
        self._threads = min(2 * places, 128) if self._each_alone else 3

    def do(self, groups: Groups, prepared: _Prepare) -> None:
        """Asks about all groups, or until nothing more can be asked."""
        threads = ThreadPoolExecutor(self._threads, "asking")
        under_way: set[Future[None]] = set()
        try:
            for at in range(0, len(groups), self._size):
                if self._asking.is_over:
                    break
                for name, tags, part in self._named(at, prepared(groups[at : at + self._size])):
                    work = partial(step, name, partial(self._ask, part), *tags)
                    under_way.add(threads.submit(copy_context().run, work))
                under_way = self._waited(under_way, most=self._threads if self._each_alone else self._threads - 1)
            self._waited(under_way, most=0)
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)  # what has not begun has no task run to show
            self._loop.wait(self._asking.stop(GRACE))
            raise
        finally:
            threads.shutdown()

    def _ask(self, part: Sequence[Sequence[Tile]]) -> None:
        self._loop.wait(self._asking.ask(part))

    def _named(
        self, at: int, portion: Sequence[Sequence[Tile]]
    ) -> Iterator[tuple[str, Sequence[str], Sequence[Sequence[Tile]]]]:
        """Task runs by name; with tags where each does so much that these cost little beside it."""
        name = self._captioner.name
        if not self._each_alone:
            yield f"{name}: requests {at + 1} to {at + len(portion)}", ("captions", name), portion
            return
        for group in portion:
            yield f"{name}: {_called(group)}", (), [group]

    def _waited(self, under_way: set[Future[None]], most: int) -> set[Future[None]]:
        """Waits until so few are under way; shows how far it is."""
        while len(under_way) > most:
            heed()
            ended, under_way = wait(under_way, 0.5, FIRST_COMPLETED)
            total = self._asking.progress.total
            self._bar.advance(total - self._shown)
            self._shown = total
            for one in ended:
                if not one.cancelled():
                    one.result()
            if self._asking.is_over:  # those that have not begun would find nothing to do
                for one in under_way:
                    one.cancel()
        return under_way


def _called(group: Sequence[Tile]) -> str:
    """What people call a request: the tiles in it, or the first of them."""
    named = " ".join(tile.tile_id for tile in group[:_NAMED])
    return named if len(group) <= _NAMED else f"{named} and {len(group) - _NAMED} more"


def present_keys(config: Campaign, captioner: Captioner, tile_ids: Sequence[str]) -> dict[str, str]:
    """The keys under which today's answers for some tiles would be kept; none for one whose map cannot be read."""
    questions = questions_of(captioner)
    material = gather(dataset_of(config), tile_ids, placed=captioner.recipe == "vision")
    rows = range(len(material.tile_ids))
    if captioner.recipe == "vision":
        views, _ = material.views_with_maps(rows, survey_of(config))
    else:
        views = material.views(rows)
    return {view.tile_id: questions.key(view) for view in views}


@contextmanager
def _opened(
    loop: EventLoop,
    config: Campaign,
    captioner: Captioner,
    keys: Sequence[str | None],
    claims: Claims,
    ledger: Ledger,
    gate: Gate,
) -> Iterator[Asking]:
    """Connections to a captioner's endpoints for the block's length."""
    stack = AsyncExitStack()
    books = Books(ledger)

    async def opened() -> Asking:
        members = []
        for endpoint, key in zip(captioner.pool, keys, strict=True):
            target = Target(endpoint.endpoint, endpoint.model, key, endpoint.concurrency, captioner.timeout)
            connection = await stack.enter_async_context(Connection(target, day=day_seconds()))
            ask = Ask(
                endpoint.account,
                limits_of(endpoint),
                campaign_of(config),
                captioner.name,
                endpoint_name(endpoint),
                claims.owner,
                captioner.timeout + _LATE,
            )
            members.append(Member[Grant](connection, LedgerGrants(books, gate, ask)))
        pool = Pool(members, warn=lambda line: warn(f"captioner {captioner.name}: {line}"))
        return Asking(questions_of(captioner), pool, claims, books, gate, captioner.attempts)

    async def closed() -> None:
        await books.drained()
        await stack.aclose()

    try:
        yield loop.wait(opened())
    finally:
        loop.wait(closed())
        claims.end_all()


def _prepared(
    material: Material,
    portion: Sequence[tuple[int, ...]],
    wanted: Versions,
    faults: Mapping[str, str],
    found: Survey | None,
    unreadable: dict[str, str],
) -> Iterator[list[Tile]]:
    rows = [row for group in portion for row in group]
    if found is None:
        views = material.views(rows)
    else:
        views, more = material.views_with_maps(rows, found)
        unreadable.update(more)
    by_id = {view.tile_id: replace(view, fault=faults.get(view.tile_id)) for view in views}
    for group in portion:
        ids = [material.tile_ids[row] for row in group]
        if tiles := [Tile(by_id[tile_id], wanted[tile_id]) for tile_id in ids if tile_id in by_id]:
            yield tiles


def _next_slot(end: NoSlotError | NoEndpointError | None) -> float | None:
    if not isinstance(end, NoSlotError) or math.isinf(end.wait):
        return None
    return time.time() + end.wait


def _key(configured: SecretStr | None) -> str | None:
    """A key as it is sent. Those in Prefect's blocks are read here, and kept nowhere."""
    if configured is None:
        return None
    key = configured.get_secret_value()
    if not key.startswith(_SECRET_BLOCK):
        return key
    name = key.removeprefix(_SECRET_BLOCK)
    try:
        kept = cast(Secret[Any], Secret.load(name)).get()
    except ValueError as error:
        raise InputError(f"api_key: Prefect has no secret block called {name!r}; make it, or name another") from error
    return kept if isinstance(kept, str) else str(kept)
