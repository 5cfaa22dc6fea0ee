"""Which tiles a captioner describes, and how the dataset keeps their captions beside the state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pyarrow.compute as pc

from tasks.captions.state import Caption, State
from tasks.captions.table import read_versions, write_versions
from tasks.configuration import Captioner
from tasks.planning.sampling import shuffled, text_keys
from tasks.planning.table import KEPT, read_columns
from tasks.storage import Place, list_files, reading, write


def kept_ids(dataset: Place) -> list[str]:
    """IDs of the tiles that passed the gates, in the order of the plan.

    Raises:
        InputError: there is no plan yet.
    """
    tiles = read_columns(dataset, "tile_id", "status")
    ids: list[str] = tiles.filter(pc.equal(tiles.column("status"), KEPT)).column("tile_id").to_pylist()
    return ids


def described(captioner: Captioner, kept: list[str]) -> list[str]:
    """The kept tiles that a captioner is to describe: all of them, or its seeded random subset."""
    if captioner.tiles is None:
        return kept
    drawn = shuffled(text_keys(kept), purpose="captioner", seed=captioner.tiles.seed)
    return [kept[index] for index in np.argsort(drawn, kind="stable")[: captioner.tiles.count]]


def captions_place(dataset: Place, captioner: str) -> Place:
    """Where a dataset keeps every version of a captioner's captions."""
    return dataset.join("captions", f"{captioner}.parquet")


def restore(state: State, dataset: Place) -> int:
    """Fills an empty state from the captions that lie in the dataset; returns how many it took back."""
    return state.restore(_lying(dataset)) if state.is_empty() else 0


def export(state: State, captioners: Sequence[str], dataset: Place) -> None:
    """Writes every version of some captioners' captions to the dataset."""
    for captioner in captioners:
        write(captions_place(dataset, captioner), partial(write_versions, state.versions(captioner)))


def _lying(dataset: Place) -> Iterator[Caption]:
    for place in list_files(dataset.join("captions"), ".parquet"):
        with reading(place) as stream:
            yield from read_versions(stream, place.url)
