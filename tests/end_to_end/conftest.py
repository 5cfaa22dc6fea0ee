"""Fixtures of the end-to-end tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from campaigns import Campaign
from commands import Commands, Demo, Ended, processes_of
from playwright.sync_api import Browser

from tasks.scene import write_scene
from tests.browsers import NoBrowserError, headless_browser
from tests.once import once, prefect_database


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What commands find in their environment: a Prefect home of their own, and nothing of the tester's Prefect."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    home = tmp_path_factory.mktemp("prefect-home")
    shutil.copy(prefect_database(tmp_path_factory), home)
    return kept | {"PREFECT_HOME": str(home), "XDG_STATE_HOME": str(home), "COLUMNS": "100"}


@pytest.fixture(scope="session")
def demo(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """`earthscribe demo` as the first command of a machine; its folder is not to be changed."""

    def make(folder: Path) -> None:
        home = {"PREFECT_HOME": str(folder / "home"), "XDG_STATE_HOME": str(folder / "home")}
        run = [sys.executable, "-m", "flows", "demo", "--out", "here"]
        done = subprocess.run(run, cwd=folder, env=environment | home, capture_output=True, text=True, check=False)
        left_running = processes_of(home["PREFECT_HOME"])
        (folder / "told.json").write_text(json.dumps([done.returncode, done.stdout, done.stderr, left_running]))

    folder = once(tmp_path_factory, "demo", make)
    code, stdout, stderr, left_running = json.loads((folder / "told.json").read_text())
    return Demo(Ended(code, stdout, stderr), folder / "here", left_running)


@pytest.fixture(scope="session")
def earthscribe(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """Runs commands."""
    # What `flows.cli` sets before it imports Prefect.
    quiet = {"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL", "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore"}
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("warm_start.py"))],
        env=environment | quiet,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as warm:
        yield Commands(environment, tmp_path_factory.mktemp("commands"), warm)
    assert processes_of(environment["PREFECT_HOME"]) == []


@pytest.fixture(scope="session")
def counted(earthscribe: Commands, tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """A campaign on the made scene that has been planned and counted."""
    folder = tmp_path_factory.mktemp("counted")
    write_scene(folder / "landcover")
    campaign = Campaign(earthscribe, folder, folder / "landcover")
    campaign.configure()
    assert campaign("statistics").code == 0
    return campaign


@pytest.fixture
def campaign(counted: Campaign, tmp_path: Path) -> Campaign:
    """A fresh copy of it."""
    shutil.copytree(counted.folder / "c", tmp_path / "c")
    return Campaign(counted.earthscribe, tmp_path, counted.landcover)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless browser."""
    try:
        with headless_browser() as browser:
            yield browser
    except NoBrowserError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))
