"""`earthscribe review` as a command: it says where the page is, and leaves what was judged in the dataset."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest
from commands import Command, Commands, Demo

ADDRESS = re.compile(r"http://\S+")


@pytest.fixture
def folder(demo: Demo, tmp_path: Path) -> Path:
    """A copy of the demo's campaign."""
    shutil.copytree(demo.folder, tmp_path / "demo")
    return tmp_path / "demo"


@contextmanager
def served(earthscribe: Commands, folder: Path, *options: object) -> Iterator[tuple[Command, str]]:
    """The command while it runs, and the address that it tells."""
    command = earthscribe.start("review", "campaign.yaml", "--port", 0, *options, folder=folder)
    told, deadline = None, time.monotonic() + 60
    try:
        while told is None:
            assert time.monotonic() < deadline, "no address was told"
            time.sleep(0.1)
            told = ADDRESS.search(command.output.with_suffix(".err").read_text())
        yield command, told.group()
    finally:
        command.signal(signal.SIGINT)
        assert command.wait().code == 130


def test_it_tells_its_address_and_what_was_judged_is_in_the_dataset(earthscribe: Commands, folder: Path) -> None:
    with served(earthscribe, folder) as (_, address):
        entry = httpx.get(f"{address}api/queue", params={"reviewer": "ann"}).json()["entries"][0]
        place = {"captioner": entry["captioner"], "tile_id": entry["tile_id"], "reviewer": "ann"}
        item = httpx.get(f"{address}api/item", params=place).json()
        body = place | {"version": item["version"], "says": "reject", "reason": "too dry"}
        kept = httpx.post(f"{address}api/verdict", json=body, headers={"X-Earthscribe": "review"})
        assert kept.json()["status"] == "rejected"
    rows = pq.read_table(folder / "dataset" / "captions" / "rules.parquet").to_pylist()
    judged = [(row["tile_id"], row["status"], row["reason"]) for row in rows if row["reviewer"] == "ann"]
    assert judged == [(entry["tile_id"], "rejected", "too dry")]
    assert "passed by the checks" in (folder / "dataset" / "report.html").read_text("utf-8")


def test_a_verdict_is_brought_back_on_a_tile_outside_the_queue(earthscribe: Commands, folder: Path) -> None:
    captions = folder / "dataset" / "captions" / "rules.parquet"
    caption = next(row for row in pq.read_table(captions).to_pylist() if row["status"] == "accepted")
    given = {name: caption[name] for name in ("captioner", "tile_id", "version")}
    given |= {"reviewer": "ann", "verdict": "edit", "text": "Possibly trees."}
    with served(earthscribe, folder, "--sample", 0) as (_, address):
        assert httpx.get(f"{address}api/queue", params={"reviewer": "ann"}).json()["entries"] == []
        headers = {"X-Earthscribe": "review"}
        brought = httpx.post(f"{address}api/import", content=json.dumps(given), headers=headers)
        assert brought.json() == {"kept": 1, "known": 0, "refused": []}
        place = {name: given[name] for name in ("captioner", "tile_id", "reviewer")}
        assert "not in the queue" in httpx.get(f"{address}api/item", params=place).json()["error"]
    (edited,) = (row for row in pq.read_table(captions).to_pylist() if row["reviewer"] == "ann")
    assert (edited["status"], edited["text"]) == ("edited", "Possibly trees.")
    assert {"forbidden-word", "length"} <= set(edited["flags"])


def test_on_an_address_that_others_reach_it_tells_a_token(earthscribe: Commands, folder: Path) -> None:
    with served(earthscribe, folder, "--host", "0.0.0.0") as (_, address):
        told = httpx.URL(address)
        assert told.host != "0.0.0.0"
        assert httpx.get(told.copy_with(query=None)).status_code == 401
        # The address as it is told, and the same in a browser on this machine.
        for opened in (told, told.copy_with(host="127.0.0.1")):
            assert httpx.get(opened, follow_redirects=True).status_code == 200


def test_where_the_port_is_taken_it_says_so_and_writes_nothing(earthscribe: Commands, folder: Path) -> None:
    def written() -> dict[str, int]:
        files = [folder / "dataset" / "report.html", *(folder / "dataset" / "captions").iterdir()]
        return {file.name: file.stat().st_mtime_ns for file in files}

    before = written()
    with socket.create_server(("127.0.0.1", 0)) as other:
        ended = earthscribe("review", "campaign.yaml", "--port", other.getsockname()[1], folder=folder)
    assert ended.code == 2
    assert "cannot be served on" in ended.stderr
    assert written() == before


def test_without_a_plan_it_says_so_and_leaves_nothing(earthscribe: Commands, folder: Path) -> None:
    shutil.rmtree(folder / "dataset")
    ended = earthscribe("review", "campaign.yaml", folder=folder)
    assert ended.code == 2
    assert "plan" in ended.stderr
    assert not (folder / "dataset" / "captions").exists()
