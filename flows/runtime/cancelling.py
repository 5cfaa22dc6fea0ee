"""Cancelling a flow run that no worker looks after: the run looks at its own state now and then.

Where there is a worker, it tells the run's process by a signal at once, and kills it when that has not ended half a
minute later. A run that a command has started, or whose worker is gone, has nobody who would.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from typing import Final
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import ObjectNotFound, PrefectException

from flows.runtime.ending import cancel

_LOOK_SECONDS: Final = 3.0

_HEEDED_WITHIN: Final = 45.0
"""Seconds in which a run that is not stuck has heeded. A worker would have killed it by then."""


def look_for_cancelling(flow_run: UUID) -> None:
    """Makes the flow of this process heed it if its run is being cancelled; returns at once."""
    threading.Thread(target=_look, args=(flow_run,), name="cancelling", daemon=True).start()


def _look(flow_run: UUID) -> None:
    with get_client(sync_client=True) as client, contextlib.suppress(ObjectNotFound):
        if not _is_being_cancelled(client, flow_run):
            return
        cancel()
        time.sleep(_HEEDED_WITHIN)
        # Still here: it waits for something that knows of no cancelling.
        if _is_being_cancelled(client, flow_run):
            os.kill(os.getpid(), signal.SIGTERM)


def _is_being_cancelled(client: SyncPrefectClient, flow_run: UUID) -> bool:
    """Waits until a run is being cancelled, or has ended.

    Raises:
        ObjectNotFound: it was deleted.
    """
    while True:
        time.sleep(_LOOK_SECONDS)
        state = _state(client, flow_run)
        if state is not None and (state.is_cancelling() or state.is_final()):
            return state.is_cancelling()


def _state(client: SyncPrefectClient, flow_run: UUID) -> State | None:
    """The state of a run; None where the server is away, which is not the run's end."""
    try:
        return client.read_flow_run(flow_run).state
    except ObjectNotFound:
        raise
    except (httpx.HTTPError, PrefectException):
        return None
