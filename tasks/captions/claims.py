"""Claims: which tile is being asked about, and by whom, so that no two pay for the same caption.

A claim is taken before a request is sent, and ends in the transaction that keeps the caption. One whose owner has died
on this host is seen at once, on another when it expires. An answer that comes after its claim has lapsed is kept if
nobody else's came first: of two captions of one version the database keeps one.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, func, select

from tasks.captions.owners import dead
from tasks.captions.schema import captions, claims
from tasks.captions.state import KIND, VARIANT, Caption, State
from tasks.database import clear_errors, insert_new, writing
from tasks.quota.clock import ServerClock

_LASTS = 120_000_000
"""Microseconds that a claim lasts."""

RENEWED = 30.0
"""Seconds after which an owner renews its claims."""


@dataclass(frozen=True)
class Take:
    """Tiles that somebody wants to ask about.

    Attributes:
        versions: the version that the answer will be, by tile ID.
    """

    versions: dict[str, int]


@dataclass(frozen=True)
class Finish:
    """Tiles whose work is done, or given up.

    Attributes:
        captions: what has come of it; none where it is given up.
        tile_ids: whose claims end.
    """

    captions: tuple[Caption, ...]
    tile_ids: tuple[str, ...]


@dataclass(frozen=True)
class Claims:
    """The claims of one owner on the tiles of one captioner.

    Every method raises `EarthscribeError` where the database fails it, naming it.

    Attributes:
        state: where the captions are kept.
        captioner: the captioner's name.
        owner: see `tasks.captions.owners`.
    """

    state: State
    captioner: str
    owner: str

    def work(self, items: Sequence[Take | Finish]) -> list[set[str]]:
        """Ends claims and takes new ones, all in one transaction.

        Returns:
            For each item the tiles that are now claimed: those asked for that nobody else has, and that have no such
            version yet.
        """
        finished = [item for item in items if isinstance(item, Finish)]
        wanted = {id: version for item in items if isinstance(item, Take) for id, version in item.versions.items()}
        taken: set[str] = set()
        with clear_errors(self.state.engine), writing(self.state.engine).begin() as connection:
            self._in_turn(connection)
            if finished:
                made = [caption for item in finished for caption in item.captions]
                if made:
                    self.state.insert(connection, made)
                self._end(connection, [tile_id for item in finished for tile_id in item.tile_ids])
            if wanted:
                taken = self._take(connection, wanted)
        return [taken & item.versions.keys() if isinstance(item, Take) else set() for item in items]

    def renew(self) -> None:
        """Makes the claims last anew."""
        with clear_errors(self.state.engine), writing(self.state.engine).begin() as connection:
            mine = and_(self._ours(), claims.c.owner == self.owner)
            connection.execute(claims.update().where(mine).values(expires=_now(connection) + _LASTS))

    def end_all(self) -> None:
        """Ends every claim of this owner."""
        with clear_errors(self.state.engine), writing(self.state.engine).begin() as connection:
            connection.execute(claims.delete().where(and_(self._ours(), claims.c.owner == self.owner)))

    def drop_dead(self) -> int:
        """Ends the claims of owners that are dead; returns how many these were."""
        with clear_errors(self.state.engine), self.state.engine.connect() as connection:
            owners = connection.scalars(select(claims.c.owner).where(self._ours()).distinct()).all()
        gone = dead(owners)
        if not gone:
            return 0
        with clear_errors(self.state.engine), writing(self.state.engine).begin() as connection:
            return connection.execute(claims.delete().where(and_(self._ours(), claims.c.owner.in_(gone)))).rowcount

    def _take(self, connection: Connection, wanted: dict[str, int]) -> set[str]:
        now = _now(connection)
        lapsed = and_(self._these(wanted), claims.c.expires <= now)
        connection.execute(claims.delete().where(lapsed))
        # In one order everywhere: two who take the same tiles then wait for each other one way only.
        rows = [self._row(tile_id, now + _LASTS) for tile_id in sorted(wanted)]
        statement = insert_new(self.state.engine, claims).returning(claims.c.tile_id)
        taken = set(connection.scalars(statement, rows))
        # Only now: who held a claim until a moment ago has kept a caption together with its end.
        done = {tile_id for tile_id, version in self._versions(connection, taken) if version >= wanted[tile_id]}
        self._end(connection, done)
        return taken - done

    def _in_turn(self, connection: Connection) -> None:
        """On PostgreSQL a captioner's writers follow each other, as on SQLite all do: so none can block another."""
        if connection.dialect.name == "postgresql":
            key = zlib.crc32(f"{self.state.campaign} {self.captioner}".encode())
            connection.execute(select(func.pg_advisory_xact_lock(key)))

    def _end(self, connection: Connection, tile_ids: Iterable[str]) -> None:
        chosen = and_(self._these(tile_ids), claims.c.owner == self.owner)
        connection.execute(claims.delete().where(chosen))

    def _versions(self, connection: Connection, tile_ids: set[str]) -> Iterable[tuple[str, int]]:
        query = select(captions.c.tile_id, func.max(captions.c.version)).where(
            captions.c.dataset == self.state.campaign,
            captions.c.captioner == self.captioner,
            captions.c.kind == KIND,
            captions.c.variant == VARIANT,
            captions.c.tile_id.in_(sorted(tile_ids)),
        )
        return [(row[0], row[1]) for row in connection.execute(query.group_by(captions.c.tile_id))]

    def _row(self, tile_id: str, expires: int) -> dict[str, object]:
        return {
            "dataset": self.state.campaign,
            "captioner": self.captioner,
            "kind": KIND,
            "variant": VARIANT,
            "tile_id": tile_id,
            "owner": self.owner,
            "expires": expires,
        }

    def _ours(self) -> ColumnElement[bool]:
        return and_(
            claims.c.dataset == self.state.campaign,
            claims.c.captioner == self.captioner,
            claims.c.kind == KIND,
            claims.c.variant == VARIANT,
        )

    def _these(self, tile_ids: Iterable[str]) -> ColumnElement[bool]:
        return and_(self._ours(), claims.c.tile_id.in_(sorted(tile_ids)))


def claimed(state: State, captioner: str) -> set[str]:
    """The tiles that are being asked about, by whomever, as far as that is believed."""
    with clear_errors(state.engine), state.engine.connect() as connection:
        query = select(claims.c.tile_id, claims.c.owner).where(
            claims.c.dataset == state.campaign,
            claims.c.captioner == captioner,
            claims.c.kind == KIND,
            claims.c.variant == VARIANT,
            claims.c.expires > _now(connection),
        )
        rows = connection.execute(query).all()
    gone = set(dead({row.owner for row in rows}))
    return {row.tile_id for row in rows if row.owner not in gone}


def _now(connection: Connection) -> int:
    """Microseconds since the epoch, by the one clock that all owners of a database have."""
    if connection.dialect.name == "postgresql":
        return ServerClock().now(connection)
    return time.time_ns() // 1000
