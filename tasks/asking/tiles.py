"""Asking for the captions of one captioner: claim, grant, send, caption, settle, in this order.

A crash between two steps leaves a claim that lapses or a request counted for nothing, never an uncounted one. What an
answer lacks is asked again in line, in smaller groups, until a tile has had its attempts; then it has failed, with a
code.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tasks.asking.commits import GroupCommit
from tasks.asking.granting import Books, Gate, StoppedError
from tasks.asking.grouping import group_size
from tasks.asking.replies import Asked, Part, match
from tasks.asking.requests import Questions
from tasks.captions.claims import RENEWED, Claims, Finish, Take
from tasks.captions.state import Caption
from tasks.endpoints.answers import Answered, RowFailed
from tasks.endpoints.pool import Delivery, NoEndpointError, NoSlotError, Pool
from tasks.quota.terms import Grant
from tasks.wording.prompts import TileView

_MOST_ROOM = 4
"""How many times its usual room an answer gets at most that was cut off."""


@dataclass(frozen=True, eq=False)
class Tile:
    """A tile to be asked about.

    Attributes:
        view: what is known of it.
        version: the version that its caption will be.
    """

    view: TileView
    version: int = 1

    @property
    def tile_id(self) -> str:
        """Its ID."""
        return self.view.tile_id


@dataclass(eq=False)
class _Trial:
    """A tile while it is asked about.

    Attributes:
        tile: the tile.
        asked: what a reply is held against.
        key: the key under which its caption is kept.
        room: how many times the usual room its next answer gets.
        attempts: those that were this tile's own.
    """

    tile: Tile
    asked: Asked
    key: str
    room: int = 1
    attempts: int = 0


@dataclass
class Progress:
    """What has come of asking so far.

    Attributes:
        done: tiles with a caption.
        failed: tiles without, by code.
        busy: tiles that somebody else is asking about, or has asked about meanwhile.
    """

    done: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    busy: int = 0

    @property
    def total(self) -> int:
        """Tiles that are dealt with."""
        return self.done + self.failed.total() + self.busy


class Asking:
    """Asks one captioner's endpoints, within one event loop.

    Args:
        questions: how it asks.
        pool: its endpoints.
        claims: on its tiles.
        books: the ledger of all requests.
        gate: what every attempt passes.
        attempts: most of one tile.
    """

    def __init__(
        self,
        questions: Questions,
        pool: Pool[Grant],
        claims: Claims,
        books: Books,
        gate: Gate,
        attempts: int,
    ) -> None:
        self.progress = Progress()
        self.end: NoSlotError | NoEndpointError | None = None
        self._questions = questions
        self._pool = pool
        self._claims = claims
        self._books = books
        self._gate = gate
        self._attempts = attempts
        self._work: GroupCommit[Take | Finish, set[str]] = GroupCommit(claims.work)
        # Twice as many as are in flight: while half of them are kept in the database, the others are sent.
        places = sum(member.connection.target.concurrency for member in pool.members)
        self._room = asyncio.Semaphore(2 * places)
        self._open: set[asyncio.Task[None]] = set()

    @property
    def is_over(self) -> bool:
        """Whether nothing more is asked: no quota, no endpoint, or the command is ending."""
        return self.end is not None or self._gate.stopping

    async def ask(self, groups: Sequence[Sequence[Tile]]) -> None:
        """Asks about groups of tiles, one request a group, until each has its captions or has failed.

        Returns early, with tiles left over, once `is_over`.

        Raises:
            EarthscribeError: a database failed.
        """
        tasks = [asyncio.create_task(self._ask_group(group)) for group in groups]
        self._open.update(tasks)
        try:
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            self._open.difference_update(tasks)
        for one in ended:
            if isinstance(one, Exception):
                raise one

    async def stop(self, patience: float) -> None:
        """Sends nothing more, waits for the answers under way, and gives up what is left after so many seconds."""
        self._gate.stopping = True
        for task in self._open - self._gate.sending:
            task.cancel()
        if self._open:
            _, late = await asyncio.wait(self._open, timeout=patience)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    async def renewing(self) -> None:
        """Renews the claims, for ever."""
        while True:
            await asyncio.sleep(RENEWED)
            await asyncio.to_thread(self._claims.renew)

    async def _ask_group(self, tiles: Sequence[Tile]) -> None:
        async with self._room:
            if self.is_over:
                return
            left: dict[str, _Trial] = {}
            try:
                mine = await self._work(Take({tile.tile_id: tile.version for tile in tiles}))
                self.progress.busy += len(tiles) - len(mine)
                left = {tile.tile_id: self._trial(tile) for tile in tiles if tile.tile_id in mine}
                await self._ask_until_done(left)
            except (NoSlotError, NoEndpointError) as end:
                self.end = self.end or end
            except StoppedError:
                pass
            except Exception:
                self._gate.stopping = True  # a database fails: nothing that is bought could be kept
                raise
            finally:
                if left:
                    self._books.later(self._give_up(list(left)))

    def _trial(self, tile: Tile) -> _Trial:
        return _Trial(tile, Asked.of(tile.tile_id, tile.view.counts[0]), self._questions.key(tile.view))

    async def _give_up(self, tile_ids: Sequence[str]) -> None:
        await self._work(Finish((), tuple(tile_ids)))

    async def _ask_until_done(self, left: dict[str, _Trial]) -> None:
        """Asks again until nothing is left; what is done is taken out at once."""
        queue: deque[Sequence[_Trial]] = deque([list(left.values())] if left else [])
        while queue:
            group = queue.popleft()
            again = await self._ask_once(group)
            for trial in group:
                if trial not in again:
                    del left[trial.tile.tile_id]
            size = group_size(len(group), failures=1)
            queue.extend(again[at : at + size] for at in range(0, len(again), size))

    async def _ask_once(self, group: Sequence[_Trial]) -> list[_Trial]:
        """One request; returns the tiles that are to be asked again."""
        room = max(trial.room for trial in group)
        request = self._questions.request([trial.tile.view for trial in group], room)
        delivery = await self._pool.ask(request.body, request.tokens)
        try:
            parts = _parts(delivery, group)
            again = [
                trial
                for trial, part in zip(group, parts, strict=True)
                if self._is_to_be_asked_again(trial, part, delivery, len(group))
            ]
            ended = [(trial, part) for trial, part in zip(group, parts, strict=True) if trial not in again]
            if ended:
                await self._keep(delivery, ended)
        finally:
            await delivery.settle()
        return again

    def _is_to_be_asked_again(self, trial: _Trial, part: Part, delivery: Delivery[Grant], size: int) -> bool:
        if part.text is not None:
            return False
        outcome = delivery.exchange.outcome
        of_all = isinstance(outcome, RowFailed)
        if of_all and size > 1:
            return True  # what is wrong with a whole group says nothing of one tile; groups of one end this
        if isinstance(outcome, RowFailed) and (not outcome.again or delivery.grant is None):
            return False
        if part.code == "cut_off":
            trial.room = min(_MOST_ROOM, 2 * trial.room)
        trial.attempts += 1
        return trial.attempts < self._attempts

    async def _keep(self, delivery: Delivery[Grant], ended: Sequence[tuple[_Trial, Part]]) -> None:
        """Keeps captions and ends their claims."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        captions = tuple(self._caption(trial, part, delivery, now) for trial, part in ended)
        await self._work(Finish(captions, tuple(trial.tile.tile_id for trial, _ in ended)))
        for caption in captions:
            if caption.text is None:
                self.progress.failed[caption.reason or ""] += 1
            else:
                self.progress.done += 1

    def _caption(self, trial: _Trial, part: Part, delivery: Delivery[Grant], now: str) -> Caption:
        return Caption(
            tile_id=trial.tile.tile_id,
            captioner=self._claims.captioner,
            text=part.text,
            status="failed" if part.text is None else "unchecked",
            created_at=now,
            raw=part.raw or None,
            model=delivery.member.connection.target.model,
            prompt_sha256=trial.key,
            # The ledger's own name for the request: an endpoint's may come twice.
            request_id=delivery.grant.id if delivery.grant else None,
            reason=part.code,
            version=trial.tile.version,
        )


def _parts(delivery: Delivery[Grant], group: Sequence[_Trial]) -> Sequence[Part]:
    outcome = delivery.exchange.outcome
    if isinstance(outcome, Answered):
        return match(outcome.text, outcome.finish, [trial.asked for trial in group])
    if isinstance(outcome, RowFailed):
        return [Part(trial.tile.tile_id, None, "", outcome.code) for trial in group]
    raise AssertionError(f"a pool delivers answers and failures of rows, not {outcome}")
