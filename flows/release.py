"""Release: the dataset in its published forms, from the tables alone."""

from __future__ import annotations

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import as_completed

from flows.display.report import gather as gather_checks
from flows.display.summary import show_summary
from flows.display.terminal import progress, say, warn
from flows.plan import look
from flows.runtime.ending import heed
from flows.runtime.hooks import HOOKS
from flows.runtime.locking import stage
from flows.runtime.outcome import Outcome
from flows.runtime.slices import in_groups
from flows.runtime.steps import MOST_TASK_RUNS, step, task_threads
from tasks.captions.keeping import restore
from tasks.captions.state import open_state
from tasks.configuration import Campaign
from tasks.errors import UnfinishedError
from tasks.places import dataset_of
from tasks.planning.survey import Survey
from tasks.release.captions import RELEASED, UNCHECKED, scratch
from tasks.release.papers import write_papers
from tasks.release.parts import write_part
from tasks.release.publishing import Written, begin, finish, release_folder
from tasks.release.samples import Sources, gather
from tasks.release.selection import Selection, select
from tasks.report.gathering import unnamed
from tasks.report.markdown import in_markdown


@flow(
    name="release",
    flow_run_name="release {config.name}",
    task_runner=task_threads(),
    persist_result=False,
    **HOOKS,
)
def release(config: Campaign, partial: bool = False, include_unchecked: bool = False) -> State[Outcome]:
    """Writes the dataset in its published forms to `DATASET/release`.

    Args:
        config: The campaign's configuration, as written.
        partial: Release what there is, though captions or chips are still to be made.
        include_unchecked: Take in captions that no check has met.
    """
    with stage(config):
        outcome = publish(config, look(config), partial=partial, include_unchecked=include_unchecked)
    show_summary(config)
    return outcome.then(Outcome(results=(f"release: {release_folder(dataset_of(config))}",))).state()


def publish(
    config: Campaign, found: Survey, *, partial: bool, include_unchecked: bool, most: int = MOST_TASK_RUNS * 4 // 5
) -> Outcome:
    """Writes the release; what is there of it and was made from the same is left as it is.

    Args:
        config: the campaign.
        found: what its land-cover source holds.
        partial: whether what is still to be made is passed over.
        include_unchecked: whether captions that no check has met go in.
        most: task runs that write parts, at the most.

    Raises:
        UnfinishedError: something is still to be made, or nothing can go in.
    """
    dataset = dataset_of(config)
    statuses = (*RELEASED, UNCHECKED) if include_unchecked else RELEASED
    imagery = config.imagery is not None
    with open_state(config.state, config.dataset) as state, scratch() as captions:
        restore(state, dataset)
        selection = step(
            "choose what goes in",
            lambda: select(dataset, config.captioners, state, captions, imagery=imagery, statuses=statuses),
            "release",
        )
        if selection.pending and not partial:
            raise UnfinishedError(
                f"{dataset} is not finished: {', '.join(selection.pending)} are still to be made; run the campaign to "
                "its end, or release what there is with --partial"
            )
        if not selection.parts:
            raise UnfinishedError(_nothing(selection, include_unchecked=include_unchecked))
        sources = step("read the tables", lambda: gather(dataset, captions, found, imagery=imagery), "release")
        before = begin(dataset)
        written = _write_parts(config, selection, sources, most)
        checks = step(
            "count what the checks found", lambda: in_markdown(unnamed(gather_checks(config, state))), "release"
        )
        files = step(
            "write the papers",
            lambda: write_papers(config, selection, sources, written, checks),
            "release",
        )
        finish(dataset, files, before)
    if selection.pending:
        warn(f"release: partial, without {', '.join(selection.pending)}")
    shards = "1 shard" if len(selection.parts) == 1 else f"{len(selection.parts)} shards"
    line = say(f"release: {len(selection)} tiles in {shards}, {len(selection.reasons)} left out")
    return Outcome((line,), task_runs=min(len(selection.parts), most))


def _write_parts(config: Campaign, selection: Selection, sources: Sources, most: int) -> dict[str, Written]:
    """Writes the parts in task runs, one each where there are few; returns what each has left behind."""
    written: dict[str, Written] = {}
    by_label = dict(in_groups(selection.parts, lambda part: part.name, most))

    def write(part: str) -> None:
        # A task's result would be kept until the flow ends.
        for one in by_label[part]:
            written[one.name] = write_part(one, sources)
            bar.advance(len(one.rows))

    with progress(config.name, "release", len(selection)) as bar:
        writing = task(
            name="write a part",
            task_run_name="{part}",
            tags=["release"],
            cache_policy=NO_CACHE,
            persist_result=False,
        )(write)
        for future in as_completed([writing.submit(label) for label in by_label]):
            heed()
            future.result()
    return written


def _nothing(selection: Selection, *, include_unchecked: bool) -> str:
    """Why there is nothing to release, and what to do."""
    unchecked = sum(one.statuses[UNCHECKED] for one in selection.taken.values())
    if unchecked and not include_unchecked:
        return f"no caption has passed the checks; {unchecked} are unchecked: verify them, or add --include-unchecked"
    reasons = list(selection.reasons.values())
    return "there is no tile to release" + (f": {reasons[0]}" if reasons else "; run the campaign first")
