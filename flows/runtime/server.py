"""The Prefect server that a command reports to.

Where Prefect is pointed at a server, that one is used. Otherwise the commands of one user share an embedded server: the
first that needs it starts it (``flows.runtime.embedded_server``), the last to end ends it. Who uses it is told by locks
alone, which the kernel drops whatever ends a process, so nothing has to be tidied up after a crash. The files lie in
``PREFECT_HOME/earthscribe-server`` and are never removed, since a lock belongs to the file and not to its name:

``users``
    each command holds a shared lock; the server waits for the exclusive one, and ends when it gets it.
``start``
    held while somebody looks for a server or starts one. A starting server inherits it and lets go once its address is
    recorded, so that nobody sees a server half started, even where the starter is killed.
``server.json``
    the address. The server holds an exclusive lock on it for as long as it lives: a record nobody locks is stale.

Nothing heavy is imported here before it is needed: a command calls :func:`begin` first of all, and the server comes up
while the command imports Prefect and the rest.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tasks.errors import EarthscribeError

STARTING_SECONDS: Final = 120.0
"""Longest wait for an answer of a server that has been started: a first start creates its database, 5 s and more."""

ENDING_SECONDS: Final = 30.0
"""Longest time a server takes to write what was reported to it, once nobody uses it any more."""

CLIENT_FLUSH_SECONDS: Final = 30.0
"""Longest time a command takes to hand its last events and logs to the server."""

_POLL_SECONDS: Final = 0.02
_STILL_USED_SECONDS: Final = 0.25
"""A server that is free to take the exclusive lock has taken it well within this time."""


def server_folder() -> Path:
    """The folder of the embedded server's locks, record and log, below Prefect's home."""
    home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser().absolute()
    return home / "earthscribe-server"


class EmbeddedServer:
    """This process's use of the embedded server, from :func:`begin` until :meth:`end`."""

    def __init__(self, folder: Path) -> None:
        """Take a share in the server, starting one where none lives; do not wait until it answers.

        Args:
            folder: what :func:`server_folder` gives; made where it is missing.
        """
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        # Waits while an earlier server is ending, so that two never write to one database.
        self._share = take_lock(folder / "users", fcntl.LOCK_SH)
        self._started: subprocess.Popen[bytes] | None = None
        start = take_lock(folder / "start", fcntl.LOCK_EX)
        try:
            if not self.lives():
                self._started = _launch(folder, start)
        finally:
            # The lock itself stays held by a server that has just inherited it.
            os.close(start)

    def lives(self) -> bool:
        """Whether there is a server: it may not answer yet."""
        return is_locked(self._folder / "server.json")

    def url(self) -> str:
        """The API's address, once the server answers there.

        Raises:
            EarthscribeError: the server ended or gave no answer; names its log.
        """
        self._wait_for_start()
        log = self._folder / "server.log"
        if not self.lives():
            raise EarthscribeError(f"the embedded Prefect server did not start{_last_line(log)}; see {log}")
        url = str(json.loads((self._folder / "server.json").read_text())["url"])
        try:
            _await_health(url)
        except (OSError, http.client.HTTPException) as error:
            raise EarthscribeError(
                f"the embedded Prefect server gives no answer{_last_line(log)}; see {log}"
            ) from error
        return url

    def end(self) -> None:
        """Give the share back, and where it was the last one wait until the server has ended. Does nothing twice."""
        if self._share < 0:
            return
        os.close(self._share)
        self._share = -1
        self._wait_for_start()
        self._wait_for_end()
        if self._started and self._started.poll() is None:
            self._started.returncode = 0  # Others use it: keeps Popen from warning that nobody waits for it.

    def _wait_for_end(self) -> None:
        """Return when the server has ended, or turns out to be used by others."""
        now = time.monotonic()
        deadline, last_seen_ending = now + ENDING_SECONDS + 10, now
        while self.lives() and (now := time.monotonic()) < deadline:
            if is_locked(self._folder / "users"):
                last_seen_ending = now
            elif now - last_seen_ending > _STILL_USED_SECONDS:
                return
            time.sleep(_POLL_SECONDS)
        # It lets go of its record a moment before it is gone.
        os.close(take_lock(self._folder / "users", fcntl.LOCK_SH))
        if self._started:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._started.wait(timeout=1)

    def _wait_for_start(self) -> None:
        """Wait until a server that is being started has recorded its address, or died: some hundredths of a second."""
        os.close(take_lock(self._folder / "start", fcntl.LOCK_EX))


def begin() -> EmbeddedServer | None:
    """Start the embedded server, or join the one that runs, without waiting for it.

    Returns:
        The use of it, to be given to :func:`prefect_api`; None where Prefect is pointed at a server.
    """
    return None if _names_a_server() else EmbeddedServer(server_folder())


@contextlib.contextmanager
def prefect_api(begun: EmbeddedServer | None = None) -> Iterator[str]:
    """Have every flow and task run of the block report to one Prefect server.

    Args:
        begun: what :func:`begin` gave, if it was called before.

    Yields:
        The API's address.

    Raises:
        EarthscribeError: the embedded server did not come up.
    """
    from prefect.settings import get_current_settings  # noqa: PLC0415 - takes seconds, which the server's start fills

    configured = get_current_settings().api.url
    if configured:
        # The settings know more places than `begin` looks at, such as a prefect.toml.
        if begun:
            begun.end()
        yield str(configured)
        return
    server = begun or EmbeddedServer(server_folder())
    try:
        url = server.url()
        with _reporting_to(url):
            try:
                yield url
            finally:
                if server.lives():
                    _flush_client()
    finally:
        server.end()


def take_lock(path: Path, operation: int) -> int:
    """Lock a file, made where it is missing; closing the descriptor returned gives the lock back.

    Raises:
        BlockingIOError: ``operation`` holds ``LOCK_NB`` and somebody else's lock is in the way.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, operation)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_locked(path: Path) -> bool:
    """Whether somebody holds the exclusive lock of a file."""
    try:
        os.close(take_lock(path, fcntl.LOCK_SH | fcntl.LOCK_NB))
    except BlockingIOError:
        return True
    return False


def _launch(folder: Path, start: int) -> subprocess.Popen[bytes]:
    """Start the server in its own session, out of reach of a Ctrl-C in the terminal; it inherits the lock ``start``."""
    with (folder / "server.log").open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - our own module in this interpreter
            # -P: a folder that happens to hold a `types.py` must not break the server that is started from it.
            [sys.executable, "-P", "-m", "flows.runtime.embedded_server", str(folder), str(start)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(start,),
            start_new_session=True,
        )


def _await_health(url: str) -> None:
    """Ask the server for its health. It listens from its first moment on and answers when it is up."""
    address = urlsplit(url)
    # Plain http.client: no proxy of the environment stands between us and the loopback interface.
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=STARTING_SECONDS)
    with contextlib.closing(connection):
        connection.request("GET", f"{address.path}/health")
        response = connection.getresponse()
        if response.status != http.client.OK:
            raise http.client.HTTPException(f"status {response.status}")


def _last_line(log: Path) -> str:
    """What the server said last, as a part of a message."""
    with contextlib.suppress(OSError):
        if lines := log.read_text(errors="replace").strip().splitlines():
            return f" ({lines[-1].strip()[:200]})"
    return ""


@contextlib.contextmanager
def _reporting_to(url: str) -> Iterator[None]:
    """Point Prefect at a server on this machine, in this context, in threads that know no context and in children."""
    # The two come late, see `prefect_api`.
    from prefect.context import refresh_global_settings_context  # noqa: PLC0415
    from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings  # noqa: PLC0415

    direct = {name: _with_loopback(os.environ.get(name, "")) for name in ("NO_PROXY", "no_proxy")}
    with contextlib.ExitStack() as stack:
        stack.callback(refresh_global_settings_context)  # last, when the environment is as it was
        stack.enter_context(_environment({"PREFECT_API_URL": url, **direct}))
        refresh_global_settings_context()
        # Heartbeats are for a server that outlives the run and notices that they cease; to end them takes 1 s a flow.
        stack.enter_context(temporary_settings({PREFECT_API_URL: url, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}))
        yield


def _with_loopback(hosts: str) -> str:
    """A list of hosts that are reached without a proxy, and this machine in it."""
    return ",".join([*filter(None, hosts.split(",")), "127.0.0.1"])


@contextlib.contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the block's length."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _flush_client() -> None:
    """Hand over the events and logs that Prefect would send at the interpreter's end, while the server still lives."""
    # The two come late, see `prefect_api`.
    from prefect.events.worker import EventsWorker  # noqa: PLC0415
    from prefect.logging.handlers import APILogWorker  # noqa: PLC0415

    EventsWorker.drain_all(timeout=CLIENT_FLUSH_SECONDS)
    APILogWorker.drain_all(timeout=CLIENT_FLUSH_SECONDS)


def _names_a_server() -> bool:
    """Whether environment or active profile point Prefect at a server, as far as can be told without importing Prefect.

    :func:`prefect_api` looks again, and puts a wrong guess right.
    """
    if os.environ.get("PREFECT_API_URL"):
        return True
    path = os.environ.get("PREFECT_PROFILES_PATH") or server_folder().parent / "profiles.toml"
    try:
        profiles = tomllib.loads(Path(path).read_text())
    except (OSError, ValueError):
        return False
    name = os.environ.get("PREFECT_PROFILE") or profiles.get("active")
    return bool(profiles.get("profiles", {}).get(name, {}).get("PREFECT_API_URL"))
