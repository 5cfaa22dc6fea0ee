"""Where a campaign's captions are kept, with their whole history: its `state`.

A caption is never changed. What comes after it (a mended text, a reviewer's verdict, another answer) is a further
version of it, so that before and after can always be shown. Keeping a version that is there already does nothing,
whoever kept it first: work can be repeated, or done by two at once, without harm.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import groupby, islice
from operator import attrgetter
from os import path
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import URL, ColumnElement, Connection, Engine, Row, Select, and_, func, select

from tasks.captions.schema import UPGRADES
from tasks.captions.schema import captions as _captions
from tasks.database import clear_errors, database_file, insert_new, open_database, writing

Status = Literal["pending", "unchecked", "accepted", "mended", "edited", "flagged", "rejected", "failed"]
"""How a tile's caption stands. A tile is `pending` by having no version, or by a version that says that its text was
checked and is asked for again."""

Present = Callable[[str, str | None, str | None], bool]
"""Whether a version of this tile ID, model and prompt_sha256 is what would be asked, and of whom, today."""

KIND = "description"
VARIANT = 0

RAW_BYTES = 8192
"""What is kept of an answer's part for one tile: ten times a caption's size, so that a model that runs on cannot fill
the disk."""

_BATCH = 1000
_AT_ONCE = 500
"""Tiles that one query names."""

_PLACE = ("kind", "variant", "tile_id", "version")
_NO_TEXT = dict.fromkeys([0, *range(0xD800, 0xE000)], "\N{REPLACEMENT CHARACTER}")


@dataclass(frozen=True, slots=True)
class Caption:
    """One version of a tile's caption.

    Attributes:
        tile_id: the tile.
        captioner: the captioner's name in the configuration.
        text: the caption; None where there is none, as after a failure.
        status: how it stands.
        created_at: when it was made, ISO 8601 in UTC.
        raw: the tile's part of the answer, as it came.
        flags: the check codes raised against it.
        model: the model that answered.
        prompt_sha256: what was asked, as the contract's caching key has it.
        request_id: the request that it answers.
        reason: why this version is there: a failure's code, a mending's or a reviewer's reason.
        reviewer: who judged it.
        reviewed_at: when, ISO 8601 in UTC.
        kind: what sort of text it is.
        variant: which of several of that sort.
        version: counts from 1 for each tile, captioner, kind and variant.
        revises: the version that this one was made from, or the verdict that it takes back; None for an answer. A
            request has one answer for a tile.
    """

    tile_id: str
    captioner: str
    text: str | None
    status: Status
    created_at: str
    raw: str | None = None
    flags: tuple[str, ...] = ()
    model: str | None = None
    prompt_sha256: str | None = None
    request_id: str | None = None
    reason: str | None = None
    reviewer: str | None = None
    reviewed_at: str | None = None
    kind: str = KIND
    variant: int = VARIANT
    version: int = 1
    revises: int | None = None


_FIELDS = [field.name for field in fields(Caption)]
_COLUMNS = [_captions.c[name] for name in _FIELDS]
_ORDER = [_captions.c[name] for name in _PLACE]
_place = attrgetter("captioner", *_PLACE)


@dataclass(frozen=True, slots=True)
class Standing:
    """How the newest version of a tile stands.

    Attributes:
        tile_id: the tile.
        version: the newest version's number.
        status: its status.
        reason: why it is there.
    """

    tile_id: str
    version: int
    status: Status
    reason: str | None


@dataclass(frozen=True)
class State:
    """The captions of one campaign, in a database that may hold others too.

    Every method raises `EarthscribeError` where the database fails it (locked, full, gone), naming it.

    Attributes:
        engine: the open database.
        campaign: whose captions these are, see `campaign_key`.
    """

    engine: Engine
    campaign: str

    def add(self, captions: Iterable[Caption]) -> int:
        """Keeps captions, a batch a transaction; passes over a version, or a request's answer, that is there already.

        A later version is kept by giving its number: of two who write version 4 at once, one does, and the other
        is told by the count. Characters that no database takes (NUL, lone surrogates) become U+FFFD, and an answer's
        part is cut at `RAW_BYTES`: a bought answer is never lost to them.

        Args:
            captions: any number of them, taken one batch at a time.

        Returns:
            How many are new.
        """
        remaining = iter(captions)
        added = 0
        while batch := list(islice(remaining, _BATCH)):
            with clear_errors(self.engine), writing(self.engine).begin() as connection:
                added += self.insert(connection, batch)
        return added

    def restore(self, captions: Iterable[Caption]) -> int:
        """Fills an empty state, all at once or not at all; does nothing to one that holds captions.

        Args:
            captions: every version of every captioner, as `tasks.captions.table.read_versions` gives them.

        Returns:
            How many were put back.
        """
        remaining = iter(captions)
        restored = 0
        with clear_errors(self.engine), writing(self.engine).begin() as connection:
            if not self._holds_any(connection):
                while batch := list(islice(remaining, _BATCH)):
                    restored += self.insert(connection, batch)
        return restored

    def is_empty(self) -> bool:
        """Whether the campaign has no caption at all."""
        with clear_errors(self.engine), self.engine.connect() as connection:
            return not self._holds_any(connection)

    def size(self) -> int:
        """How many versions are kept of all captions."""
        query = select(func.count()).select_from(_captions).where(_captions.c.dataset == self.campaign)
        with clear_errors(self.engine), self.engine.connect() as connection:
            return int(connection.scalar(query) or 0)

    def missing(self, captioner: str, tile_ids: Iterable[str]) -> list[str]:
        """The tiles, in the order given, of which there is no version yet; one that failed is not among them."""
        query = select(_captions.c.tile_id).where(self._descriptions(captioner))
        there = {row.tile_id for row in self._stream(query)}
        return [tile_id for tile_id in tile_ids if tile_id not in there]

    def versions(self, captioner: str) -> Iterator[Caption]:
        """Every version by a captioner, ordered by kind, variant, tile ID and version."""
        query = select(*_COLUMNS).where(self._of(captioner)).order_by(*_ORDER)
        return (_caption(row) for row in self._stream(query))

    def history(self, captioner: str, tile_id: str) -> list[Caption]:
        """Every version of a tile's caption, oldest first."""
        return next(self.histories(captioner, [tile_id]), [])

    def machine_made(self, captioner: str) -> Iterator[tuple[str, Status, tuple[str, ...]]]:
        """Tile ID, status and flags of each tile's newest text that is not a reviewer's, ordered by tile ID."""
        newest = (
            select(_captions.c.tile_id, func.max(_captions.c.version).label("version"))
            .where(self._descriptions(captioner), _captions.c.reviewer.is_(None), _captions.c.text.is_not(None))
            .group_by(_captions.c.tile_id)
            .subquery()
        )
        query = (
            select(_captions.c.tile_id, _captions.c.status, _captions.c.flags)
            .join(newest, and_(newest.c.tile_id == _captions.c.tile_id, newest.c.version == _captions.c.version))
            .where(self._descriptions(captioner))
            .order_by(_captions.c.tile_id)
        )
        return ((row.tile_id, row.status, tuple(row.flags)) for row in self._stream(query))

    def reviewed(self, captioner: str) -> Iterator[list[Caption]]:
        """The versions of each tile of which a reviewer has judged any, oldest first, ordered by tile ID."""
        mine = and_(self._descriptions(captioner), _captions.c.reviewer.is_not(None))
        query = select(_captions.c.tile_id).where(mine).distinct().order_by(_captions.c.tile_id)
        return self.histories(captioner, [row.tile_id for row in self._stream(query)])

    def standings(self, captioner: str) -> Iterator[Standing]:
        """How the newest version of each tile stands, ordered by tile ID; a failure may be newer than what is shown."""
        columns = (_captions.c.tile_id, _captions.c.version, _captions.c.status, _captions.c.reason)
        rows = self._stream(select(*columns).where(self._descriptions(captioner)).order_by(*_ORDER))
        for _, versions in groupby(rows, key=attrgetter("tile_id")):
            *_, newest = versions
            yield Standing(*newest)

    def histories(self, captioner: str, tile_ids: Sequence[str]) -> Iterator[list[Caption]]:
        """The versions of each of some tiles that has any, oldest first."""
        for start in range(0, len(tile_ids), _AT_ONCE):
            chosen = _captions.c.tile_id.in_(tile_ids[start : start + _AT_ONCE])
            query = select(*_COLUMNS).where(self._descriptions(captioner), chosen).order_by(*_ORDER)
            for _, rows in groupby(self._stream(query), key=attrgetter("tile_id")):
                yield [_caption(row) for row in rows]

    def current(self, captioner: str, present: Present | None = None) -> Iterator[Caption]:
        """The version of each tile that is shown, ordered by tile ID.

        A version with a text goes before one without (a failed renewal hides nothing), then one that is present
        before one that is not, then the newest.

        Args:
            captioner: whose captions.
            present: tells the versions of the present prompts and models; None takes all for present.
        """
        return (_caption(row) for row in self._shown(captioner, present, _COLUMNS))

    def counts(self, captioner: str, tile_ids: Iterable[str], present: Present | None = None) -> Counter[Status]:
        """How many of the tiles stand how, by status; those without a version are `pending`."""
        wanted = set(tile_ids)
        shown = self._shown(captioner, present, [_captions.c.tile_id, _captions.c.status])
        counts: Counter[Status] = Counter(row.status for row in shown if row.tile_id in wanted)
        counts["pending"] += len(wanted) - counts.total()
        return counts

    def _shown(self, captioner: str, present: Present | None, columns: list[Any]) -> Iterator[Row[Any]]:
        compared = (_captions.c.tile_id, _captions.c.model, _captions.c.prompt_sha256, _captions.c.version)
        query = select(*dict.fromkeys((*columns, *compared)), _captions.c.text.is_not(None).label("has_text"))

        def rank(row: Row[Any]) -> tuple[bool, bool, int]:
            is_present = present is None or present(row.tile_id, row.model, row.prompt_sha256)
            return row.has_text, is_present, row.version

        rows = self._stream(query.where(self._descriptions(captioner)).order_by(*_ORDER))
        return (max(versions, key=rank) for _, versions in groupby(rows, key=attrgetter("tile_id")))

    def _stream(self, query: Select[Any]) -> Iterator[Row[Any]]:
        """Rows as they come, never all of them in memory, of one moment however long the reading takes."""
        with clear_errors(self.engine), self.engine.connect() as connection:
            yield from connection.execution_options(yield_per=_BATCH).execute(query)

    def insert(self, connection: Connection, batch: Sequence[Caption]) -> int:
        """Keeps captions as `add` does, as a part of a transaction."""
        # In one order everywhere: two who insert the same rows in PostgreSQL then wait for each other one way only.
        rows = [self._row(caption) for caption in sorted(batch, key=_place)]
        statement = insert_new(self.engine, _captions).returning(_captions.c.version)
        return len(connection.execute(statement, rows).all())

    def _row(self, caption: Caption) -> dict[str, Any]:
        row = {name: _storable(getattr(caption, name)) for name in _FIELDS}
        raw = None if caption.raw is None else _cut(str(row["raw"]))
        return row | {"dataset": self.campaign, "raw": raw}

    def _holds_any(self, connection: Connection) -> bool:
        query = select(_captions.c.version).where(_captions.c.dataset == self.campaign).limit(1)
        return connection.execute(query).first() is not None

    def _of(self, captioner: str) -> ColumnElement[bool]:
        return and_(_captions.c.dataset == self.campaign, _captions.c.captioner == captioner)

    def _descriptions(self, captioner: str) -> ColumnElement[bool]:
        return and_(self._of(captioner), _captions.c.kind == KIND, _captions.c.variant == VARIANT)


@contextmanager
def open_state(url: str, dataset: str) -> Iterator[State]:
    """Opens the state of a campaign, made where there is none.

    Args:
        url: ``sqlite:///FILE`` or ``postgresql://...``.
        dataset: the campaign's dataset, a folder or a URL.

    Raises:
        InputError: the database cannot be opened or made, or is of a newer version of earthscribe.
    """
    engine = open_database(url, "captions", UPGRADES)
    try:
        yield State(engine, campaign_key(engine.url, dataset))
    finally:
        engine.dispose()


def campaign_key(database: URL, dataset: str) -> str:
    """What tells a campaign's rows from those of others in one database: its dataset.

    A dataset beside a database file is named by its path from there, so that the two can be moved together.
    """
    dataset = dataset.removeprefix("file://")
    file = database_file(database)
    if "://" in dataset:
        return dataset.rstrip("/")
    if file is None:
        return str(Path(dataset).resolve())
    return Path(path.relpath(Path(dataset).resolve(), file.resolve().parent)).as_posix()


def _caption(row: Row[Any]) -> Caption:
    values: dict[str, Any] = dict(zip(_FIELDS, row, strict=False))  # what was selected beyond them stands behind them
    values["flags"] = tuple(values["flags"])
    return Caption(**values)


def _storable(value: object) -> object:
    """A value as every database takes it."""
    if isinstance(value, str):
        return value.translate(_NO_TEXT)
    return [_storable(item) for item in value] if isinstance(value, tuple) else value


def _cut(raw: str) -> str:
    encoded = raw.encode()
    if len(encoded) <= RAW_BYTES:
        return raw
    return encoded[: RAW_BYTES - 3].decode(errors="ignore") + "…"
