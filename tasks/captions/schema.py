"""The tables that keep captions.

SQLite for one machine, PostgreSQL for several.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    and_,
)

from tasks.database import ORDERED_TEXT, Upgrade

_metadata = MetaData()


captions = Table(
    "captions",
    _metadata,
    Column("dataset", Text, nullable=False),
    Column("captioner", Text, nullable=False),
    Column("kind", ORDERED_TEXT, nullable=False),
    Column("variant", Integer, nullable=False),
    Column("tile_id", ORDERED_TEXT, nullable=False),
    Column("version", Integer, nullable=False),
    Column("revises", Integer),
    Column("status", Text, nullable=False),
    Column("flags", JSON, nullable=False),
    Column("model", Text),
    Column("prompt_sha256", Text),
    Column("request_id", Text),
    Column("reason", Text),
    Column("created_at", Text, nullable=False),
    Column("reviewer", Text),
    Column("reviewed_at", Text),
    # Last, so that what reads no text reads past none either.
    Column("text", Text),
    Column("raw", Text),
    PrimaryKeyConstraint("dataset", "captioner", "kind", "variant", "tile_id", "version"),
)
"""One row per version of a caption; rows are added and never changed."""

_is_answer = and_(captions.c.request_id.is_not(None), captions.c.revises.is_(None))
Index(
    "captions_one_answer",
    captions.c.dataset,
    captions.c.request_id,
    captions.c.tile_id,
    unique=True,
    sqlite_where=_is_answer,
    postgresql_where=_is_answer,
)

claims = Table(
    "claims",
    _metadata,
    Column("dataset", Text, nullable=False),
    Column("captioner", Text, nullable=False),
    Column("kind", ORDERED_TEXT, nullable=False),
    Column("variant", Integer, nullable=False),
    Column("tile_id", ORDERED_TEXT, nullable=False),
    Column("owner", Text, nullable=False),
    Column("expires", BigInteger, nullable=False),
    PrimaryKeyConstraint("dataset", "captioner", "kind", "variant", "tile_id"),
)
"""One row per tile that is being asked about: who does so, and until when that is believed, in microseconds."""


def _create_captions(connection: Connection) -> None:
    captions.create(connection)


def _create_claims(connection: Connection) -> None:
    claims.create(connection)


UPGRADES: Sequence[Upgrade] = (_create_captions, _create_claims)
"""The steps to the present schema, oldest first; its version is their number. Steps are only ever added: a step that
databases have taken stays as it was, a new column is a new step."""
