"""The Dask cluster that computes for one command: threads of this process, processes of this machine, or one that runs.

Dask's workers know nothing of Prefect: task runs live in the command's process and hand their work to the client.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import warnings
from collections.abc import Iterator
from typing import Any, Final, cast

from distributed import Client, LocalCluster, Worker

from tasks.errors import InputError
from tasks.statistics.dataset import other_versions
from tasks.statistics.versions import MUST_AGREE, cluster_differences

CONNECT_SECONDS: Final = 10
"""Longest wait for a scheduler that is said to run somewhere."""

_CLOSE_SECONDS: Final = 2

_LOOPBACK: Final = "127.0.0.1:0"


@contextlib.contextmanager
def local_client(*, threads: int | None = None, workers: int | None = None) -> Iterator[Client]:
    """Open a client of a Dask cluster of this machine's, which ends with the block.

    Args:
        threads: threads that compute, of this process or of each worker process; default one a core (of all processes).
        workers: number of worker processes; absent, the threads of this process compute.

    Yields:
        A client, which is also what Dask computes with by default until the block ends.
    """
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(_local_cluster(threads, workers))
        yield stack.enter_context(Client(cluster))  # type: ignore[no-untyped-call]  # Dask leaves its constructors untyped


def connect(address: str) -> Client:
    """A client of a scheduler that runs somewhere, whose workers run the same versions as this process.

    Raises:
        InputError: nothing answers at the address, or other versions run there.
    """
    try:
        with warnings.catch_warnings():
            # Dask warns of every difference; what matters is told below.
            warnings.simplefilter("ignore")
            client = Client(address, timeout=CONNECT_SECONDS)  # type: ignore[no-untyped-call]  # Dask leaves its constructors untyped
    except (OSError, ValueError) as error:
        raise InputError(
            f"cluster.address: no Dask scheduler answers at {address} ({error}); start one there "
            "(dask scheduler, dask worker), or leave the address out to compute on this machine"
        ) from error
    try:
        refuse_other_versions(client)
    except BaseException:
        close(client)
        raise
    return client


def close(client: Client) -> None:
    """Parts from a cluster, be it gone."""
    client.close(timeout=_CLOSE_SECONDS)  # type: ignore[no-untyped-call]  # Dask leaves it untyped


def refuse_other_versions(client: Client) -> None:
    """Raises an `InputError` that lists them where scheduler or workers run other versions."""
    answers = cast(dict[str, Any], client.get_versions(packages=MUST_AGREE))
    if lines := cluster_differences(answers):
        raise InputError(other_versions(lines))


def available_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _local_cluster(threads: int | None, workers: int | None) -> LocalCluster:
    """A cluster that ends with this process."""
    if workers is None:
        layout: dict[str, Any] = {"n_workers": 1, "threads_per_worker": threads or available_cores()}
        # No memory limit: it would measure, and pause or spill for, the whole command and not the worker.
        layout |= {"processes": False, "memory_limit": 0}
    else:
        layout = {"n_workers": workers, "threads_per_worker": threads or max(1, available_cores() // workers)}
        # Each worker loads this module for its `dask_setup`.
        layout["preload"] = [__name__]
    # Dask's own pages would listen on every interface of the machine: they stay on this one, at any free port.
    layout |= {"dashboard_address": _LOOPBACK, "worker_dashboard_address": _LOOPBACK}
    return LocalCluster(silence_logs=logging.CRITICAL, **layout)  # type: ignore[no-untyped-call]  # Dask leaves its constructors untyped


def dask_setup(_worker: Worker) -> None:
    """Leave a Ctrl-C to the command, which ends its worker processes itself. Dask calls this by its name."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
