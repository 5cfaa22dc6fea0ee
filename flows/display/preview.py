"""The preview page: a look at the campaign in one file."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from PIL import Image

from tasks.captions.keeping import described
from tasks.captions.state import open_state
from tasks.configuration import Campaign, StacImagery
from tasks.errors import SourceError
from tasks.imagery.bands import COPERNICUS
from tasks.imagery.files import picture_path
from tasks.imagery.table import chips_of
from tasks.places import dataset_of
from tasks.planning.survey import Survey
from tasks.planning.table import KEPT, STATUSES, read_tiles
from tasks.preview.cards import Caption, Card
from tasks.preview.choice import choose
from tasks.preview.page import Page, render
from tasks.statistics.patches import Counts
from tasks.statistics.table import all_counts, counts_of
from tasks.storage import Place, reading, write


def preview_place(dataset: Place) -> Place:
    """Where a dataset keeps its preview page."""
    return dataset.join("preview.html")


def write_preview(config: Campaign, found: Survey) -> Place:
    """Writes the preview page and returns its place."""
    dataset = dataset_of(config)
    tiles = read_tiles(dataset)
    kept = tiles.filter(pc.equal(tiles.column("status"), KEPT))
    chosen, counts = _choose(kept, dataset)
    captions, total = _captions(config, kept.column("tile_id").to_pylist(), set(counts))
    page = Page(
        name=config.name,
        product=config.landcover.product,
        attribution=" ".join(filter(None, [found.table.attribution, _imagery_attribution(config)])),
        captioners=[captioner.name for captioner in config.captioners],
        captions=total,
        lon=_floats(tiles.column("lon")),
        lat=_floats(tiles.column("lat")),
        status=pc.index_in(tiles.column("status"), value_set=pa.array(STATUSES)).to_numpy(),
        cards=_cards(chosen, counts, found, captions, _images(dataset, chosen)),
    )
    where = preview_place(dataset)
    content = render(page)
    write(where, lambda stream: stream.write(content))
    return where


def _choose(kept: pa.Table, dataset: Place) -> tuple[pa.Table, dict[str, Counts]]:
    """The tiles of the gallery, and their counts by tile ID."""
    tile_ids = kept.column("tile_id").combine_chunks()
    largest = [(ids, counts[:, 0, 1:].argmax(axis=1) + 1) for ids, counts in all_counts(dataset)]
    # Looked up all at once: each look-up makes an index of all kept tiles.
    counted = pa.chunked_array([ids for ids, _ in largest], pa.string()).combine_chunks()
    place = pc.index_in(counted, value_set=tile_ids)
    there = place.is_valid().to_numpy(zero_copy_only=False)
    dominant = np.zeros(len(kept), dtype=np.int64)
    dominant[place.drop_null().to_numpy()] = np.concatenate([classes for _, classes in largest] or [dominant[:0]])[
        there
    ]
    picked = choose(tile_ids.to_pylist(), kept.column("split").to_pylist(), dominant)
    chosen = kept.take(pa.array(picked, pa.int64()))
    wanted = chosen.column("tile_id").combine_chunks()
    return chosen, counts_of(dataset, wanted)


def _captions(config: Campaign, kept: list[str], chosen: set[str]) -> tuple[Mapping[str, list[Caption]], int]:
    """The captions of the chosen tiles by tile ID, and how many there are in all."""
    captions: dict[str, list[Caption]] = {tile_id: [] for tile_id in chosen}
    total = 0
    with open_state(config.state, config.dataset) as state:
        for captioner in config.captioners:
            mine = set(described(captioner, kept))
            waiting = mine & chosen
            for caption in state.current(captioner.name):
                if caption.tile_id in mine:
                    total += caption.text is not None
                if caption.tile_id in waiting:
                    waiting.discard(caption.tile_id)
                    captions[caption.tile_id].append(Caption(captioner.name, caption.text, caption.status))
            for tile_id in waiting:
                captions[tile_id].append(Caption(captioner.name, None, "pending"))
    return captions, total


def _cards(
    chosen: pa.Table,
    counts: Mapping[str, Counts],
    found: Survey,
    captions: Mapping[str, list[Caption]],
    images: Mapping[str, NDArray[np.uint8]],
) -> list[Card]:
    """The gallery, in the order chosen; a tile whose map cannot be read any more is left out."""
    try:
        maps = dict(found.maps(chosen))
    except SourceError:
        return []
    return [
        Card(
            row["tile_id"],
            row["lon"],
            row["lat"],
            row["split"],
            maps[row["tile_id"]],
            counts[row["tile_id"]],
            captions[row["tile_id"]],
            images.get(row["tile_id"]),
        )
        for row in chosen.to_pylist()
    ]


def _images(dataset: Place, chosen: pa.Table) -> dict[str, NDArray[np.uint8]]:
    """The pictures of the chips of the chosen tiles, by tile ID."""
    images: dict[str, NDArray[np.uint8]] = {}
    for tile_id, chip in chips_of(dataset, chosen.column("tile_id").combine_chunks()).items():
        with reading(dataset.join(picture_path(chip))) as stream, Image.open(stream) as picture:
            images[tile_id] = np.asarray(picture.convert("RGB"))
    return images


def _imagery_attribution(config: Campaign) -> str:
    return COPERNICUS if isinstance(config.imagery, StacImagery) else ""


def _floats(column: pa.ChunkedArray) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    values: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = pc.fill_null(column, np.nan).to_numpy()
    return values
