"""Plan: list the source, order the candidate tiles, share them out to splits. No pixel is read."""

from __future__ import annotations

import pyarrow as pa
from prefect import flow
from prefect.client.schemas.objects import State

from flows.display.terminal import say, warn
from flows.runtime.hooks import HOOKS
from flows.runtime.locking import stage
from flows.runtime.outcome import Outcome
from flows.runtime.steps import step
from tasks.configuration import Campaign
from tasks.places import dataset_of
from tasks.planning.choosing import choose, first_limit, plan_digest, survey_of
from tasks.planning.plan import split_shares
from tasks.planning.survey import Survey
from tasks.planning.table import read_plan, write_tiles
from tasks.statistics.table import list_statistics, refuse_other_counts


@flow(name="plan", flow_run_name="plan {config.name}", persist_result=False, **HOOKS)
def plan(config: Campaign) -> State[Outcome]:
    """Writes the ordered candidate tiles of a campaign.

    Args:
        config: The campaign's configuration, as written.
    """
    with stage(config):
        return plan_tiles(config, look(config)).state()


def look(config: Campaign) -> Survey:
    """Lists the source, and warns of what cannot be opened."""
    found = step("list the source", lambda: survey_of(config), "plan")
    for name, reason in found.unreadable.items():
        warn(f"{name}: {reason}")
    return found


def plan_tiles(config: Campaign, found: Survey, further: int = 0) -> Outcome:
    """Plans the candidates, unless the plan that is there was made from the same.

    Args:
        config: the campaign.
        found: what its source holds.
        further: with a random sample, how many candidates to plan beyond those of the last plan.
    """
    dataset = dataset_of(config)
    made_from = plan_digest(config, found)
    last = read_plan(dataset)
    if last and last["digest"] == made_from and not further:
        return Outcome((say(f"plan: {last['planned']} candidate tiles, as planned before"),), dict(found.unreadable))
    # Before the plan is written anew, not after.
    refuse_other_counts(list_statistics(dataset), found.table, dataset)
    limit = last["limit"] + further if last and last["digest"] == made_from else first_limit(config)
    planned = step("choose the tiles", lambda: choose(config, found, limit), "plan")
    content = {
        "digest": made_from,
        "planned": len(planned.tiles),
        "included": planned.included,
        "exhausted": planned.exhausted,
        "limit": limit,
    }
    write_tiles(dataset, planned.tiles, planned.rings, content)
    outcome = Outcome((say(f"plan: {len(planned.tiles)} candidate tiles"),), dict(found.unreadable))
    say_splits(config, planned.tiles)
    return outcome


def say_splits(config: Campaign, tiles: pa.Table) -> None:
    """Tells the shares that the splits have reached, and warns of an empty one."""
    if config.splits.by == "none" or not len(tiles):
        return
    wanted = {"train": config.splits.train, "val": config.splits.val, "test": config.splits.test}
    reached = split_shares(tiles, wanted)
    say("  splits: " + ", ".join(f"{name} {count} ({share:.1%})" for name, (count, share) in reached.items()))
    for name, (count, _) in reached.items():
        if not count:
            together = {"block": "zoom-10 block", "tile": "tile"}[config.splits.by]
            warn(f"split {name} is empty: whole {together}s are drawn, and the campaign has few of them")
