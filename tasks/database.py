"""Databases: how one is opened, brought up to date, read and written.

SQLite for one machine, PostgreSQL for several. What differs between the two is said here and nowhere else; all other
SQL is common to both.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from sqlite3 import Connection as SQLiteConnection
from sqlite3 import Error as SQLiteError
from typing import Final

from sqlalchemy import (
    URL,
    Column,
    Connection,
    Engine,
    Insert,
    Integer,
    MetaData,
    Table,
    Text,
    create_engine,
    event,
    func,
    inspect,
    make_url,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random

from tasks.errors import EarthscribeError, InputError

Upgrade = Callable[[Connection], None]
"""One step from a schema version to the next, inside the transaction that it is given."""

PATIENCE = 60
"""Seconds for which a connection to SQLite waits while another writes; ``?timeout=`` in the URL says otherwise."""

_WRITES = "earthscribe_writes"
_UPGRADE_LOCK = 0x6561727468  # any number will do, as long as every version of earthscribe takes the same

_LOOK_SECONDS = 0.5
"""Between two looks whether a lock is free."""

_ADVICE = {
    "SQLITE_BUSY": "another program keeps it locked; wait until that one is done, or end it, and run again",
    "SQLITE_CANTOPEN": "it cannot be opened; expected a file in a folder that may be written",
    "SQLITE_CORRUPT": "the file is damaged; put it aside, the captions written to the dataset are read back",
    "SQLITE_FULL": "the disk is full; make room and run again, what was kept is kept",
    "SQLITE_NOTADB": "the file is no SQLite database; name another one, or put this one aside",
    "SQLITE_READONLY": "it cannot be written; expected permission to write the file and its folder",
}

ORDERED_TEXT: Final = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
"""Text that is also ordered by: by bytes, as Python and SQLite order text, whatever the server's language."""

_versions = Table(
    "schema_versions",
    MetaData(),
    Column("part", Text, primary_key=True),
    Column("version", Integer, nullable=False),
)


def open_database(url: str, part: str, upgrades: Sequence[Upgrade]) -> Engine:
    """Opens a database, made where there is none, and brings one part of its schema up to date.

    Args:
        url: ``sqlite:///FILE`` or ``postgresql://USER:PASSWORD@HOST/DATABASE``.
        part: whose tables; parts that share a database have their versions apart.
        upgrades: the part's steps from an empty database to the present version.

    Returns:
        An engine whose plain transactions are for reading; ``writing`` gives those that write.

    Raises:
        InputError: there is no such database and none can be made, or it is of a newer version.
    """
    engine = _engine(url)
    try:
        with clear_errors(engine, InputError):
            _bring_up_to_date(engine, part, upgrades)
    except BaseException:
        engine.dispose()
        raise
    return engine


def writing(engine: Engine) -> Engine:
    """The engine whose transactions write: in SQLite they take the lock when they begin, so that none fails halfway."""
    return engine.execution_options(**{_WRITES: True})


def insert_new(engine: Engine, table: Table) -> Insert:
    """An insert that passes over each row that a unique index already holds."""
    if engine.dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


@contextmanager
def clear_errors(engine: Engine, error_type: type[EarthscribeError] = EarthscribeError) -> Iterator[None]:
    """Turns what the database reports into a message for the user: no statement, no value, no password."""
    try:
        yield
    except DBAPIError as error:
        raise error_type(f"{database_name(engine.url)}: {_explained(error.orig)}") from error


@contextmanager
def locked_on_all_machines(url: str, name: str, tell: Callable[[], None]) -> Iterator[None]:
    """Holds a lock that all machines know which share a PostgreSQL database; with another database, none.

    It is dropped with the connection, so at any death of its holder.

    Args:
        url: the database.
        name: what is locked.
        tell: called once where somebody else holds the lock.

    Raises:
        InputError: the database cannot be opened.
    """
    engine = _engine(url)
    if engine.dialect.name != "postgresql":
        yield
        return
    key = int.from_bytes(hashlib.sha256(f"earthscribe {name}".encode()).digest()[:8], signed=True)
    try:
        with ExitStack() as stack:
            with clear_errors(engine, InputError):
                # No transaction is left open: it would hold up the database's cleaning for as long as the lock is held.
                connection = stack.enter_context(engine.connect().execution_options(isolation_level="AUTOCOMMIT"))
                told = False
                while not connection.scalar(select(func.pg_try_advisory_lock(key))):
                    if not told:
                        tell()
                    told = True
                    time.sleep(_LOOK_SECONDS)
            yield
    finally:
        engine.dispose()


def database_name(url: URL) -> str:
    """A database as messages name it: SQLite's file, a server's URL without password and options."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return url.set(drivername=url.get_backend_name(), query={}).render_as_string(hide_password=True)


def database_file(url: URL) -> Path | None:
    """SQLite's file, None for a server."""
    if url.get_backend_name() != "sqlite":
        return None
    return Path(str(url.database).removeprefix("file:"))


def _engine(url: str) -> Engine:
    # The URL may hold a password, so none of these messages repeats it.
    expected = "expected sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise InputError(f"the database's URL cannot be read; {expected}") from None
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    elif parsed.drivername != "sqlite":
        raise InputError(f"{parsed.drivername}: not a kind of database that can be used; {expected}")
    elif parsed.database in (None, "", ":memory:"):
        raise InputError(f"the database's URL names no file; {expected}")
    try:
        engine = create_engine(parsed, hide_parameters=True, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise InputError(
            f"{database_name(parsed)}: PostgreSQL needs the package psycopg (missing: {error.name})"
        ) from error
    except (TypeError, ValueError):
        raise InputError(
            f"{database_name(parsed)}: an option of its URL cannot be read, expected ?timeout=60"
        ) from None
    if parsed.drivername == "sqlite":
        _prepare_sqlite(engine)
    return engine


def _prepare_sqlite(engine: Engine) -> None:
    path = database_file(engine.url)
    if path is not None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{path}: its folder cannot be made: {error.strerror}") from error

    patience = float(str(engine.url.query.get("timeout", PATIENCE)))

    def settings(connection: SQLiteConnection, _record: object) -> None:
        connection.isolation_level = None  # transactions begin where `begin` below says, not where the driver guesses
        connection.execute(f"PRAGMA busy_timeout={round(patience * 1000)}")
        _use_write_ahead_log(connection, patience)
        connection.execute("PRAGMA synchronous=FULL")  # what is committed is paid for: it survives a power cut

    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    event.listen(engine, "connect", settings)
    event.listen(engine, "begin", begin)


def _use_write_ahead_log(connection: SQLiteConnection, patience: float) -> None:
    """Lets readers and a writer go on side by side. For the lock that turning it on takes, SQLite does not wait."""
    for attempt in Retrying(
        retry=retry_if_exception(lambda error: _primary_code(error) == "SQLITE_BUSY"),
        stop=stop_after_delay(patience),
        wait=wait_random(0.005, 0.05),
        reraise=True,
    ):
        with attempt:
            connection.execute("PRAGMA journal_mode=WAL")


def _bring_up_to_date(engine: Engine, part: str, upgrades: Sequence[Upgrade]) -> None:
    """Takes the steps that are missing, all in one transaction; where none is, nothing is locked or written."""
    with engine.connect() as connection:
        if _missing_steps(connection, part, upgrades) == 0:
            return
    with writing(engine).begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(_UPGRADE_LOCK)))
        missing = _missing_steps(connection, part, upgrades)  # somebody else may have taken them by now
        for upgrade in upgrades[len(upgrades) - missing :]:
            upgrade(connection)
        _versions.create(connection, checkfirst=True)
        connection.execute(_versions.delete().where(_versions.c.part == part))
        connection.execute(_versions.insert().values(part=part, version=len(upgrades)))


def _missing_steps(connection: Connection, part: str, upgrades: Sequence[Upgrade]) -> int:
    version = 0
    if inspect(connection).has_table(_versions.name):
        version = connection.scalar(select(_versions.c.version).where(_versions.c.part == part)) or 0
    if version > len(upgrades):
        raise InputError(
            f"{database_name(connection.engine.url)}: written by a newer earthscribe (its {part} are of version "
            f"{version}, this one knows {len(upgrades)}); upgrade earthscribe, or name another database"
        )
    return len(upgrades) - version


def _explained(error: BaseException | None) -> str:
    """What went wrong, in one line, and what to do about it where that is known."""
    if isinstance(error, SQLiteError):
        return _ADVICE.get(_primary_code(error), str(error))
    return (str(error).strip().splitlines() or ["no reason given"])[0]


def _primary_code(error: BaseException) -> str:
    """SQLite's name for a kind of error, such as SQLITE_BUSY for SQLITE_BUSY_RECOVERY too."""
    return "_".join(getattr(error, "sqlite_errorname", "").split("_")[:2])
