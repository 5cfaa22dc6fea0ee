"""The Dask cluster of a command, in its three forms."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from distributed import LocalCluster

from flows.runtime import cluster
from flows.runtime.cluster import available_cores, close, connect, local_client
from tasks.errors import InputError
from tasks.statistics.versions import cluster_differences

COMMAND = """
import time
from flows.runtime.cluster import local_client

if __name__ == "__main__":
    with local_client(workers=2, threads=1) as client:
        try:
            print(sum(client.gather(client.map(abs, [-1, -2]))), flush=True)
            time.sleep(60)
        except KeyboardInterrupt:
            pass
"""


def test_by_default_the_threads_of_this_process_compute() -> None:
    children = psutil.Process().children(recursive=True)
    with local_client() as client:
        assert list(client.ncores().values()) == [available_cores()]
        assert set(client.gather(client.map(lambda _: os.getpid(), range(4), pure=False))) == {os.getpid()}
        assert psutil.Process().children(recursive=True) == children
    with local_client(threads=3) as client:
        assert list(client.ncores().values()) == [3]


def test_a_running_cluster_is_used_and_left_running() -> None:
    with LocalCluster(
        processes=False, protocol="tcp", n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0"
    ) as there:
        for _ in range(2):
            client = connect(there.scheduler_address)
            assert client.submit(abs, -7).result() == 7
            close(client)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "scheduler", "carrier-pigeon://scheduler:8786"])
def test_an_address_without_a_cluster_is_an_error_that_names_it(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    with pytest.raises(InputError, match=f"cluster.address: no Dask scheduler answers at {address}"):
        connect(address)


def test_versions_that_differ_are_told_by_package_and_place() -> None:
    here = {
        "python": "3.11.7.final.0",
        "dask": "2026.8.0",
        "distributed": "2026.8.0",
        "numpy": "2.3.0",
        "earthscribe": "1.0",
    }
    answers = {
        "client": {"packages": here},
        "scheduler": {"packages": here | {"python": "3.11.9.final.0", "toolz": "0.1"}},
        "workers": {
            "tcp://w:1": {"packages": here | {"dask": "2025.1.0"}},
            "tcp://w:2": {"packages": here | {"earthscribe": None}},
        },
    }
    assert cluster_differences(answers) == [
        "dask: 2026.8.0 here, 2025.1.0 on tcp://w:1",
        "earthscribe: 1.0 here, none on tcp://w:2",
    ]
    answers["scheduler"]["packages"]["python"] = "3.12.1.final.0"
    assert cluster_differences(answers)[0] == "python: 3.11 here, 3.12 on the scheduler"


@pytest.mark.parametrize("ended_by", [signal.SIGKILL, signal.SIGINT])
def test_worker_processes_end_with_the_command(tmp_path: Path, ended_by: signal.Signals) -> None:
    script = tmp_path / "command.py"
    script.write_text(COMMAND)
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as command:
        assert command.stdout is not None
        assert command.stdout.readline() == "3\n"
        children = psutil.Process(command.pid).children(recursive=True)
        assert len(children) >= 2
        if ended_by == signal.SIGKILL:
            command.kill()
        else:
            os.killpg(command.pid, ended_by)  # as the terminal does
        _, errors = command.communicate(timeout=60)
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []
    if ended_by == signal.SIGINT:
        assert command.returncode == 0
        assert errors == ""
