"""A campaign from start to end: plan, statistics, imagery, captions with their checks, a preview, and the release."""

from __future__ import annotations

from typing import Final

from prefect import flow
from prefect.client.schemas.objects import State

from flows.captions import caption_tiles
from flows.display.preview import write_preview
from flows.display.summary import show_summary
from flows.display.terminal import say
from flows.imagery import make_chips
from flows.plan import look, plan_tiles
from flows.release import publish
from flows.runtime.ending import heed
from flows.runtime.hooks import HOOKS
from flows.runtime.locking import stage
from flows.runtime.outcome import Outcome
from flows.runtime.steps import MOST_TASK_RUNS, step, task_threads
from flows.statistics import count_tiles
from flows.verification import reporting_checks, verify_captions
from tasks.checks.verifying import AGAIN
from tasks.configuration import Campaign
from tasks.errors import UnfinishedError
from tasks.places import dataset_of
from tasks.planning.survey import Survey

_FOR_IMAGERY: Final = MOST_TASK_RUNS // 5
_FOR_RELEASE: Final = MOST_TASK_RUNS // 10
"""Task runs of these stages at the most, where all of them are one flow run."""


@flow(
    name="campaign",
    flow_run_name="campaign {config.name}",
    task_runner=task_threads(),
    persist_result=False,
    **HOOKS,
)
def campaign(config: Campaign, partial: bool = False) -> State[Outcome]:
    """Does what is missing of a campaign: plan, statistics, imagery, captions with their checks, preview and release.

    Args:
        config: The campaign's configuration, as written.
        partial: Release what there is, though captions or chips are still to be made.
    """
    dataset = dataset_of(config)
    with stage(config):
        found = look(config)
        outcome = plan_tiles(config, found).then(count_tiles(config, found, MOST_TASK_RUNS // 2))
        if config.imagery:
            heed()
            outcome = outcome.then(make_chips(config, found, _FOR_IMAGERY))
    heed()
    with reporting_checks(config):
        outcome = outcome.then(_caption_and_verify(config, MOST_TASK_RUNS - _FOR_RELEASE - outcome.task_runs))
    heed()
    with stage(config):
        preview = step("draw the preview page", lambda: write_preview(config, found), "preview")
        heed()
        outcome = outcome.then(_publish(config, found, partial=partial))
    show_summary(config)
    return outcome.then(Outcome(results=(f"dataset: {dataset}", f"preview: {preview}"))).state()


def _caption_and_verify(config: Campaign, most: int) -> Outcome:
    """Captions and checks in turn, until nothing is pending or no more can be asked.

    Args:
        config: the campaign.
        most: about as many task runs as this makes, two thirds of them in the first turn.
    """
    outcome = Outcome()
    for turn in range(1 + AGAIN):
        share = most // 6 if turn else most * 2 // 3
        captioned = caption_tiles(config, most=share * 3 // 4)
        heed()
        verified = verify_captions(config, most=share // 4)
        outcome = outcome.then(captioned).then(verified.outcome)
        if not verified.again - captioned.unusable.keys() - captioned.next_slots.keys():
            break
        heed()
    return outcome


def _publish(config: Campaign, found: Survey, *, partial: bool) -> Outcome:
    """Releases what is finished, or says what a release waits for."""
    try:
        return publish(config, found, partial=partial, include_unchecked=False, most=_FOR_RELEASE)
    except UnfinishedError as error:
        return Outcome((say(f"release: {error}"),))
