"""The files of settings in `deployments/`: Prefect knows what they say, and a shell reads them as we do."""

from __future__ import annotations

import importlib
import os
import subprocess
from datetime import timedelta
from pathlib import Path

import prefect_settings
import pytest
from prefect.settings import Settings

from flows.runtime.embedded_server import SETTINGS as EMBEDDED
from infra.stack.settings import DEPLOYMENTS, read_settings, server_settings

SERVERS = ("server-one-machine.env", "server-team.env")
FILES = (*SERVERS, "worker.env")


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))


@pytest.mark.parametrize("file", FILES)
def test_every_setting_is_known_and_says_something_else_than_the_default(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = read_settings(DEPLOYMENTS / file)
    ours = [name for name in settings if name.startswith("PREFECT_")]
    assert set(settings) - set(ours) <= {"DO_NOT_TRACK"}
    defaults = Settings()
    for name in ours:
        monkeypatch.setenv(name, settings[name])
    changed = Settings()
    for name in ours:
        assert prefect_settings.value(changed, name) != prefect_settings.value(defaults, name), name


@pytest.mark.parametrize("file", SERVERS)
def test_modules_that_are_named_are_there(file: str) -> None:
    for value in read_settings(DEPLOYMENTS / file).values():
        if value.startswith(("prefect.", "prefect_redis.")):
            importlib.import_module(value)


@pytest.mark.parametrize(("file", "days"), [("server-one-machine.env", 30), ("server-team.env", 60)])
def test_what_is_kept_for_how_long(file: str, days: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in read_settings(DEPLOYMENTS / file).items():
        monkeypatch.setenv(name, value)
    server = Settings().server
    assert server.services.db_vacuum.enabled_vacuum_types == {"events", "flow_runs", "orphans"}
    assert server.services.db_vacuum.retention_period == timedelta(days=days)
    assert server.events.retention_period == timedelta(days=3)


@pytest.mark.parametrize("file", FILES)
def test_a_shell_reads_what_we_read(file: str) -> None:
    path = DEPLOYMENTS / file
    shown = subprocess.run(
        ["sh", "-c", 'set -a; . "$1"; env -0', "sh", str(path)], env={}, capture_output=True, text=True, check=True
    )
    sourced = dict(line.split("=", 1) for line in shown.stdout.split("\0") if line)
    assert read_settings(path).items() <= sourced.items()


def test_without_redis_nothing_is_looked_for_in_it() -> None:
    team, alone = (read_settings(DEPLOYMENTS / file) for file in reversed(SERVERS))
    assert server_settings(with_redis=True) == team
    settings = server_settings(with_redis=False)
    assert not any("redis" in value for value in settings.values())
    lease = "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"
    assert settings[lease] == alone[lease]
    assert settings.items() - {(lease, alone[lease])} <= team.items()


def test_the_embedded_server_writes_as_fast_as_the_others() -> None:
    recorder = {name: value for name, value in EMBEDDED.items() if "RECORDER" in name}
    assert len(recorder) == 3
    for file in SERVERS:
        assert recorder.items() <= read_settings(DEPLOYMENTS / file).items()


def test_a_line_that_is_no_setting_is_named(tmp_path: Path) -> None:
    (tmp_path / "some.env").write_text("# why\nA=1\nexport B=2\n")
    with pytest.raises(ValueError, match=r"some\.env, line 3: expected NAME=VALUE"):
        read_settings(tmp_path / "some.env")
