"""Plan: list the source, order the candidate tiles, share them out to splits. No pixel is read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from prefect import flow
from prefect.client.schemas.objects import State

from flows.locking import stage
from flows.outcome import Outcome
from flows.steps import step
from flows.terminal import say, warn
from tasks.configuration import Campaign
from tasks.errors import InputError
from tasks.landcover.chips import footprints
from tasks.landcover.classes import class_table
from tasks.planning.areas import Area, TileList, area_from_file, box, included_tiles
from tasks.planning.candidates import Candidates, all_candidates, random_candidates
from tasks.planning.chip_order import included_chips, ordered_chips
from tasks.planning.plan import Split, chip_rows, grid_rings, grid_rows, split_shares
from tasks.planning.survey import ChipSurvey, GridSurvey, Survey, digest, survey, whole_source
from tasks.planning.table import read_plan, write_tiles
from tasks.storage import Place, place


@flow(name="plan", flow_run_name="plan {config.name}", persist_result=False)
def plan(config: Campaign) -> State[Outcome]:
    """Writes the ordered candidate tiles of a campaign.

    Args:
        config: The campaign's configuration, as written.
    """
    with stage(dataset_of(config)):
        return plan_tiles(config, look(config)).state()


def dataset_of(config: Campaign) -> Place:
    """The place of a campaign's dataset."""
    return place(config.dataset, config.storage_options)


def source_of(config: Campaign) -> Place:
    """The place of a campaign's land cover."""
    return place(config.landcover.source, config.landcover.storage_options)


def look(config: Campaign) -> Survey:
    """Lists the source."""
    return step("list the source", lambda: look_at(config))


def look_at(config: Campaign) -> Survey:
    """Lists the source, outside of any flow."""
    return survey(source_of(config), class_table(config.landcover.product), config.tiles.grid)


def choose_tiles(config: Campaign, found: Survey) -> pa.Table:
    """The candidates that a first plan would hold."""
    return _choose(config, found, _limit(config, None, 0)).tiles


def plan_tiles(config: Campaign, found: Survey, further: int = 0) -> Outcome:
    """Plans the candidates, unless the plan that is there was made from the same.

    Args:
        config: the campaign.
        found: what its source holds.
        further: with a random sample, how many candidates to plan beyond those of the last plan.
    """
    dataset = dataset_of(config)
    made_from = digest(found, *_settings(config))
    last = read_plan(dataset)
    if last and last["digest"] == made_from and not further:
        return Outcome((f"plan: {last['planned']} candidate tiles, as planned before",))
    limit = _limit(config, last if last and last["digest"] == made_from else None, further)
    planned = step("choose the tiles", lambda: _choose(config, found, limit))
    content = {
        "digest": made_from,
        "planned": len(planned.tiles),
        "included": planned.included,
        "exhausted": planned.exhausted,
        "limit": limit,
    }
    write_tiles(dataset, planned.tiles, planned.rings, content)
    for name, reason in found.unreadable.items():
        warn(f"{name}: {reason}")
    say_splits(config, planned.tiles)
    return Outcome((f"plan: {len(planned.tiles)} candidate tiles",), dict(found.unreadable))


@dataclass(frozen=True)
class _Planned:
    tiles: pa.Table
    rings: Callable[[slice], NDArray[np.float64]]
    included: int
    exhausted: bool


def _choose(config: Campaign, found: Survey, limit: int) -> _Planned:
    shares = {"train": config.splits.train, "val": config.splits.val, "test": config.splits.test}
    split = Split(shares, config.splits.by, config.splits.seed)
    if isinstance(found, ChipSurvey):
        return _choose_chips(config, found, split, limit)
    area = _area(config, found)
    include = included_tiles(Path(config.tiles.include)) if config.tiles.include else None
    candidates = _candidates(config, area, include, limit)
    if not len(candidates.x):
        raise InputError("tiles.area: no zoom-14 tile has its centre in it; a tile is 0.022 degrees wide")
    tiles = grid_rows(candidates, found.catalogue, split)
    _refuse_nothing_there(config, found, tiles)
    return _Planned(
        tiles,
        lambda rows: grid_rings(candidates.x[rows], candidates.y[rows]),
        candidates.included,
        candidates.exhausted,
    )


def _choose_chips(config: Campaign, found: ChipSurvey, split: Split, limit: int) -> _Planned:
    include = included_chips(Path(config.tiles.include), found.chips) if config.tiles.include else []
    sample = config.tiles.sample
    chips = ordered_chips(found.chips, include, sample.seed if sample.strategy == "random" else None)
    exhausted = sample.strategy == "all" or len(chips) - len(include) <= limit
    chips = chips if exhausted else chips[: len(include) + limit]
    middle, rings, unreadable = footprints(chips)
    return _Planned(chip_rows(chips, middle, unreadable, split), lambda rows: rings[rows], len(include), exhausted)


def _area(config: Campaign, found: GridSurvey) -> Area:
    area = config.tiles.area
    if area is None:
        return whole_source(found)
    return area_from_file(Path(area)) if isinstance(area, str | Path) else box(area)


def _candidates(config: Campaign, area: Area, include: TileList | None, limit: int) -> Candidates:
    if config.tiles.sample.strategy == "all":
        return all_candidates(area, include)
    return random_candidates(area, include, count=limit, seed=config.tiles.sample.seed)


def _limit(config: Campaign, last: Mapping[str, Any] | None, further: int) -> int:
    """How many candidates of a random sample are planned: twice the count and a thousand, then more as needed."""
    count = config.tiles.sample.count or 0
    return max(2 * count + 1000, (int(last["limit"]) if last else 0) + further)


def _refuse_nothing_there(config: Campaign, found: GridSurvey, tiles: pa.Table) -> None:
    """An area of which the source holds nothing is a mistake, not open sea."""
    needed = found.catalogue.needed(tiles.column("x").to_numpy(), tiles.column("y").to_numpy())
    if any(name in found.rasters for name in needed):
        return
    looked_for = ", ".join(needed[:5]) + (f" and {len(needed) - 5} more" if len(needed) > 5 else "")
    broken = "".join(f"; {name} {reason}" for name, reason in found.unreadable.items())
    raise InputError(
        f"landcover.source {config.landcover.source} holds nothing of the area; looked for "
        f"{looked_for or 'a raster under one of its tiles'}{broken}"
    )


def _settings(config: Campaign) -> tuple[object, ...]:
    """What a plan depends on besides the source's listing."""
    files = [config.tiles.area if isinstance(config.tiles.area, str | Path) else None, config.tiles.include]
    contents = [hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else None for file in files]
    return (
        config.landcover.product,
        config.landcover.source,
        config.tiles.model_dump(mode="json", include={"grid", "area", "sample"}),
        config.splits.model_dump(mode="json"),
        contents,
    )


def say_splits(config: Campaign, tiles: pa.Table) -> None:
    """Tells the shares that the splits have reached, and warns of an empty one."""
    if config.splits.by == "none" or not len(tiles):
        return
    wanted = {"train": config.splits.train, "val": config.splits.val, "test": config.splits.test}
    reached = split_shares(tiles, wanted)
    say("splits: " + ", ".join(f"{name} {count} ({share:.1%})" for name, (count, share) in reached.items()))
    for name, (count, _) in reached.items():
        if not count:
            together = {"block": "zoom-10 block", "tile": "tile"}[config.splits.by]
            warn(f"split {name} is empty: whole {together}s are drawn, and the campaign has few of them")
