"""A run on a Dask cluster that loses a worker, and then its scheduler."""

from __future__ import annotations

from pathlib import Path

from commands import Commands, counts_of, rows_of, write_config
from dask_processes import serve_dask, slowly

from tasks.scene import write_scene


def test_a_lost_worker_and_a_lost_scheduler_cost_a_retry(earthscribe: Commands, tmp_path: Path) -> None:
    write_scene(tmp_path / "landcover")
    campaign = {
        "landcover": {"product": "worldcover-2020", "source": str(tmp_path / "landcover")},
        "tiles": {"area": [6.2, 0.0, 7.2, 0.8]},
    }
    (tmp_path / "dask").mkdir()
    with serve_dask(tmp_path / "dask") as dask:
        config = write_config(tmp_path, "there", **campaign, cluster={"address": dask.address})
        dask.start_workers("one", "two", preload=slowly(0.6))
        command = earthscribe.start("statistics", config.name, folder=tmp_path)
        dask.await_work()
        dask.kill_worker("one")
        dask.await_work()
        dask.kill_scheduler()
        dask.start_scheduler()
        dask.start_workers("three")
        ended = command.wait()
    assert ended.code == 0, ended.stderr
    assert "is lost; waiting for it to come back" in ended.stderr
    assert "Traceback" not in ended.stderr
    with earthscribe.prefect() as database:
        query = "SELECT run_count FROM task_run WHERE task_key LIKE 'count%' ORDER BY start_time DESC LIMIT 1"
        assert database.execute(query).fetchone()[0] >= 2, "Prefect shows the second try"

    here = write_config(tmp_path, "here", **campaign, cluster={"threads": 1})
    assert earthscribe("statistics", here.name, folder=tmp_path).code == 0
    assert rows_of(tmp_path / "there/tiles.parquet") == rows_of(tmp_path / "here/tiles.parquet")
    assert counts_of(tmp_path / "there") == counts_of(tmp_path / "here")
