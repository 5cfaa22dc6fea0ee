"""A campaign whose land cover and dataset lie in buckets, against a real S3 server that checks keys."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from commands import Commands, write_config
from s3_server import KEY, S3, SECRET, s3

__all__ = ["s3"]


@pytest.fixture(scope="module")
def buckets(s3: S3, worldcover: Path) -> S3:
    """A bucket of land cover, and one for the dataset."""
    shutil.copytree(worldcover, s3.root / "maps")
    (s3.root / "data").mkdir()
    return s3


def written(folder: Path, options: dict[str, Any], **cluster: int) -> Path:
    source = {"product": "worldcover-2020", "source": "s3://maps", "storage_options": options}
    return write_config(
        folder,
        dataset="s3://data/my campaign",
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
    assert len(tiles) >= len(captions) == tiles.column("status").to_pylist().count("kept") > 5
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
