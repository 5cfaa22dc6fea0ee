"""Computing on Dask for one command, whatever becomes of workers and scheduler meanwhile.

A worker that dies costs nothing here: Dask gives what it had to others. With the scheduler all of its work is lost, and
all that it was told: the tasks that were under way fail, and Prefect tries them again, over a new connection to the
scheduler that has come back.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from typing import Final

import xarray as xr
from distributed import Client, KilledWorker
from distributed.comm.core import CommClosedError

from flows.display.terminal import say, warn
from flows.runtime.cluster import close, connect, local_client, refuse_other_versions
from tasks.configuration.models import Cluster
from tasks.errors import ClusterError, ClusterLostError, EarthscribeError, InputError
from tasks.statistics.access import ShareAccess
from tasks.statistics.jobs import Compute
from tasks.storage import Place

WORKERLESS_SECONDS: Final = 600.0
"""Longest time without any worker: a cluster that grows on demand has its first within minutes."""

RETURN_SECONDS: Final = 300.0
"""Longest absence of a scheduler."""

_SAID_AFTER: Final = 10.0
"""Seconds without a worker after which the person is told."""

_LOOK_SECONDS: Final = 1.0


@contextlib.contextmanager
def computing(cluster: Cluster, *places: Place) -> Iterator[Compute]:
    """Has a Dask cluster compute for the block's length.

    Args:
        cluster: which.
        places: what its workers read and write; they are told how to open it.

    Yields:
        What computes lazy datasets, in any thread.

    Raises:
        InputError: nothing answers at the cluster's address, or other versions run there.
    """
    sharing = ShareAccess(*places)
    if cluster.address is not None:
        elsewhere = _Elsewhere(cluster.address, sharing)
        try:
            yield elsewhere.compute
        finally:
            elsewhere.end()
        return
    with local_client(threads=cluster.threads, workers=cluster.workers) as client:
        if cluster.workers:
            client.register_plugin(sharing)
        yield lambda lazy: _on(client, lazy)


def _on(client: Client, lazy: xr.Dataset) -> xr.Dataset:
    try:
        return lazy.compute(scheduler=client.get)
    except KilledWorker as error:
        raise ClusterError(
            f"{error.allowed_failures + 1} Dask workers died, each while it worked at the same tiles, the last at "
            f"{error.last_worker.address}; its log tells why (mostly it is memory: fewer threads, or more of it)"
        ) from error


class _Elsewhere:
    """A cluster that runs elsewhere, through the loss of its scheduler.

    Args:
        address: the scheduler's.
        sharing: what workers are told.
    """

    def __init__(self, address: str, sharing: ShareAccess) -> None:
        self._address = address
        self._sharing = sharing
        self._connecting = threading.Lock()
        self._given_up: ClusterError | None = None
        self._over = threading.Event()
        self._client: Client | None = self._connected()
        threading.Thread(target=self._watch, name="cluster", daemon=True).start()

    def compute(self, lazy: xr.Dataset) -> xr.Dataset:
        """Computes a lazy dataset.

        Raises:
            ClusterLostError: the scheduler was lost meanwhile.
            ClusterError: it does not come back, or the cluster has no worker for long, or workers die of it.
            InputError: other versions run there.
        """
        client = self._connection()
        try:
            return _on(client, lazy)
        except EarthscribeError:
            raise
        except (CancelledError, CommClosedError, OSError) as error:
            raise self._given_up or self._lost(client) from error
        except Exception as error:
            if self._given_up:
                raise self._given_up from error
            if client.status != "running":
                raise self._lost(client) from error
            # A task that is not understood there: of a worker, perhaps, that has joined since.
            refuse_other_versions(client)
            raise

    def end(self) -> None:
        """Takes back what workers were told, and parts."""
        self._over.set()
        client, self._client = self._client, None
        if client is None:
            return
        with contextlib.suppress(Exception):  # a scheduler that is gone has forgotten it all
            if client.status == "running":
                client.unregister_worker_plugin(self._sharing.name)  # type: ignore[no-untyped-call]  # Dask leaves it untyped
        close(client)

    def _connected(self) -> Client:
        client = connect(self._address)
        client.register_plugin(self._sharing)
        return client

    def _connection(self) -> Client:
        """The client; a new one, once the scheduler is back, where it was lost."""
        with self._connecting:
            if self._over.is_set():
                raise ClusterError("the command is ending")
            if self._given_up:
                raise self._given_up
            if self._client is None:
                self._client = self._reconnected()
            return self._client

    def _reconnected(self) -> Client:
        warn(f"the Dask scheduler at {self._address} is lost; waiting for it to come back")
        until = time.monotonic() + RETURN_SECONDS
        while not self._over.wait(_LOOK_SECONDS):
            try:
                client = self._connected()
            except InputError as error:
                if "no Dask scheduler answers" not in str(error):
                    raise
            except (CommClosedError, OSError):
                pass
            else:
                say(f"the Dask scheduler at {self._address} is back")
                return client
            if time.monotonic() > until:
                self._given_up = ClusterError(
                    f"the Dask scheduler at {self._address} has not come back for {RETURN_SECONDS:.0f} seconds; what "
                    "was done is kept: start it, and run the command again"
                )
                raise self._given_up
        raise ClusterError("the command is ending")

    def _lost(self, client: Client) -> ClusterError:
        """Parts from a client that is of no use any more: what a scheduler that has come back knows is nothing."""
        with self._connecting:
            if self._client is client:
                self._client = None
        if not self._over.is_set():
            close(client)
        return ClusterLostError(f"the Dask scheduler at {self._address} was lost while it computed")

    def _watch(self) -> None:
        """Tells, and at last gives up, where the cluster has no worker: Dask would wait for ever without a word."""
        since = time.monotonic()
        told = False
        while not self._over.wait(_LOOK_SECONDS):
            now = time.monotonic()
            client = self._client
            if client is None or _has_workers(client):
                if told and client is not None:
                    say(f"the Dask cluster at {self._address} has workers again")
                since, told = now, False
            elif now - since > WORKERLESS_SECONDS:
                self._give_up(client)
                return
            elif now - since > _SAID_AFTER and not told:
                told = True
                warn(
                    f"the Dask cluster at {self._address} has no worker; waiting for one (dask worker {self._address})"
                )

    def _give_up(self, client: Client) -> None:
        self._given_up = ClusterError(
            f"the Dask cluster at {self._address} has had no worker for {WORKERLESS_SECONDS:.0f} seconds; what was "
            f"done is kept: start workers (dask worker {self._address}), and run the command again"
        )
        close(client)  # whoever waits for it is told so


def _has_workers(client: Client) -> bool:
    """Whether a cluster has a worker; taken for granted where the scheduler cannot be asked."""
    if client.status != "running":
        return True
    try:
        return bool(client.scheduler_info(n_workers=0)["n_workers"])
    except Exception:  # the connection is being lost: who computes is told so
        return True
