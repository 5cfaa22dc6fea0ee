"""Commands that are killed, interrupted, or run beside each other: nothing done is lost, and nothing is left behind."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from commands import Commands, counts_of, flow_runs, rows_of, write_config

AREA = [6.44, 0.0, 6.64, 0.16]


@pytest.fixture(scope="module")
def landcover(worldcover: Path) -> dict[str, str]:
    return {"product": "worldcover-2020", "source": str(worldcover)}


@pytest.fixture(scope="module")
def undisturbed(
    earthscribe: Commands, landcover: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """The tables of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    config = write_config(folder, landcover=landcover, tiles={"area": AREA})
    assert earthscribe("run", config, folder=folder).code == 0
    return tables(folder / "c")


def tables(dataset: Path) -> dict[str, Any]:
    """All that a campaign has to say, but for the times at which it was written."""
    captions = rows_of(dataset / "captions" / "rules.parquet")
    return {
        "tiles": rows_of(dataset / "tiles.parquet"),
        "counts": counts_of(dataset),
        "captions": [{**caption, "created_at": None} for caption in captions],
    }


def test_killed_at_any_moment_a_run_is_taken_up_again(
    earthscribe: Commands, tmp_path: Path, landcover: dict[str, str], undisturbed: dict[str, Any]
) -> None:
    config = write_config(tmp_path, landcover=landcover, tiles={"area": AREA})
    moments = random.Random(7)
    for _ in range(5):
        run = earthscribe.start("run", config, folder=tmp_path)
        time.sleep(moments.uniform(0.2, 2.0))
        run.signal(signal.SIGKILL)
        assert run.wait().code in {0, -signal.SIGKILL}
    (tmp_path / "c" / "statistics").mkdir(parents=True, exist_ok=True)
    half = tmp_path / "c" / "statistics" / ".N00E006-0123456789ab.parquet.k1ll3d.part"
    half.write_bytes(b"PAR1 half a file")
    ended = earthscribe("run", config, folder=tmp_path)
    assert ended.code == 0, ended.stderr
    assert tables(tmp_path / "c") == undisturbed
    assert not list((tmp_path / "c").rglob(".*.part"))


def test_two_runs_at_once_end_well_both(
    earthscribe: Commands, tmp_path: Path, landcover: dict[str, str], undisturbed: dict[str, Any]
) -> None:
    config = write_config(tmp_path, landcover=landcover, tiles={"area": AREA})
    runs = [earthscribe.start("run", config, folder=tmp_path) for _ in range(2)]
    ended = [run.wait() for run in runs]
    assert [(one.code, one.stdout) for one in ended] == [(0, ended[0].stdout)] * 2, ended
    assert tables(tmp_path / "c") == undisturbed


def test_an_interrupted_run_ends_soon_and_in_order(
    earthscribe: Commands, tmp_path: Path, landcover: dict[str, str], undisturbed: dict[str, Any]
) -> None:
    config = write_config(tmp_path, landcover=landcover, tiles={"area": AREA})
    lock = tmp_path / "c" / ".lock"
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        lock.unlink(missing_ok=True)
        run = earthscribe.start("run", config, folder=tmp_path)
        wait_for(lock)
        run.signal(number)
        begun = time.monotonic()
        ended = run.wait()
        assert time.monotonic() - begun < 10
        assert (ended.code, ended.stdout) == (code, "")
        assert ended.stderr.strip().endswith("interrupted: what was done is kept; run the command again to go on")
        assert "Traceback" not in ended.stderr
    assert earthscribe("run", config, folder=tmp_path).code == 0
    assert tables(tmp_path / "c") == undisturbed
    with earthscribe.prefect() as database:
        states = [run["state_name"] for run in flow_runs(database, config)]
    assert states == ["Cancelled", "Cancelled", "Completed"]


def wait_for(path: Path) -> None:
    """Waits until a file is there."""
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.01)


class _NeverAnswers(BaseHTTPRequestHandler):
    """A bucket that lists one file, and never gives a byte of it."""

    key = "v100/2020/map/ESA_WorldCover_10m_2020_v100_N00E006_Map.tif"
    asked = threading.Event()
    ended = threading.Event()

    def do_GET(self) -> None:
        if "list-type=2" not in self.path:
            self.asked.set()
            self.ended.wait()
            return
        listed = (
            f"<Key>{self.key}</Key><LastModified>2020-10-21T07:28:00.000Z</LastModified><ETag>x</ETag><Size>9</Size>"
        )
        answer = f"<ListBucketResult><IsTruncated>false</IsTruncated><Contents>{listed}</Contents></ListBucketResult>"
        self.send_response(200)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer.encode())

    do_HEAD = do_GET  # noqa: N815 - the base class calls it so

    def log_message(self, format: str, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def bucket() -> Iterator[str]:
    """The address of a bucket that never answers."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _NeverAnswers) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        _NeverAnswers.ended.set()
        server.shutdown()


def test_ctrl_c_ends_a_command_whose_reads_hang(earthscribe: Commands, tmp_path: Path, bucket: str) -> None:
    source = {"source": "s3://maps", "storage_options": {"anon": True, "endpoint_url": bucket}}
    config = write_config(tmp_path, landcover={"product": "worldcover-2020", **source}, tiles={"area": AREA})
    with earthscribe.cold("run", config, folder=tmp_path) as command:
        assert _NeverAnswers.asked.wait(30), command.communicate()
        children = psutil.Process(command.pid).children(recursive=True)
        begun = time.monotonic()
        os.killpg(command.pid, signal.SIGINT)  # as the terminal does
        stdout, stderr = command.communicate(timeout=20)
    assert time.monotonic() - begun < 10
    assert (command.returncode, stdout) == (130, "")
    assert stderr.splitlines()[-1] == "interrupted: what was done is kept; run the command again to go on"
    assert "Traceback" not in stderr
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []
