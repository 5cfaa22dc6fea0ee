"""What one Prefect task makes chips for: consecutive tiles, as groups of neighbours."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import shapely
import xarray as xr
from numpy.typing import NDArray

from tasks.configuration import ChipImagery, Imagery, StacImagery
from tasks.grid import ZOOM, Ints, latitude_of_edge, longitude_of_edge
from tasks.imagery.groups import GROUP_TILES, SceneGroup, Terms
from tasks.imagery.pairs import UNPLACED, Pair, PairGroup, images_by_tile
from tasks.imagery.scenes import Scene
from tasks.imagery.stac import cell_of, scenes
from tasks.imagery.table import Row, write_rows
from tasks.planning.survey import ChipSurvey, GridSurvey
from tasks.statistics.jobs import Compute
from tasks.storage import Place, place

CODE_VERSION = 1
"""Raised when the same scenes would give other chips."""

_LEAST_TILES = 64
"""Tiles that a job takes where there are enough: what is lost when a run is killed."""

_PAIRS_AT_ONCE = 16


class Group(Protocol):
    """Tiles whose chips one Dask task makes; travels to a worker, so it holds names and places and no secrets."""

    def __len__(self) -> int: ...

    def make(self) -> list[Row]:
        """Writes chips, and tells what became of each tile."""


@dataclass(frozen=True)
class Job:
    """Tiles of one task run.

    Attributes:
        label: what people call it.
        size: how many tiles it has.
        groups: gives them as groups; what that takes is read no earlier.
    """

    label: str
    size: int
    groups: Callable[[], Sequence[Group]]


def settings(imagery: Imagery, product: str) -> str:
    """All that decides what chips are, as JSON."""
    if isinstance(imagery, ChipImagery):
        own = {"bands": list(imagery.bands)}
    else:
        own = imagery.model_dump(include={"collection", "datetime", "max_cloud", "seasons"})
    return json.dumps({"code": CODE_VERSION, "product": product} | own, sort_keys=True)


def scene_jobs(imagery: StacImagery, tiles: pa.Table, found: GridSurvey, dataset: Place, most: int) -> Iterator[Job]:
    """Tiles of the grid, by neighbourhood.

    Args:
        imagery: where their scenes come from.
        tiles: ``tile_id``, ``x``, ``y`` and ``block`` of those that have no chip yet.
        found: their land cover.
        dataset: where chips are written.
        most: jobs at the most.
    """
    access = place(imagery.stac, imagery.storage_options).access
    terms = Terms(imagery.max_cloud, imagery.seasons, access, dataset)
    keys = _group_keys(tiles.column("x").to_numpy(), tiles.column("y").to_numpy())
    order = np.argsort(keys, kind="stable")
    tiles, keys = tiles.take(pa.array(order)), keys[order]
    for part in _parts(keys, most):
        mine = tiles.slice(part.start, part.stop - part.start)
        first, last = (mine.column("block")[row].as_py() for row in (0, len(mine) - 1))
        # Two jobs may lie in one block: their digests tell the files apart, and their numbers of tiles the task runs.
        label = f"{first}, {len(mine)} tiles" if first == last else f"{first} to {last}, {len(mine)} tiles"
        yield Job(label, len(mine), partial(_scene_groups, imagery, terms, mine, found))


def _scene_groups(imagery: StacImagery, terms: Terms, tiles: pa.Table, found: GridSurvey) -> list[Group]:
    x, y = (tiles.column(axis).to_numpy() for axis in ("x", "y"))
    ids, blocks = (tiles.column(name).to_pylist() for name in ("tile_id", "block"))
    groups: list[Group] = []
    near: dict[tuple[int, int], list[Scene]] = {}
    for index in _runs(_group_keys(x, y)):
        cell = cell_of(int(x[index[0]]), int(y[index[0]]))
        if cell not in near:
            near = {cell: scenes(imagery, cell, terms.dataset)[0]}
        needed = found.catalogue.needed(x[index], y[index])
        groups.append(
            SceneGroup(
                tuple(ids[row] for row in index),
                tuple(blocks[row] for row in index),
                x[index],
                y[index],
                _touching(near[cell], x[index], y[index]),
                tuple(found.rasters[name] for name in needed if name in found.rasters),
                found.table.ids,
                terms,
            )
        )
    return groups


def pair_jobs(imagery: ChipImagery, tiles: pa.Table, found: ChipSurvey, dataset: Place, most: int) -> Iterator[Job]:
    """Chips and the images of their names.

    Args:
        imagery: where the images are.
        tiles: ``tile_id``, ``source``, ``block`` and ``lon`` of those that have no chip yet.
        found: the land-cover chips.
        dataset: where chips are written.
        most: jobs at the most.

    Raises:
        InputError: there is no image, or two have one name.
    """
    source = place(imagery.source)
    images = images_by_tile(source)
    rasters = found.rasters
    pairs = [
        Pair(
            row["tile_id"],
            UNPLACED if row["lon"] is None else row["block"],
            rasters[row["source"]],
            images.get(row["tile_id"]),
        )
        for row in tiles.select(["tile_id", "source", "block", "lon"]).to_pylist()
    ]
    for part in _parts(np.arange(len(pairs)), most):
        mine = tuple(pairs[part])
        label = mine[0].tile_id if len(mine) == 1 else f"{mine[0].tile_id} to {mine[-1].tile_id}, {len(mine)} tiles"
        chunks = [mine[start : start + _PAIRS_AT_ONCE] for start in range(0, len(mine), _PAIRS_AT_ONCE)]
        groups = [PairGroup(chunk, imagery.bands, found.table, source.url, dataset) for chunk in chunks]
        yield Job(label, len(mine), partial(list, groups))


def run_job(job: Job, dataset: Place, made_with: str, compute: Compute) -> list[Row]:
    """Makes a job's chips and writes down what became of its tiles.

    Args:
        job: the tiles.
        dataset: the dataset's folder.
        made_with: the settings, see `settings`.
        compute: computes the lazy rows.
    """
    rows: list[Row] = compute(lazy_rows(job.groups()))["row"].to_numpy().tolist()
    write_rows(dataset, job.label, rows, made_with)
    return rows


def lazy_rows(groups: Sequence[Group]) -> xr.Dataset:
    """Describes what becomes of tiles; nothing is read or written before it is computed.

    Args:
        groups: the tiles, one Dask task each.

    Returns:
        A Dataset with ``row`` (tile): mappings, see `tasks.imagery.table.Row`.
    """
    import dask.array  # noqa: PLC0415 - half a second that planning need not pay

    name = f"chips-{id(groups):x}-{len(groups)}"
    graph: dict[Any, Any] = {(name, index): (_make, group) for index, group in enumerate(groups)}
    sizes = (tuple(len(group) for group in groups),)
    rows = dask.array.Array(graph, name, sizes, dtype=object)  # type: ignore[no-untyped-call]  # dask's constructor
    return xr.Dataset({"row": (("tile",), rows)})


def _make(group: Group) -> NDArray[np.object_]:
    made = np.empty(len(group), dtype=object)
    made[:] = group.make()
    return made


def _group_keys(x: Ints, y: Ints) -> NDArray[np.uint64]:
    """The number of each tile's group, such that neighbours in number are neighbours in place (Morton order)."""
    column, row = (np.asarray(axis, dtype=np.uint64) // np.uint64(GROUP_TILES) for axis in (x, y))
    key = np.zeros(len(column), dtype=np.uint64)
    for bit in range(ZOOM):
        from_bit, one = np.uint64(bit), np.uint64(1)
        key |= (column >> from_bit & one) << np.uint64(2 * bit)
        key |= (row >> from_bit & one) << np.uint64(2 * bit + 1)
    return key


def _runs(keys: NDArray[np.integer]) -> list[NDArray[np.intp]]:
    """Positions of keys that stand together and are alike."""
    return np.split(np.arange(len(keys)), np.flatnonzero(np.diff(keys)) + 1)


def _parts(keys: NDArray[np.integer], most: int) -> Iterator[slice]:
    """Cuts positions into jobs, never between keys that are alike."""
    least = max(_LEAST_TILES, math.ceil(len(keys) / most))
    start = 0
    for run in _runs(keys):
        stop = int(run[-1]) + 1 if len(run) else 0
        if stop - start >= least or stop == len(keys):
            if stop > start:
                yield slice(start, stop)
            start = stop


def _touching(found: Sequence[Scene], x: Ints, y: Ints) -> tuple[Scene, ...]:
    """The scenes whose outline reaches the tiles of a group."""
    west, east = longitude_of_edge(x.min()), longitude_of_edge(x.max() + 1)
    south, north = latitude_of_edge(y.max() + 1), latitude_of_edge(y.min())
    near = shapely.intersects([scene.outline for scene in found], shapely.box(west, south, east, north))
    return tuple(scene for scene, reaches in zip(found, near, strict=True) if reaches)
