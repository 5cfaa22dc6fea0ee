"""Which tiles go into a release, and why the others do not."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from tasks.captions.keeping import described
from tasks.captions.state import State
from tasks.configuration import Captioner
from tasks.imagery.table import DONE, read_failed
from tasks.imagery.table import statuses as image_statuses
from tasks.planning.table import KEPT, PLANNED, read_columns
from tasks.release.captions import Captions, Taken
from tasks.storage import Place

SPLITS = ("train", "val", "test")

_MOST_PARTS = 400
"""Parts that a release is written in: each is a task run."""

_TILES_OF_A_PART = 500
"""A shard with chips is then some 500 MB, and loaders read several at once."""


@dataclass(frozen=True)
class Part:
    """Tiles of one split that are written together: one shard and one Parquet file.

    Attributes:
        name: such as ``train-00000-of-00004``.
        split: their split.
        rows: their rows in the plan, in the order in which they are written.
    """

    name: str
    split: str
    rows: tuple[int, ...]


@dataclass(frozen=True)
class Selection:
    """What a release holds.

    Attributes:
        tiles: all tiles of the plan, without geometry.
        parts: those that go in.
        reasons: why each other row does not.
        taken: what became of the captions, by captioner.
        pending: what is still to be made, in words; nothing where all is done.
    """

    tiles: pa.Table
    parts: tuple[Part, ...]
    reasons: Mapping[int, str]
    taken: Mapping[str, Taken]
    pending: tuple[str, ...]

    def __len__(self) -> int:
        return sum(len(part.rows) for part in self.parts)


def select(
    dataset: Place,
    captioners: Sequence[Captioner],
    state: State,
    captions: Captions,
    *,
    imagery: bool,
    statuses: Collection[str],
) -> Selection:
    """Chooses what goes into a release.

    Args:
        dataset: the dataset's folder.
        captioners: the captioners, in the order of the configuration.
        state: their captions.
        captions: takes in those that go in.
        imagery: whether a tile needs a chip.
        statuses: the statuses of captions that go in.

    Raises:
        InputError: there is no plan yet.
    """
    tiles = read_columns(dataset, "tile_id", "lon", "lat", "block", "split", "status", "reason")
    ids: list[str] = tiles.column("tile_id").to_pylist()
    is_kept = pc.equal(tiles.column("status"), KEPT).to_pylist()
    rows = {tile_id: row for row, tile_id in enumerate(ids) if is_kept[row]}
    taken: dict[str, Taken] = {}
    for captioner in captioners:
        mine = {tile_id: rows[tile_id] for tile_id in described(captioner, list(rows))}
        taken[captioner.name] = captions.take(state, captioner.name, mine, statuses)
    pending = [f"{len(one.pending)} captions by {name}" for name, one in taken.items() if one.pending]
    chosen = set().union(*(one.rows for one in taken.values()))
    reasons = _unplanned(tiles) | {row: _uncaptioned(row, taken) for row in rows.values() if row not in chosen}
    if imagery:
        without, waiting = _without_chip(dataset, rows)
        reasons |= {row: reason for row, reason in without.items() if row in chosen}
        chosen -= without.keys()
        pending += [f"{waiting} image chips"] if waiting else []
    return Selection(tiles, _parts(tiles, ids, chosen), dict(sorted(reasons.items())), taken, tuple(pending))


def _unplanned(tiles: pa.Table) -> dict[int, str]:
    """Why tiles that were not kept do not go in."""
    reasons: dict[int, str] = {}
    for row, (status, reason) in enumerate(
        zip(tiles.column("status").to_pylist(), tiles.column("reason").to_pylist(), strict=True)
    ):
        if status == PLANNED:
            reasons[row] = "planned: not counted, or beyond the sample's count"
        elif status != KEPT:
            reasons[row] = f"{status}: {reason}"
    return reasons


def _uncaptioned(row: int, taken: Mapping[str, Taken]) -> str:
    """Why a kept tile has no caption that goes in."""
    listed = [f"{name}: {one.others[row]}" for name, one in taken.items() if row in one.others]
    listed += [f"{name}: pending" for name, one in taken.items() if row in one.pending]
    return "no caption: " + ("; ".join(listed) or "no captioner describes it")


def _without_chip(dataset: Place, rows: Mapping[str, int]) -> tuple[dict[int, str], int]:
    """Why kept tiles have no chip, and how many of them are still to be given one."""
    failed = read_failed(dataset)
    without = dict.fromkeys(rows.values(), "no chip: pending")
    for one in image_statuses(dataset).to_pylist():
        row = rows.get(one["tile_id"])
        if row is None:
            continue
        if one["status"] == DONE:
            del without[row]
        else:
            without[row] = f"no chip: {one['reason']}"
    waiting = sum(reason == "no chip: pending" for reason in without.values())
    for tile_id, reason in failed.items():
        if without.get(rows.get(tile_id, -1)) == "no chip: pending":
            without[rows[tile_id]] = f"no chip: failed: {reason}"
            waiting -= 1
    return without, waiting


def _parts(tiles: pa.Table, ids: Sequence[str], chosen: Collection[int]) -> tuple[Part, ...]:
    """Cuts the chosen tiles of each split into parts.

    Blocks come in the order of a hash, so that a shard holds many places; the tiles of a block stay together, so that
    their map is read once.
    """
    splits, blocks = (tiles.column(name).to_pylist() for name in ("split", "block"))
    most = max(_TILES_OF_A_PART, math.ceil(len(chosen) / (_MOST_PARTS - len(SPLITS))))
    parts: list[Part] = []
    for split in SPLITS:
        order = sorted((_hash(blocks[row]), ids[row], row) for row in chosen if splits[row] == split)
        rows = [row for _, _, row in order]
        number = math.ceil(len(rows) / most)
        for index in range(number):
            # Parts of one split are of one size, give or take one.
            some = rows[index * len(rows) // number : (index + 1) * len(rows) // number]
            parts.append(Part(f"{split}-{index:05}-of-{number:05}", split, tuple(some)))
    return tuple(parts)


def _hash(block: str) -> bytes:
    return hashlib.sha256(block.encode()).digest()
