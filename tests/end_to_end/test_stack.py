"""The local stack, with real processes: started, used, killed, and stopped."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
import s3fs
from distributed import Client
from local_stack import LocalStack, running_stack, stack_command

from flows.runtime.server import take_lock
from infra.stack.layout import open_stack
from infra.stack.processes import marked

PARTS = ["postgres", "s3", "dask-scheduler", "dask-worker-1", "dask-worker-2", "prefect", "worker"]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with running_stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


def test_all_parts_are_up_when_start_returns(stack: LocalStack) -> None:
    told = [line.split()[1:3] for line in stack.said.splitlines() if "pid" in line]
    assert [name for name, _ in told if name != "redis"] == PARTS
    assert {state for _, state in told} == {"healthy"}
    assert {f"{name}.log" for name, _ in told} == {path.name for path in (stack.folder / "logs").iterdir()}
    (pool,) = stack.api("work_pools/filter")
    assert (pool["name"], pool["type"], pool["status"]) == ("earthscribe", "process", "READY")
    assert httpx.get(stack.layout.ui, trust_env=False).headers["content-type"].startswith("text/html")


def test_the_lines_that_it_prints_are_all_that_a_shell_needs(stack: LocalStack) -> None:
    exports = stack.exports()
    assert exports == stack.layout.client_settings()
    store = s3fs.S3FileSystem(
        key=exports["AWS_ACCESS_KEY_ID"],
        secret=exports["AWS_SECRET_ACCESS_KEY"],
        endpoint_url=exports["AWS_ENDPOINT_URL"],
    )
    store.pipe("earthscribe/hello.txt", b"hello")
    assert (stack.folder / "s3" / "earthscribe" / "hello.txt").read_bytes() == b"hello"
    state = next(line.split()[-1] for line in stack.said.splitlines() if line.startswith("# state:"))
    with psycopg.connect(state, passfile=exports["PGPASSFILE"]) as database:
        assert database.execute("SELECT current_database()").fetchone() == ("earthscribe",)
    with Client(stack.layout.scheduler) as client:
        assert sorted(worker["name"] for worker in client.scheduler_info()["workers"].values()) == PARTS[3:5]


def test_stores_ask_for_their_keys(stack: LocalStack) -> None:
    address = stack.exports()["AWS_ENDPOINT_URL"]
    for access in ({"key": "earthscribe", "secret": "guessed"}, {"anon": True}):
        with pytest.raises(OSError, match=r"signature|algorithm"):
            s3fs.S3FileSystem(endpoint_url=address, **access).ls("earthscribe")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(stack.layout.database("earthscribe"), password="guessed")


def test_no_secret_is_printed_logged_or_seen_in_the_list_of_processes(stack: LocalStack) -> None:
    seen = [stack.said, *(path.read_text(errors="replace") for path in (stack.folder / "logs").iterdir())]
    seen += [" ".join(process.cmdline()) for processes in stack.processes().values() for process in processes]
    for secret in stack.layout.secrets.values():
        assert not any(secret in text for text in seen)
    for kept in (stack.folder / "secrets").iterdir():
        assert kept.stat().st_mode & 0o077 == 0


def test_started_twice_it_says_so_and_starts_nothing(stack: LocalStack) -> None:
    before = {part: stack.pid(part) for part in PARTS}
    again = stack.command("start")
    assert again.returncode == 0
    assert again.stderr == "the local stack runs already\n"
    assert again.stdout == stack.said
    assert {part: stack.pid(part) for part in PARTS} == before


def test_what_was_killed_is_started_again_and_nothing_else(stack: LocalStack) -> None:
    before = {part: stack.pid(part) for part in PARTS}
    (pool,) = stack.api("work_pools/filter")
    killed = ["s3", "dask-worker-2", "prefect", "worker"]
    for part in killed:
        psutil.Process(before[part]).kill()
    found = stack.command("status")
    assert found.returncode == 1
    assert [line.split()[1] for line in found.stdout.splitlines() if "not running" in line] == killed
    # Numbers of processes are given out anew: another process is not taken for the part.
    (stack.folder / "run" / "s3.pid").write_text(f"{before['postgres']}\n")
    assert stack.command("start").returncode == 0
    after = {part: stack.pid(part) for part in PARTS}
    assert [part for part in PARTS if after[part] != before[part]] == killed
    assert stack.command("status").returncode == 0
    assert [found["id"] for found in stack.api("work_pools/filter")] == [pool["id"]], "the data stay"


def test_a_second_command_at_the_same_time_is_refused(stack: LocalStack) -> None:
    lock = take_lock(stack.folder / "lock", fcntl.LOCK_EX)
    try:
        refused = stack.command("stop")
    finally:
        os.close(lock)
    assert refused.returncode == 2
    assert "is being started or stopped at this moment" in refused.stderr
    assert stack.pid("prefect")


def test_stop_ends_all_whatever_was_killed_and_the_data_stay(stack: LocalStack) -> None:
    store = stack.folder / "s3" / "earthscribe" / "kept.txt"
    store.write_text("kept")
    for part in ("postgres", "prefect", "dask-scheduler"):
        psutil.Process(stack.pid(part)).kill()
    stopped = stack.command("stop")
    assert stopped.returncode == 0
    assert stack.processes() == {}
    again = stack.command("stop")
    assert (again.returncode, again.stderr) == (0, "nothing of the local stack ran\n")
    assert stack.command("status").returncode == 1
    assert store.read_text() == "kept"
    assert (stack.folder / "postgres" / "data" / "PG_VERSION").exists()


def test_a_port_that_another_process_has_is_named(tmp_path: Path) -> None:
    """A stack keeps its addresses, since configurations name them: it does not move to others by itself."""
    port = open_stack(tmp_path / "stack").ports["postgres"]
    with socket.create_server(("127.0.0.1", port)):
        refused = stack_command("start", tmp_path / "stack")
    assert refused.returncode == 2
    assert f"port {port}, which is postgres's in this stack, is taken" in refused.stderr
    assert marked(tmp_path / "stack") == {}


def test_a_part_that_cannot_start_is_named_with_its_log_and_nothing_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "stack"
    open_stack(folder)
    (folder / "postgres" / "data").mkdir(parents=True)
    failed = stack_command("start", folder)
    assert failed.returncode == 1
    assert "postgres did not start" in failed.stderr
    assert str(folder / "logs" / "postgres.log") in failed.stderr
    assert marked(folder) == {}


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    for command, complaint in (("start", "is not empty"), ("stop", "holds no local stack")):
        refused = stack_command(command, tmp_path)
        assert refused.returncode == 2
        assert complaint in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
