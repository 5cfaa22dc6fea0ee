"""Cancelling a flow run that no worker looks after: the run looks at its own state now and then.

Where there is a worker, it tells the run's process by a signal at once. A run that a command has started, or whose
worker is gone, has nobody who would.
"""

from __future__ import annotations

import contextlib
import threading
import time
from contextvars import copy_context
from typing import Final
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectException

from flows.runtime.ending import cancel

_LOOK_SECONDS: Final = 3.0


def look_for_cancelling(flow_run: UUID) -> None:
    """Makes the flow of this process heed it if its run is being cancelled; returns at once."""
    look = copy_context().run
    threading.Thread(target=look, args=(_look, flow_run), name="cancelling", daemon=True).start()


def _look(flow_run: UUID) -> None:
    with get_client(sync_client=True) as client:
        while True:
            time.sleep(_LOOK_SECONDS)
            # A server that is away for a while is not the run's end.
            with contextlib.suppress(httpx.HTTPError, PrefectException):
                state = client.read_flow_run(flow_run).state
                if state is not None and state.is_cancelling():
                    cancel()
                    return
                if state is not None and state.is_final():
                    return
