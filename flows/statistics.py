"""Statistics: count the classes of the planned tiles, source by source, and decide which tiles are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from prefect import flow
from prefect.client.schemas.objects import State
from prefect.futures import as_completed
from prefect.settings import get_current_settings

from flows.display.artifacts import show_failed_sources
from flows.display.summary import show_summary
from flows.display.terminal import Bar, progress, say, warn
from flows.plan import look, plan_tiles, say_splits
from flows.runtime.computing import computing
from flows.runtime.ending import heed
from flows.runtime.hooks import HOOKS
from flows.runtime.locking import stage
from flows.runtime.outcome import Outcome
from flows.runtime.steps import MOST_TASK_RUNS, task_threads
from tasks.configuration import Campaign
from tasks.errors import SourceError
from tasks.places import dataset_of, source_of
from tasks.planning.survey import Survey, identities
from tasks.planning.table import EXCLUDED, FAILED, KEPT, PLANNED, read_columns, read_plan, status_counts, update_tiles
from tasks.statistics.caching import counting_task
from tasks.statistics.gates import Gates
from tasks.statistics.jobs import Compute, Job, Manifest
from tasks.statistics.sources import write_sources
from tasks.statistics.table import StatisticsFile, all_counts, drop_stale, list_statistics, refuse_other_counts
from tasks.storage import Place, exists

_MOST_LATER_JOBS = 20
"""Task runs of each later round of a random sample, all of which are one flow run."""


@flow(
    name="statistics",
    flow_run_name="statistics {config.name}",
    task_runner=task_threads(),
    persist_result=False,
    **HOOKS,
)
def statistics(config: Campaign) -> State[Outcome]:
    """Counts the classes of the planned tiles and decides which are kept.

    Args:
        config: The campaign's configuration, as written.
    """
    with stage(config):
        found = look(config)
        outcome = plan_tiles(config, found).then(count_tiles(config, found))
    show_summary(config)
    return outcome.state()


def count_tiles(config: Campaign, found: Survey, most: int = MOST_TASK_RUNS) -> Outcome:
    """Counts the planned tiles that have no counts yet, and applies the gates to all.

    With a random sample, candidates are added until enough of them pass.

    Args:
        config: the campaign.
        found: what its source holds.
        most: sources up to which each is a task run of its own; more of them share some.
    """
    dataset = dataset_of(config)
    known = identities(found)
    made = 0
    while True:
        files = list_statistics(dataset)
        refuse_other_counts(files, found.table, dataset)
        failed, task_runs = _count_missing(config, found, drop_stale(files, known), most)
        made += task_runs
        tiles, enough = _judge(config, found, failed)
        plan = read_plan(dataset) or {}
        if enough or plan.get("exhausted", True):
            break
        say(f"statistics: fewer than {config.tiles.sample.count} candidates pass; adding as many again")
        # Doubled each time, so that a sample of what is rare takes few rounds.
        plan_tiles(config, found, further=plan["limit"])
        most = _MOST_LATER_JOBS
    return _report(config, found, tiles, failed).then(Outcome(task_runs=made))


def _count_missing(
    config: Campaign, found: Survey, files: Sequence[StatisticsFile], most: int
) -> tuple[dict[str, str], int]:
    """Counts what has no counts yet; returns the sources that failed, with the reason, and how many task runs."""
    dataset = dataset_of(config)
    jobs = {job.label: job for job in _missing_jobs(found, files, dataset, most)}
    if not jobs:
        return dict(found.unreadable), 0
    total = sum(len(job.tile_ids) for job in jobs.values())
    with computing(config.cluster, source_of(config)) as compute, progress(config.name, "statistics", total) as bar:
        return {**found.unreadable, **_run(jobs, dataset, compute, bar)}, len(jobs)


def _missing_jobs(found: Survey, files: Sequence[StatisticsFile], dataset: Place, most: int) -> list[Job]:
    """The jobs of the tiles that have no counts yet; the table of all tiles goes before they are counted."""
    tiles = read_columns(dataset, "tile_id", "x", "y", "source")
    done = pa.chunked_array([file.tile_ids for file in files], pa.string())
    return found.jobs(tiles.filter(pc.invert(pc.is_in(tiles.column("tile_id"), done))), most)


def _run(jobs: Mapping[str, Job], dataset: Place, compute: Compute, bar: Bar) -> dict[str, str]:
    """Does the jobs as task runs; returns the sources that failed, with the reason."""
    count = counting_task(jobs, dataset, compute, get_current_settings().results.local_storage_path)
    failed: dict[str, str] = {}
    pending = [count.submit(label) for label in jobs]
    labels = dict(zip((future.task_run_id for future in pending), jobs, strict=True))
    for future in as_completed(pending):
        heed()
        label = labels[future.task_run_id]
        manifest = _manifest(future.result(raise_on_failure=False))
        if manifest.file and not exists(Place(manifest.file, dataset.access)):
            # Prefect remembers a file that is there no more.
            manifest = _manifest(
                count.with_options(refresh_cache=True)(label, return_state=True).result(raise_on_failure=False)
            )
        for source, reason in manifest.failed.items():
            if source not in failed:
                warn(f"{source}: {reason}")
        failed |= manifest.failed
        bar.advance(len(jobs[label].tile_ids))
    return dict(sorted(failed.items()))


def _manifest(result: Manifest | BaseException | Mapping[str, Any]) -> Manifest:
    """What a task run gave: its result, as it is or out of Prefect's store, or the sources that failed it."""
    if isinstance(result, SourceError):
        return Manifest(None, 0, result.reasons)
    if isinstance(result, BaseException):
        raise result
    return result if isinstance(result, Manifest) else Manifest(**result)


def _judge(config: Campaign, found: Survey, failed: Mapping[str, str]) -> tuple[pa.Table, bool]:
    """Applies the gates, writes what became of each tile, and tells whether a random sample has its count."""
    dataset = dataset_of(config)
    tiles = read_columns(dataset, "tile_id", "x", "y", "source", "split")
    plan = read_plan(dataset) or {}
    gates = Gates(
        config.tiles.min_valid,
        {str(token): share for token, share in config.tiles.max_share.items()},
        config.tiles.min_classes,
    )
    status, reason = _gate(tiles, gates, dataset)
    for source, why in failed.items():
        if source in found.rasters:
            needing = found.needing(source, tiles)
            status[needing], reason[needing] = FAILED, f"{source}: {why}"
    enough = True
    if config.tiles.sample.strategy == "random":
        passed = np.flatnonzero(status == KEPT)
        sampled = passed[passed >= plan.get("included", 0)]
        status[sampled[config.tiles.sample.count :]] = PLANNED
        enough = len(sampled) >= (config.tiles.sample.count or 0)
    judged = pa.array(status, pa.string())
    update_tiles(dataset, judged, pa.array(reason, pa.string()))
    return tiles.append_column("status", judged), enough


def _gate(tiles: pa.Table, gates: Gates, dataset: Place) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """Status and reason of each tile by its counts alone; planned where it has none."""
    status = np.full(len(tiles), PLANNED, dtype=object)
    reason = np.full(len(tiles), None, dtype=object)
    tile_ids = tiles.column("tile_id").combine_chunks()
    counted, excluded = [], []
    for ids, counts in all_counts(dataset):
        counted.append(ids)
        excluded.append(gates.reasons(counts))
    if not counted:
        return status, reason
    place = pc.index_in(pa.concat_arrays(counted), value_set=tile_ids)
    why = np.concatenate(excluded)
    # Counts of tiles that are not planned any more stay where they are, for the day they are planned again.
    planned = place.is_valid().to_numpy(zero_copy_only=False)
    rows, why = place.drop_null().to_numpy(), why[planned]
    status[rows] = np.where(why == None, KEPT, EXCLUDED)  # noqa: E711 - element by element
    reason[rows] = why
    return status, reason


def _report(config: Campaign, found: Survey, tiles: pa.Table, failed: Mapping[str, str]) -> Outcome:
    """Tells what is kept, what is missing and what failed, and writes it down for `status`."""
    dataset = dataset_of(config)
    missing = found.missing(tiles)
    counts = status_counts(tiles)
    unusable = {*missing, *failed}
    done = [source for source in pc.unique(tiles.column("source")).drop_null().to_pylist() if source not in unusable]
    write_sources(dataset, len(done), missing, failed)
    if missing:
        names = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        warn(f"the source does not list {names}: taken as no data")
    show_failed_sources(config, failed)
    standing = ", ".join(f"{counts[status]} {status}" for status in (KEPT, EXCLUDED, FAILED, PLANNED) if counts[status])
    line = say(f"statistics: {standing or 'no tile'}")
    say_splits(config, tiles.filter(pc.equal(tiles.column("status"), KEPT)))
    return Outcome((line,), dict(failed))
