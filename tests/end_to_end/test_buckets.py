"""A campaign whose land cover and dataset lie in buckets, against a real S3 server that checks keys."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from commands import Commands, counts_of, rows_of, write_config
from dask_processes import DaskProcesses, serve_dask
from distributed import Client
from s3_server import KEY, S3, SECRET, s3

__all__ = ["s3"]


@pytest.fixture(scope="module")
def buckets(s3: S3, worldcover: Path) -> S3:
    """A bucket of land cover, and one for the dataset."""
    shutil.copytree(worldcover, s3.root / "maps")
    (s3.root / "data").mkdir()
    return s3


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskProcesses]:
    """A cluster whose processes know no keys and no Prefect."""
    with serve_dask(tmp_path_factory.mktemp("dask"), "one", "two") as cluster:
        yield cluster


def written(folder: Path, options: dict[str, Any], *, dataset: str = "my campaign", **cluster: Any) -> Path:
    source = {"product": "worldcover-2020", "source": "s3://maps", "storage_options": options}
    return write_config(
        folder,
        dataset=f"s3://data/{dataset}",
        storage_options=options,
        state="sqlite:///state.db",
        landcover=source,
        tiles={"area": [6.5, 0.0, 6.57, 0.07]},
        splits={"by": "none"},
        cluster=cluster,
    )


def test_it_runs_once_and_its_secrets_are_written_nowhere(buckets: S3, earthscribe: Commands, tmp_path: Path) -> None:
    # Worker processes are told the keys too.
    config = written(tmp_path, buckets.options, workers=1, threads=1)
    first = earthscribe("run", config.name, "--verbose", folder=tmp_path)
    assert first.code == 0, first.stderr
    assert first.stdout.splitlines()[0] == "dataset: s3://data/my campaign"
    dataset = buckets.root / "data" / "my campaign"
    tiles = pq.read_table(dataset / "tiles.parquet")
    captions = pq.read_table(dataset / "captions" / "rules.parquet")
    captioned = set(captions.column("tile_id").to_pylist())
    assert len(tiles) >= len(captioned) == tiles.column("status").to_pylist().count("kept") > 5
    (statistics,) = (dataset / "statistics").glob("*.parquet")
    assert (dataset / "preview.html").stat().st_size > 10_000

    made = statistics.stat().st_mtime_ns
    second = earthscribe("run", written(tmp_path, buckets.options, threads=1).name, "--verbose", folder=tmp_path)
    assert second.code == 0, second.stderr
    assert statistics.stat().st_mtime_ns == made
    assert pq.read_table(dataset / "captions" / "rules.parquet").equals(captions)
    assert pq.read_table(dataset / "tiles.parquet").equals(tiles)

    said = "".join([first.stdout, first.stderr, second.stdout, second.stderr])
    folders = [tmp_path, dataset, Path(earthscribe.environment["PREFECT_HOME"])]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file() and path != config]
    assert {"prefect.db", "state.db", "tiles.parquet"} <= {path.name for path in files}
    for secret in (KEY, SECRET):
        assert secret not in said
        assert [path for path in files if secret.encode() in path.read_bytes()] == []


def test_a_cluster_elsewhere_is_told_the_keys_while_the_command_lasts(
    buckets: S3, earthscribe: Commands, dask: DaskProcesses, tmp_path: Path
) -> None:
    config = written(tmp_path, buckets.options, dataset="there", address=dask.address)
    there = earthscribe("run", config.name, "--verbose", folder=tmp_path)
    assert there.code == 0, there.stderr
    (tmp_path / "here").mkdir()
    config = written(tmp_path / "here", buckets.options, dataset="here", threads=1)
    assert earthscribe("run", config.name, folder=config.parent).code == 0

    one, other = (buckets.root / "data" / name for name in ("there", "here"))
    assert rows_of(one / "tiles.parquet") == rows_of(other / "tiles.parquet")
    assert counts_of(one) == counts_of(other)
    texts = [
        [(row["tile_id"], row["text"]) for row in rows_of(path / "captions/rules.parquet")] for path in (one, other)
    ]
    assert texts[0] == texts[1]

    logs = dask.log()
    assert "plugin" in logs, "they log what they are sent"
    for secret in (KEY, SECRET):
        assert secret not in logs + there.stdout + there.stderr
    with Client(dask.address) as client:
        assert client.run(lambda: __import__("sys").modules.get("prefect")) == dict.fromkeys(client.nthreads())
        known = client.run(lambda: len(__import__("tasks.storage").storage._ACCESS))
        assert set(known.values()) == {0}, "they forget the keys when the command ends"
        plugins = client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.worker_plugins))
        assert [name for name in plugins if "earthscribe" in name] == []


def test_wrong_keys_end_it_with_exit_code_2(buckets: S3, earthscribe: Commands, tmp_path: Path) -> None:
    config = written(tmp_path, buckets.options | {"secret": "wrong-secret-41aa"})
    for command in ("run", "status"):
        ended = earthscribe(command, config.name, folder=tmp_path)
        assert ended.code == 2, ended.stderr
        assert "s3://" in ended.stderr
        assert "storage_options" in ended.stderr
        assert "Traceback" not in ended.stderr
        assert KEY not in ended.stderr
        assert "wrong-secret-41aa" not in ended.stderr
