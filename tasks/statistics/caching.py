"""The Prefect task that counts a source's tiles, and the key under which Prefect shows its result as cached."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from prefect import Task, task
from prefect.client.schemas.objects import State
from prefect.tasks import TaskRunNameCallbackWithParameters

from tasks.errors import ClusterLostError, SourceError
from tasks.statistics.jobs import Compute, Job, Manifest, run_job
from tasks.statistics.table import CODE_VERSION
from tasks.storage import Place

RETRIES = 3
RETRY_SECONDS = 1.0
"""Tries and pauses of a task run that computes on a cluster which may be lost."""


def counting_task(jobs: Mapping[str, Job], dataset: Place, compute: Compute, results: Path) -> Task[[str], Manifest]:
    """A Prefect task that does one of some jobs.

    Its run is given the job's label only: Prefect walks and hashes a task's arguments.

    Args:
        jobs: the jobs by label.
        dataset: the dataset's folder.
        compute: computes lazy statistics.
        results: folder of Prefect's results.
    """

    def key(_context: object, arguments: dict[str, Any]) -> str:
        return cache_key(jobs[arguments["source"]], dataset)

    def name(parameters: dict[str, Any]) -> str:
        source = parameters["source"]
        return f"{source}: {len(jobs[source].tile_ids)} tiles"

    @task(
        name="count classes",
        task_run_name=cast(TaskRunNameCallbackWithParameters, name),
        cache_key_fn=key,
        persist_result=True,
        result_storage=results,
        result_serializer="json",
        tags=["statistics"],
        retries=RETRIES,
        retry_delay_seconds=RETRY_SECONDS,
        retry_condition_fn=is_worth_another_try,
    )
    def count(source: str) -> Manifest:
        manifest = run_job(jobs[source], dataset, compute)
        if manifest.file is None and manifest.failed:
            raise SourceError(manifest.failed)
        return manifest

    return count


def is_worth_another_try(_task: object, _run: object, state: State[Any]) -> bool:
    """Only what computes has failed, not what was computed: no second try makes a corrupt file whole."""
    return isinstance(state.data, ClusterLostError)


def cache_key(job: Job, dataset: Place) -> str:
    """What a job's result depends on: sources, class table, code, tiles, and where it is written."""
    sources = sorted((name, raster.identity) for name, raster in job.rasters.items())
    tiles = "\n".join(job.tile_ids.to_pylist())
    content = repr((sources, job.table.name, job.table.digest(), CODE_VERSION, tiles, dataset.url))
    return "earthscribe-statistics-" + hashlib.sha256(content.encode()).hexdigest()
