"""The Dask cluster that computes for one command: threads of this process, processes of this machine, or one that runs.

Dask's workers know nothing of Prefect: task runs live in the command's process and hand their work to the client.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from distributed import Client, LocalCluster, Worker

from tasks.errors import InputError

CONNECT_SECONDS: Final = 10
"""Longest wait for a scheduler that is said to run somewhere."""

_LOOPBACK: Final = "127.0.0.1:0"

_MUST_AGREE: Final = ("python", "dask", "distributed", "cloudpickle", "msgpack", "numpy")
"""Packages whose versions decide whether a worker understands what it is sent; of Python the first two parts count."""


@contextlib.contextmanager
def dask_client(
    *, threads: int | None = None, workers: int | None = None, address: str | None = None
) -> Iterator[Client]:
    """Open a Dask client for the length of a run.

    Args:
        threads: threads that compute, of this process or of each worker process; default one a core (of all processes).
        workers: number of worker processes on this machine; absent, the threads of this process compute.
        address: a running scheduler's address, such as ``tcp://scheduler:8786``; instead of the other two.

    Yields:
        A client, which is also what Dask computes with by default until the block ends.

    Raises:
        InputError: nothing answers at the address, or other versions run there.
    """
    with contextlib.ExitStack() as stack:
        if address is not None:
            client = stack.enter_context(_connected(address))
            if differences := version_differences(cast(dict[str, Any], client.get_versions())):
                listed = "".join(f"\n  {line}" for line in differences)
                raise InputError(
                    f"cluster.address: {address} runs other versions; install the same on both sides{listed}"
                )
        else:
            cluster = stack.enter_context(_local_cluster(threads, workers))
            client = stack.enter_context(Client(cluster))  # type: ignore[no-untyped-call]  # Dask leaves its constructors untyped
        yield client


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


def _connected(address: str) -> Client:
    """A client of a scheduler that runs somewhere."""
    try:
        with warnings.catch_warnings():
            # Dask warns of every difference; `version_differences` tells those that matter.
            warnings.simplefilter("ignore")
            return Client(address, timeout=CONNECT_SECONDS)  # type: ignore[no-untyped-call]  # Dask leaves its constructors untyped
    except (OSError, ValueError) as error:
        raise InputError(
            f"cluster.address: no Dask scheduler answers at {address} ({error}); start one there "
            "(dask scheduler, dask worker), or leave the address out to compute on this machine"
        ) from error


def version_differences(answers: Mapping[str, Any]) -> list[str]:
    """Compare the versions of the packages that must agree.

    Args:
        answers: what ``Client.get_versions`` gives.

    Returns:
        A line for each package that is another one on the scheduler or on a worker than here.
    """
    ours = _versions(answers["client"])
    others = {"the scheduler": answers["scheduler"], **answers["workers"]}
    return [
        f"{package}: {ours[package]} here, {theirs[package]} on {name}"
        for name, answer in others.items()
        for theirs in [_versions(answer)]
        for package in _MUST_AGREE
        if theirs[package] != ours[package]
    ]


def _versions(answer: Mapping[str, Any]) -> dict[str, str]:
    """The versions that must agree, of one of the answers that Dask collects."""
    packages = answer["packages"]
    versions = {package: str(packages.get(package)) for package in _MUST_AGREE}
    return versions | {"python": ".".join(versions["python"].split(".")[:2])}
