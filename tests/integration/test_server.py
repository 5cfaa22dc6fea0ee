"""The embedded Prefect server, used by real commands that end in every way a command can end."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from flows.runtime.server import begin, server_folder

COMMAND = """
import sys
from flows.runtime.server import begin
server = begin()
print(server.url(), flush=True)
try:
    sys.stdin.read()
finally:
    server.end()
"""

FLOWLESS = """
from flows.runtime.server import begin, prefect_api
with prefect_api(begin()) as url:
    print(url, flush=True)
"""

CAMPAIGN = """
import os, threading
from flows.runtime.server import begin, prefect_api
begun = begin()
from prefect import flow, task
from prefect.settings import get_current_settings
from prefect.task_runners import ThreadPoolTaskRunner

@task
def square(number):
    return number * number

@flow(task_runner=ThreadPoolTaskRunner(max_workers=8))
def squares():
    return sum(future.result() for future in square.map(range(300)))

with prefect_api(begun) as url:
    seen = []
    thread = threading.Thread(target=lambda: seen.append(str(get_current_settings().api.url)))
    thread.start()
    thread.join()
    assert seen == [url] == [os.environ["PREFECT_API_URL"]]
    assert squares() == sum(number * number for number in range(300))
assert "PREFECT_API_URL" not in os.environ
assert get_current_settings().api.url is None
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Prefect home of this module's own: its database is made by the first server, which takes some seconds."""
    return tmp_path_factory.mktemp("prefect-home")


@pytest.fixture
def start(home: Path) -> Iterator[Start]:
    """Start a command in a process group of its own; none is left when the test ends."""
    commands: list[subprocess.Popen[str]] = []

    def start_one(script: str = COMMAND, **environment: str) -> subprocess.Popen[str]:
        settings = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        command = subprocess.Popen(
            [sys.executable, "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**settings, "PREFECT_HOME": str(home), **environment},
            start_new_session=True,
        )
        commands.append(command)
        return command

    yield start_one
    for command in commands:
        command.kill()
        command.communicate()
    wait_until_gone(home)


def url_of(command: subprocess.Popen[str]) -> str:
    """The server that a command says it uses."""
    assert command.stdout is not None
    line = command.stdout.readline().strip()
    if not line:
        pytest.fail(command.communicate()[1])
    return line


def answers(url: str) -> bool:
    """Whether a server is up."""
    with urllib.request.urlopen(f"{url}/health", timeout=10) as response:
        return response.status == 200


def servers(home: Path) -> list[psutil.Process]:
    """The server processes of one Prefect home."""
    folder = str(home / "earthscribe-server")
    return [
        process
        for process in psutil.process_iter(["cmdline", "status"])
        if folder in (process.info["cmdline"] or []) and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


def wait_until_gone(home: Path) -> None:
    """Fail where a server lives on without a user."""
    deadline = time.monotonic() + 15
    while servers(home):
        assert time.monotonic() < deadline, "the server outlives its users"
        time.sleep(0.02)


def test_commands_that_start_together_share_one_server_until_the_last_ends(home: Path, start: Start) -> None:
    commands = [start() for _ in range(4)]
    urls = {url_of(command) for command in commands}
    assert len(urls) == 1
    assert len(servers(home)) == 1
    (url,) = urls

    first, killed, interrupted, last = commands
    begun = time.monotonic()
    first.communicate(timeout=60)
    assert time.monotonic() - begun < 3, "a command waits for a server that others use"
    assert answers(url)
    killed.kill()
    killed.wait(timeout=60)
    assert answers(url)
    os.killpg(interrupted.pid, signal.SIGINT)
    interrupted.wait(timeout=60)
    assert answers(url)

    last.communicate(timeout=60)
    assert last.returncode == 0
    assert servers(home) == [], "the last command returned before its server had ended"


def test_a_killed_command_leaves_no_server_and_the_next_gets_one_of_its_own(home: Path, start: Start) -> None:
    record = home / "earthscribe-server" / "server.json"
    record.parent.mkdir(exist_ok=True)
    # As a crash leaves it, with a process ID that means another process by now.
    record.write_text(json.dumps({"url": "http://127.0.0.1:9/api", "pid": os.getpid()}))
    killed = start()
    assert answers(url_of(killed))
    (server,) = servers(home)

    killed.kill()
    follower = start()  # while the killed command's server may still be ending
    assert answers(url_of(follower))
    assert not server.is_running()
    assert len(servers(home)) == 1

    follower.kill()
    wait_until_gone(home)


@pytest.mark.parametrize("ended_by", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_whose_starter_is_killed_at_once_ends_by_itself(home: Path, start: Start, ended_by: int) -> None:
    command = start("from flows.runtime.server import begin; begin(); print('begun', flush=True); input()")
    assert url_of(command) == "begun"
    assert servers(home)
    command.send_signal(ended_by)
    wait_until_gone(home)


def test_every_task_run_is_recorded_when_the_command_returns(home: Path, start: Start) -> None:
    # A proxy that does not exist must not stand before a server on this machine.
    command = start(CAMPAIGN, HTTP_PROXY="http://127.0.0.1:9", ALL_PROXY="http://127.0.0.1:9")
    _, errors = command.communicate(timeout=60)
    assert command.returncode == 0, errors
    assert servers(home) == []
    with closing(sqlite3.connect(home / "prefect.db")) as database:
        runs = database.execute("SELECT state_type, count(*) FROM task_run GROUP BY 1").fetchall()
        assert runs == [("COMPLETED", 300)]
        assert database.execute("SELECT count(*) FROM task_run_state").fetchone() == (900,)
        assert database.execute("SELECT state_type FROM flow_run").fetchall() == [("COMPLETED",)]


def test_a_server_that_cannot_start_is_an_error_that_names_its_log(home: Path, start: Start, tmp_path: Path) -> None:
    (tmp_path / "prefect.db").write_bytes(b"no database" * 1000)
    command = start(FLOWLESS, PREFECT_HOME=str(tmp_path))
    output, errors = command.communicate(timeout=60)
    assert output == ""
    assert "EarthscribeError: the embedded Prefect server" in errors
    assert str(tmp_path / "earthscribe-server" / "server.log") in errors
    assert servers(tmp_path) == []


def test_pointed_at_a_server_none_is_started(start: Start, tmp_path: Path) -> None:
    by_environment = start(FLOWLESS, PREFECT_HOME=str(tmp_path / "a"), PREFECT_API_URL="http://10.0.0.1:4200/api")
    profiles = tmp_path / "b" / "profiles.toml"
    profiles.parent.mkdir()
    profiles.write_text('active = "team"\n[profiles.team]\nPREFECT_API_URL = "http://10.0.0.2:4200/api"\n')
    by_profile = start(FLOWLESS, PREFECT_HOME=str(tmp_path / "b"))
    assert url_of(by_environment) == "http://10.0.0.1:4200/api"
    assert url_of(by_profile) == "http://10.0.0.2:4200/api"
    assert not (tmp_path / "a" / "earthscribe-server").exists()
    assert not (tmp_path / "b" / "earthscribe-server").exists()


def test_a_profile_that_is_not_active_points_nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    (tmp_path / "profiles.toml").write_text(
        'active = "alone"\n[profiles.alone]\n[profiles.team]\nPREFECT_API_URL = "http://10.0.0.2:4200/api"\n'
    )
    assert server_folder() == tmp_path / "earthscribe-server"
    begun = begin()
    assert begun is not None
    begun.end()
    assert servers(tmp_path) == []
    monkeypatch.setenv("PREFECT_PROFILE", "team")
    assert begin() is None
