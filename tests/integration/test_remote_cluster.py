"""Computing on a Dask cluster that runs elsewhere: real processes that join, die and return."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import xarray as xr
from dask_processes import WITHOUT_PREFECT, DaskProcesses, serve_dask, slowly
from distributed import Client

from flows.display.terminal import show_at_terminal
from flows.runtime import computing as module
from flows.runtime.cluster import connect
from flows.runtime.computing import computing
from tasks.configuration.models import Cluster
from tasks.errors import ClusterError, ClusterLostError, InputError
from tasks.grid import morton_order, tile_ids
from tasks.landcover.catalogue import catalogue
from tasks.landcover.classes import class_table
from tasks.statistics.blocks import GridChunk
from tasks.statistics.dataset import lazy_statistics
from tasks.statistics.patches import Counts
from tasks.storage import Place

SLOWLY = slowly(0.25)
DEADLY = f"""{WITHOUT_PREFECT}
import os
from tasks.statistics.blocks import GridChunk
GridChunk.count = lambda self: os._exit(9)
"""
OF_ANOTHER_VERSION = f"""{WITHOUT_PREFECT}
import importlib.metadata as metadata
def version(name, true=metadata.version):
    return "0.0.9" if name == "earthscribe" else true(name)
if metadata.version.__name__ != "version" or metadata.version("earthscribe") != "0.0.9":
    metadata.version = version
    import distributed.versions
    distributed.versions.version = version
    distributed.versions._version_cached.cache_clear()
"""


@pytest.fixture(autouse=True)
def _terminal() -> None:
    """As a command does: what is told of a cluster is looked for on standard error."""
    show_at_terminal(quiet=False)


@pytest.fixture(scope="module")
def chunks(made_worldcover: Path) -> list[GridChunk]:
    """Twenty pieces of work of four tiles each."""
    table = class_table("worldcover-2020")
    rasters = tuple(catalogue(Place(str(made_worldcover)), table).rasters.values())
    x, y = (axis.ravel().astype(np.int32) for axis in np.meshgrid(np.arange(8484, 8494), np.arange(8176, 8184)))
    order = morton_order(x, y)
    return [GridChunk(x[part], y[part], rasters, table.ids) for part in np.split(order, 20)]


@pytest.fixture(scope="module")
def expected(chunks: list[GridChunk]) -> Counts:
    return np.concatenate([chunk.count() for chunk in chunks])


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskProcesses]:
    with serve_dask(tmp_path_factory.mktemp("dask")) as cluster:
        yield cluster


@pytest.fixture
def dask(scheduler: DaskProcesses) -> Iterator[DaskProcesses]:
    """A scheduler, no worker yet."""
    yield scheduler
    scheduler.restore()


def lazy(chunks: list[GridChunk]) -> xr.Dataset:
    ids = tile_ids(*(np.concatenate([getattr(chunk, axis) for chunk in chunks]) for axis in "xy"))
    return lazy_statistics(pa.array(ids), chunks)


@pytest.fixture
def start(dask: DaskProcesses, chunks: list[GridChunk]) -> Iterator[Callable[[], Future[Counts]]]:
    """Starts to compute beside the test."""

    def counted(compute: Callable[[xr.Dataset], xr.Dataset]) -> Counts:
        for last in (False, False, True):
            try:
                return compute(lazy(chunks))["counts"].to_numpy()
            except ClusterLostError:  # as the Prefect task does
                if last:
                    raise
        raise AssertionError

    with ThreadPoolExecutor(1) as threads, computing(Cluster(address=dask.address), Place("/nowhere")) as compute:
        yield lambda: threads.submit(counted, compute)


def test_workers_need_no_prefect(dask: DaskProcesses, start: Callable[[], Future[Counts]], expected: Counts) -> None:
    dask.start_workers("one", "two")
    assert np.array_equal(start().result(60), expected)
    with Client(dask.address) as client:
        found = client.run(lambda: __import__("sys").modules.get("prefect", "absent"))
    assert list(found.values()) == [None, None], "its import was barred, and nothing needed it"


def test_a_worker_that_dies_costs_its_work_only(
    dask: DaskProcesses, start: Callable[[], Future[Counts]], expected: Counts
) -> None:
    dask.start_workers("one", "two", preload=SLOWLY)
    counting = start()
    dask.await_work()
    dask.kill_worker("one")
    assert not counting.done()
    assert np.array_equal(counting.result(60), expected)


def test_a_scheduler_that_returns_costs_another_try(
    dask: DaskProcesses, start: Callable[[], Future[Counts]], expected: Counts, capsys: pytest.CaptureFixture[str]
) -> None:
    dask.start_workers("one", preload=SLOWLY)
    counting = start()
    dask.await_work()
    dask.kill_scheduler()
    dask.start_scheduler()
    dask.start_workers("two")
    assert np.array_equal(counting.result(60), expected)
    said = capsys.readouterr().err
    assert "is lost; waiting for it to come back" in said
    assert "is back" in said


def test_a_scheduler_that_does_not_return_is_told(
    dask: DaskProcesses, start: Callable[[], Future[Counts]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETURN_SECONDS", 0.0)
    monkeypatch.setattr("flows.runtime.cluster.CONNECT_SECONDS", 0.5)
    dask.start_workers("one", preload=SLOWLY)
    counting = start()
    dask.await_work()
    dask.kill_scheduler()
    with pytest.raises(ClusterError, match=f"{dask.address} has not come back for 0 seconds.*run the command again"):
        counting.result(60)


def test_a_cluster_without_workers_is_told_and_waited_for(
    dask: DaskProcesses,
    start: Callable[[], Future[Counts]],
    expected: Counts,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(module, "_SAID_AFTER", 0.5)
    counting = start()
    said = ""
    while "has no worker; waiting for one (dask worker tcp://" not in said:
        said += capsys.readouterr().err
        assert not counting.done()
        time.sleep(0.1)
    dask.start_workers("late")
    assert np.array_equal(counting.result(60), expected)


def test_a_cluster_without_workers_for_long_is_given_up(
    dask: DaskProcesses, start: Callable[[], Future[Counts]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WORKERLESS_SECONDS", 1.0)
    with pytest.raises(ClusterError, match=f"{dask.address} has had no worker for 1 seconds.*start workers"):
        start().result(60)


def test_work_that_kills_workers_is_told(dask: DaskProcesses, start: Callable[[], Future[Counts]]) -> None:
    counting = start()
    dask.start_workers("first", preload=DEADLY)
    dask.start_workers("second", preload=DEADLY)
    with pytest.raises(ClusterError, match=r"2 Dask workers died.*log tells why"):
        counting.result(60)


def test_other_versions_are_refused_at_the_start(dask: DaskProcesses) -> None:
    dask.start_workers("old", preload=OF_ANOTHER_VERSION)
    with pytest.raises(InputError, match=r"install the same on both sides\n  earthscribe: .* here, 0.0.9 on tcp://"):
        connect(dask.address)


def test_other_versions_are_refused_of_a_worker_that_joins_later(
    dask: DaskProcesses, start: Callable[[], Future[Counts]]
) -> None:
    dask.start_workers("one", preload=SLOWLY)
    counting = start()
    dask.await_work()
    dask.start_workers("old", preload=OF_ANOTHER_VERSION)
    dask.kill_worker("one")
    with pytest.raises(InputError, match=r"earthscribe: .* here, 0.0.9 on the worker on "):
        counting.result(60)
