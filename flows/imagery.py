"""Imagery: a chip for each kept tile, from the best scene that shows it or from the user's own folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import as_completed

from flows.display.artifacts import show_failed_chips
from flows.display.summary import show_summary
from flows.display.terminal import Bar, progress, say, warn
from flows.plan import look
from flows.runtime.computing import computing
from flows.runtime.ending import heed
from flows.runtime.hooks import HOOKS
from flows.runtime.locking import stage, sweep
from flows.runtime.outcome import Outcome
from flows.runtime.steps import MOST_TASK_RUNS, step, task_threads
from tasks.configuration import Campaign, Imagery, StacImagery
from tasks.errors import InputError
from tasks.imagery.choosing import UNREADABLE
from tasks.imagery.jobs import Job, pair_jobs, run_job, scene_jobs, settings
from tasks.imagery.stac import Cell, cells_of, scenes, search
from tasks.imagery.table import FAILED, Row, counts, refuse_other_settings, statuses, write_failed
from tasks.places import dataset_of, source_of
from tasks.planning.survey import ChipSurvey, GridSurvey, Survey
from tasks.planning.table import KEPT, read_columns
from tasks.statistics.caching import RETRIES, RETRY_SECONDS, is_worth_another_try
from tasks.statistics.jobs import Compute
from tasks.storage import Place, exists, place

_TOLD = 20
"""Scenes that cannot be used are warned of by name, up to so many."""

_LIE = "the catalogue says that {} is to be added to its pixels, and they say {}: theirs is what was done"


@flow(
    name="imagery",
    flow_run_name="imagery {config.name}",
    task_runner=task_threads(),
    persist_result=False,
    **HOOKS,
)
def imagery(config: Campaign) -> State[Outcome]:
    """Makes the image chips of the kept tiles that have none yet.

    Args:
        config: The campaign's configuration, as written.
    """
    with stage(config):
        outcome = make_chips(config, look(config))
    show_summary(config)
    return outcome.state()


def make_chips(config: Campaign, found: Survey, most: int = MOST_TASK_RUNS * 4 // 5) -> Outcome:
    """Makes the chips that are missing, and writes down what became of each tile.

    Args:
        config: the campaign.
        found: what its land-cover source holds.
        most: task runs that make chips, at the most.

    Raises:
        InputError: no imagery is configured, there is no plan yet, or the chips that are there are of other settings.
    """
    if config.imagery is None:
        raise InputError(
            "imagery: is missing in the configuration: {stac: ...}, or with `grid: chips` {source: FOLDER}"
        )
    dataset = dataset_of(config)
    made_with = settings(config.imagery, found.table.name)
    refuse_other_settings(dataset, made_with)
    kept = read_columns(dataset, "tile_id", "x", "y", "lon", "source", "block", "status")
    kept = kept.filter(pc.equal(kept.column("status"), KEPT))
    there = statuses(dataset).column("tile_id")
    missing = kept.filter(pc.invert(pc.is_in(kept.column("tile_id"), value_set=there.combine_chunks())))
    failed: dict[str, str] = {}
    jobs: list[Job] = []
    if len(missing):
        sweep(dataset, "imagery/chips/*")
        jobs = _jobs(config, config.imagery, missing, found, most)
        failed = _run(config, jobs, dataset, made_with)
    write_failed(dataset, failed)
    return _report(config, kept, failed).then(Outcome(task_runs=len(jobs)))


def _jobs(config: Campaign, wanted: Imagery, missing: pa.Table, found: Survey, most: int) -> list[Job]:
    """The jobs of tiles that have no chip yet; for those of the grid, scenes are searched first."""
    dataset = dataset_of(config)
    if isinstance(wanted, StacImagery) and isinstance(found, GridSurvey):
        cells = cells_of(missing.column("x").to_numpy(), missing.column("y").to_numpy())
        step("search for scenes", lambda: _search(config, wanted, cells), "imagery")
        return list(scene_jobs(wanted, missing, found, dataset, most))
    if not isinstance(wanted, StacImagery) and isinstance(found, ChipSurvey):
        return list(pair_jobs(wanted, missing, found, dataset, most))
    raise InputError("imagery: expected stac with a grid of tiles, source with `grid: chips`")


def _search(config: Campaign, wanted: StacImagery, cells: Sequence[Cell]) -> None:
    """Searches the areas that have not been searched yet, and tells what there is."""
    dataset = dataset_of(config)
    with progress(config.name, "search for scenes", len(cells), "areas") as bar:
        for _ in search(wanted, cells, dataset):
            heed()
            bar.advance(1)
    number = 0
    unusable: dict[str, str] = {}
    for cell in cells:
        usable, others = scenes(wanted, cell, dataset)
        number += len(usable)
        unusable |= others
    say(f"imagery: {number} scenes over {len(cells)} areas")
    _warn_of(unusable)


def _run(config: Campaign, jobs: Sequence[Job], dataset: Place, made_with: str) -> dict[str, str]:
    """Does the jobs as task runs; returns the tiles that failed, with the reason."""
    by_label = {f"{number} of {len(jobs)}: {job.label}": job for number, job in enumerate(jobs, 1)}
    total = sum(job.size for job in jobs)
    failed: dict[str, str] = {}
    unreadable: dict[str, str] = {}
    lying: dict[str, str] = {}
    places = dataset, source_of(config), _scenes_place(config)
    with computing(config.cluster, *places) as compute, progress(config.name, "imagery", total) as bar:
        for rows in _made(by_label, dataset, made_with, compute, bar):
            _refuse_elsewhere(rows, dataset, config.cluster.address)
            failed |= {row["tile_id"]: row["reason"] or "" for row in rows if row["status"] == FAILED}
            for row in rows:
                if row.get("offset_applied") != row.get("offset_stated"):
                    lying |= {
                        str(row.get("scene")): _LIE.format(*(row[name] for name in ("offset_stated", "offset_applied")))
                    }
                unreadable |= {
                    one["scene"]: one["reason"] for one in row.get("tried", ()) if one["reason"].startswith(UNREADABLE)
                }
    _warn_of(unreadable)
    _warn_of(lying)
    return failed


def _made(
    jobs: Mapping[str, Job], dataset: Place, made_with: str, compute: Compute, bar: Bar
) -> Iterator[Sequence[Row]]:
    """Does jobs as task runs, and gives what became of each one's tiles as it ends."""
    done: dict[str, Sequence[Row]] = {}

    def run(job: str) -> None:
        # A task's result would be kept until the flow ends.
        done[job] = run_job(jobs[job], dataset, made_with, compute)

    chips = task(
        name="make chips",
        task_run_name="{job}",
        tags=["imagery"],
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=RETRIES,
        retry_delay_seconds=RETRY_SECONDS,
        retry_condition_fn=is_worth_another_try,
    )(run)
    pending = [chips.submit(label) for label in jobs]
    labels = dict(zip((future.task_run_id for future in pending), jobs, strict=True))
    for future in as_completed(pending):
        heed()
        future.result()
        label = labels[future.task_run_id]
        bar.advance(jobs[label].size)
        yield done.pop(label)


def _scenes_place(config: Campaign) -> Place:
    """Stands for the access options of the scenes' files."""
    wanted = config.imagery
    return place(wanted.stac, wanted.storage_options) if isinstance(wanted, StacImagery) else Place("")


def _refuse_elsewhere(rows: Sequence[Row], dataset: Place, address: str | None) -> None:
    """Workers on other machines must write where this command reads.

    Raises:
        InputError: they do not.
    """
    chip = next((row["chip"] for row in rows if row.get("chip")), None)
    if address and chip and not exists(dataset.join(chip)):
        raise InputError(
            f"dataset {dataset}: the workers of {address} write their chips elsewhere; expected a bucket, or a folder "
            "that all machines share under this path"
        )


def _warn_of(scenes: Mapping[str, str]) -> None:
    """Tells which scenes cannot be used; what they would have shown, others do."""
    for name, reason in sorted(scenes.items())[:_TOLD]:
        warn(f"scene {name}: {reason}")
    if len(scenes) > _TOLD:
        warn(f"{len(scenes) - _TOLD} more scenes cannot be used; the column `tried` of imagery/*.parquet names them")


def _report(config: Campaign, kept: pa.Table, failed: Mapping[str, str]) -> Outcome:
    """Tells how many tiles have their chip, and why others have none."""
    found = counts(dataset_of(config), kept.column("tile_id").combine_chunks())
    parts = [f"{found['done']} chips"] + [f"{found[name]} {name}" for name in ("rejected",) if found[name]]
    if failed:
        show_failed_chips(config, failed)
        parts.append(f"{len(failed)} failed")
        (tile_id, reason), others = min(failed.items()), len(failed) - 1
        warn(f"imagery: {tile_id}: {reason}" + (f" (and {others} more)" if others else ""))
    line = say("imagery: " + ", ".join(parts))
    return Outcome((line,), {f"chip of {tile_id}": reason for tile_id, reason in failed.items()})
