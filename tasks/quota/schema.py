"""The tables of a ledger. Instants are microseconds since the epoch by the ledger's clock."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import JSON, BigInteger, Column, Connection, Index, Integer, MetaData, PrimaryKeyConstraint, Table, Text

from tasks.database import Upgrade

_metadata = MetaData()

accounts = Table(
    "accounts",
    _metadata,
    Column("account", Text, primary_key=True),
    Column("kept_from", BigInteger),
    Column("parked_until", BigInteger, nullable=False, default=0),
    Column("in_flight", Integer, nullable=False, default=0),
    Column("in_flight_tokens", BigInteger, nullable=False, default=0),
    Column("granted", BigInteger, nullable=False, default=0),
    Column("granted_tokens", BigInteger, nullable=False, default=0),
    Column("gauges", JSON, nullable=False, default=dict),
)
"""One row per account, which whoever grants or settles holds locked.

- kept_from: what ended before is forgotten; null if nothing is
- parked_until: nothing is granted before
- in_flight, in_flight_tokens: what has been granted and has not ended
- granted, granted_tokens: what was ever granted
- gauges: what is carried along by measure, see `tasks.quota.accounts.Gauge`
"""

requests = Table(
    "requests",
    _metadata,
    Column("id", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("campaign", Text, nullable=False),
    Column("captioner", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("granted", BigInteger, nullable=False),
    Column("deadline", BigInteger, nullable=False),
    Column("ended", BigInteger),
    Column("outcome", Text),
    Column("tokens", Integer, nullable=False),
    Column("prompt_tokens", Integer, nullable=False, default=0),
    Column("completion_tokens", Integer, nullable=False, default=0),
)
"""One row per HTTP attempt of the last days.

- deadline: by then its owner has given it up, so that it ends there if nobody settles it
- ended: null while it may still reach the endpoint
- outcome: null until it is known or known to be unknowable
- tokens: what counts: those reserved, or those used if they are more
"""

Index("requests_that_ended", requests.c.account, requests.c.ended, requests.c.tokens)
Index(
    "requests_in_flight",
    requests.c.account,
    requests.c.deadline,
    sqlite_where=requests.c.ended.is_(None),
    postgresql_where=requests.c.ended.is_(None),
)

elsewhere = Table(
    "spent_elsewhere",
    _metadata,
    Column("number", Integer, primary_key=True),
    Column("account", Text, nullable=False),
    Column("measure", Text, nullable=False),
    Column("ended", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
)
"""What others spent of an account, as far as an endpoint told: one row each time that it turned out to be more."""

Index("elsewhere_by_end", elsewhere.c.account, elsewhere.c.measure, elsewhere.c.ended)

totals = Table(
    "request_totals",
    _metadata,
    Column("campaign", Text, nullable=False),
    Column("captioner", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("answered", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("unknown", Integer, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    PrimaryKeyConstraint("campaign", "captioner", "endpoint"),
)
"""What the requests add up to whose rows have been removed, since no window counts them any more."""


def _create(connection: Connection) -> None:
    _metadata.create_all(connection)


UPGRADES: Sequence[Upgrade] = (_create,)
"""The steps to the present schema, as `tasks.database.open_database` takes them."""
