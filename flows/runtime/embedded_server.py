"""The process that is the embedded Prefect server: the API alone, on a free port of the loopback interface.

Started by ``flows.runtime.server``, whose docstring says which locks it holds. Its runs are kept in
``PREFECT_HOME/prefect.db``, where a later ``prefect server start`` shows them.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import queue
import socket
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from flows.runtime.server import ENDING_SECONDS, take_lock

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

SETTINGS: Final = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_LOGGING_SERVER_LEVEL": "WARNING",
    # Block types are registered by those who use them: 0.9 s at a first start. Nor note that it was done, which a later
    # `prefect server start` would believe.
    "PREFECT_API_BLOCKS_REGISTER_ON_START": "false",
    "PREFECT_MEMOIZE_BLOCK_AUTO_REGISTRATION": "false",
    # As they come, the recorder writes 35 task runs a second and loses what piles up behind it.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    # There are no automations here; what would start them looks at each event all the same.
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
}
"""The server's settings, where the environment does not say otherwise."""

_CLOSING_SECONDS: Final = 5.0
"""Longest wait for connections to close, and for the services to stop."""


def serve(folder: Path, start: int) -> None:
    """Be the server, until its last user is gone.

    Args:
        folder: the folder of locks, record and log.
        start: descriptor of the inherited lock that keeps others from looking for a server meanwhile.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    record = take_lock(folder / "server.json", fcntl.LOCK_EX)
    (folder / "server.json").write_text(
        json.dumps({"url": f"http://127.0.0.1:{listener.getsockname()[1]}/api", "pid": os.getpid()})
    )
    handed: queue.SimpleQueue[uvicorn.Server] = queue.SimpleQueue()
    threading.Thread(target=_end_with_users, args=(folder / "users", record, handed), daemon=True).start()
    os.close(start)

    os.environ.update({name: value for name, value in SETTINGS.items() if name not in os.environ})
    import uvicorn  # noqa: PLC0415 - after the record, since everybody waits for that

    server = uvicorn.Server(
        uvicorn.Config(
            _create_app,
            factory=True,
            lifespan="on",
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=int(_CLOSING_SECONDS),
        )
    )
    handed.put(server)
    try:
        server.run(sockets=[listener])
    except Exception:
        traceback.print_exc()  # into the log
    finally:
        _leave(record)


def _create_app() -> FastAPI:
    """Prefect's API without its pages and without the services that only deployments need."""
    from prefect.server.api.server import create_app  # noqa: PLC0415 - takes seconds

    return create_app(ephemeral=True, final=True)


def _end_with_users(users: Path, record: int, handed: queue.SimpleQueue[uvicorn.Server]) -> None:
    """Wait until nobody uses the server, then end it, with all that was reported to it written down.

    The exclusive lock is kept until this process is gone: a command that comes meanwhile waits for it, and then starts
    a server of its own.
    """
    take_lock(users, fcntl.LOCK_EX)
    if handed.empty() or not (server := handed.get()).config.loaded:
        _leave(record)  # Nothing has been opened yet, let alone written.
    begun = time.monotonic()
    deadline = begun + ENDING_SECONDS
    while time.monotonic() < deadline and (
        not server.started
        or _unread_events()
        or (server.server_state.connections and time.monotonic() < begun + _CLOSING_SECONDS)
    ):
        time.sleep(0.01)
    server.should_exit = True
    time.sleep(2 * _CLOSING_SECONDS)
    _leave(record)  # Something does not let go: nobody is left to wait for it.


def _leave(record: int) -> NoReturn:
    """End this process at once: to take the interpreter apart takes 0.9 s more, in which commands wait.

    The record is unlocked first. The kernel drops a process's locks in any order, and a command that has got the users'
    lock must not take this server for one that lives.
    """
    logging.shutdown()
    os.close(record)
    os._exit(0)


def _unread_events() -> bool:
    """Whether events lie in the server's broker, which forgets them at its end; services write what they read."""
    from prefect.server.utilities.messaging.memory import METRICS  # noqa: PLC0415 - takes seconds

    events = METRICS["events"]
    return events["consumed"] < events["published"]


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
