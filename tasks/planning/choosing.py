"""Choosing a campaign's candidate tiles by its configuration."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tasks.configuration import Campaign
from tasks.errors import InputError
from tasks.landcover.chips import footprints
from tasks.landcover.classes import class_table
from tasks.places import source_of
from tasks.planning.areas import Area, TileList, area_from_file, box, included_tiles
from tasks.planning.candidates import Candidates, all_candidates, random_candidates
from tasks.planning.chip_order import included_chips, ordered_chips
from tasks.planning.plan import Split, chip_rows, grid_rings, grid_rows
from tasks.planning.survey import ChipSurvey, GridSurvey, Survey, identities, survey


@dataclass(frozen=True)
class Planned:
    """The candidates of a campaign.

    Attributes:
        tiles: their rows, without geometry.
        rings: footprints of a slice of them in degrees, shape (n, 5, 2).
        included: how many at the front are there because of ``include``.
        exhausted: whether there are no further candidates.
    """

    tiles: pa.Table
    rings: Callable[[slice], NDArray[np.float64]]
    included: int
    exhausted: bool


def survey_of(config: Campaign) -> Survey:
    """Lists a campaign's source.

    Raises:
        InputError: the listing fails, or holds nothing usable.
    """
    return survey(source_of(config), class_table(config.landcover.product), config.tiles.grid)


def first_limit(config: Campaign) -> int:
    """How many candidates of a random sample are planned at first: twice the count and a thousand."""
    return 2 * (config.tiles.sample.count or 0) + 1000


def choose(config: Campaign, found: Survey, limit: int) -> Planned:
    """Chooses a campaign's candidates.

    Args:
        config: the campaign.
        found: what its source holds.
        limit: most candidates of a random sample, those of ``include`` apart.

    Raises:
        InputError: an input file is wrong, or the source holds nothing of the area.
    """
    shares = {"train": config.splits.train, "val": config.splits.val, "test": config.splits.test}
    split = Split(shares, config.splits.by, config.splits.seed)
    if isinstance(found, ChipSurvey):
        return _choose_chips(config, found, split, limit)
    area = _area(config, found)
    include = included_tiles(Path(config.tiles.include)) if config.tiles.include else None
    candidates = _candidates(config, area, include, limit)
    tiles = grid_rows(candidates, found.catalogue, split)
    _refuse_nothing_there(config, found, tiles)
    return Planned(
        tiles,
        lambda rows: grid_rings(candidates.x[rows], candidates.y[rows]),
        candidates.included,
        candidates.exhausted,
    )


def _choose_chips(config: Campaign, found: ChipSurvey, split: Split, limit: int) -> Planned:
    include = included_chips(Path(config.tiles.include), found.chips) if config.tiles.include else []
    sample = config.tiles.sample
    chips = ordered_chips(found.chips, include, sample.seed if sample.strategy == "random" else None)
    exhausted = sample.strategy == "all" or len(chips) - len(include) <= limit
    chips = chips if exhausted else chips[: len(include) + limit]
    middle, rings, unreadable = footprints(chips)
    return Planned(chip_rows(chips, middle, unreadable, split), lambda rows: rings[rows], len(include), exhausted)


def _area(config: Campaign, found: GridSurvey) -> Area:
    area = config.tiles.area
    if area is None:
        return found.catalogue
    return area_from_file(Path(area)) if isinstance(area, str | Path) else box(area)


def _candidates(config: Campaign, area: Area, include: TileList | None, limit: int) -> Candidates:
    if config.tiles.sample.strategy == "all":
        return all_candidates(area, include)
    return random_candidates(area, include, count=limit, seed=config.tiles.sample.seed)


def _refuse_nothing_there(config: Campaign, found: GridSurvey, tiles: pa.Table) -> None:
    """An area of which the source holds nothing is a mistake, not open sea."""
    if not len(tiles) and found.rasters:
        raise InputError("tiles.area: no zoom-14 tile has its centre in it; a tile is 0.022 degrees wide")
    needed = found.catalogue.needed(tiles.column("x").to_numpy(), tiles.column("y").to_numpy())
    if any(name in found.rasters for name in needed):
        return
    looked_for = ", ".join(needed[:5]) + (f" and {len(needed) - 5} more" if len(needed) > 5 else "")
    broken = "".join(f"; {name} {reason}" for name, reason in found.unreadable.items())
    raise InputError(
        f"landcover.source {config.landcover.source} holds nothing of the area; looked for "
        f"{looked_for or 'a raster under one of its tiles'}{broken}"
    )


def plan_digest(config: Campaign, found: Survey) -> str:
    """A digest of what a plan is made from: another plan has another one."""
    files = [config.tiles.area if isinstance(config.tiles.area, str | Path) else None, config.tiles.include]
    contents = [hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else None for file in files]
    tiles = (config.tiles.grid, config.tiles.area, config.tiles.sample, config.splits)
    listed = sorted(identities(found).items())
    content = repr((config.landcover.product, found.table.digest(), config.landcover.source, tiles, contents, listed))
    return hashlib.sha256(content.encode()).hexdigest()
