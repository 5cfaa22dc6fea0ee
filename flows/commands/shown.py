"""What can be looked at of a campaign: its captions as rows, and the request for a tile."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from tasks.captions.keeping import described, kept_ids, restore
from tasks.captions.state import open_state
from tasks.captions.table import Row, shown_rows, write_jsonl, write_parquet
from tasks.configuration import Campaign, Captioner
from tasks.errors import InputError
from tasks.places import dataset_of
from tasks.planning.choosing import survey_of
from tasks.planning.table import read_tiles
from tasks.statistics.patches import Counts
from tasks.statistics.table import list_statistics, read_counts
from tasks.storage import Place, place, write
from tasks.wording.prompts import TileView, load_recipe, request_body


def write_shown(config: Campaign, form: str, output: Path | None) -> None:
    """Writes one row for each captioner and each kept tile that it is to describe.

    Args:
        config: the campaign.
        form: ``jsonl`` or ``parquet``.
        output: the file; None for standard output.
    """
    produce = write_jsonl if form == "jsonl" else write_parquet

    def rows_to(stream: BinaryIO) -> None:
        produce(_rows(config), stream)

    if output is None:
        rows_to(sys.stdout.buffer)
        sys.stdout.flush()
    else:
        write(place(output), rows_to)


def _rows(config: Campaign) -> Iterator[Row]:
    dataset = dataset_of(config)
    kept = kept_ids(dataset)
    with open_state(config.state, config.dataset) as state:
        restore(state, dataset)
        for captioner in config.captioners:
            mine = described(captioner, kept)
            yield from shown_rows(captioner.name, mine, state.current(captioner.name))


def request_for(config: Campaign, tile_id: str, name: str | None) -> dict[str, Any]:
    """The body of the request that would be sent for a tile alone.

    Args:
        config: the campaign.
        tile_id: the tile.
        name: the captioner; None for the first that asks an endpoint.

    Raises:
        InputError: there is no such captioner or tile, or the tile has no statistics yet.
    """
    captioner = _asking(config, name)
    dataset = dataset_of(config)
    counts = _counts(dataset, tile_id)
    kind = None if captioner.recipe == "rules" else captioner.recipe
    recipe = load_recipe(captioner.prompt, kind, captioner.overall)
    ids = None
    if captioner.recipe == "vision":
        tiles = read_tiles(dataset)
        found = survey_of(config)
        ids = dict(found.maps(tiles.filter(pc.equal(tiles.column("tile_id"), tile_id))))[tile_id]
    return request_body(
        recipe,
        [TileView(tile_id, counts, ids, _fault(config, captioner, tile_id))],
        model=captioner.pool[0].model,
        max_tokens=captioner.max_tokens,
        parameters=captioner.parameters,
    )


def _asking(config: Campaign, name: str | None) -> Captioner:
    """The captioner of a name, or the first that asks an endpoint."""
    asking = [captioner for captioner in config.captioners if captioner.pool]
    if name is None:
        if not asking:
            raise InputError("no captioner asks an endpoint: those of the configuration need no prompt")
        return asking[0]
    captioner = next((captioner for captioner in config.captioners if captioner.name == name), None)
    if captioner is None:
        names = ", ".join(captioner.name for captioner in config.captioners) or "none"
        raise InputError(f"no captioner is called {name!r}; the configuration has {names}")
    if not captioner.pool:
        raise InputError(f"captioner {name} makes its sentences by rules: it sends nothing")
    return captioner


def _fault(config: Campaign, captioner: Captioner, tile_id: str) -> str | None:
    """What is wrong with the caption of a tile that waits to be asked about again."""
    with open_state(config.state, config.dataset) as state:
        restore(state, dataset_of(config))
        for history in state.histories(captioner.name, [tile_id]):
            return history[-1].reason if history[-1].status == "pending" else None
    return None


def _counts(dataset: Place, tile_id: str) -> Counts:
    for file in list_statistics(dataset):
        row = pc.index(file.tile_ids, pa.scalar(tile_id)).as_py()
        if row >= 0:
            counts: Counts = read_counts(file.place)[1][row]
            return counts
    raise InputError(
        f"tile {tile_id} has no statistics in {dataset}: it is not planned, failed, or is still to be counted"
    )
