"""A tile of the release with all that is told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tasks.imagery.files import map_path, picture_path
from tasks.imagery.table import SCHEMA, read_rows
from tasks.landcover.classes import N_IDS
from tasks.landcover.pictures import palette_png
from tasks.planning.survey import Survey
from tasks.planning.table import read_columns
from tasks.release.captions import Captions
from tasks.release.orientation import names_directions
from tasks.release.selection import Part
from tasks.statistics.patches import PATCHES, Counts
from tasks.statistics.table import all_counts
from tasks.storage import Place, read_bytes

_OF_IMAGES = ("chip", "scene", "acquired", "cloud", "baseline", "offset_applied", "offset_stated", "bands")
_IMAGES = pa.schema([SCHEMA.field(name) for name in ("tile_id", *_OF_IMAGES)])


@dataclass(frozen=True)
class Sample:
    """One tile of the release.

    Attributes:
        tile_id: its ID, the key of its sample.
        split: its split.
        block: what it was kept together with.
        lon, lat: its centre in degrees; None without georeference.
        geometry: its footprint in degrees as well-known binary; None likewise.
        captions: its captions, in the order of the captioners; the first is its text.
        counts: its statistics (6, 12).
        image: what is known of its chip; None in a release without imagery.
        chip: the chip's path below the dataset; None likewise.
        files: the content of its files by what they are: ``landcover.png``, and with imagery ``rgb.png`` and
            ``chip.geotiff``.
    """

    tile_id: str
    split: str
    block: str
    lon: float | None
    lat: float | None
    geometry: bytes | None
    captions: Sequence[Mapping[str, Any]]
    counts: Counts
    image: Mapping[str, Any] | None
    chip: str | None
    files: Mapping[str, bytes]

    @property
    def text(self) -> str:
        """The caption of the first captioner that has one."""
        return str(self.captions[0]["text"])

    @property
    def picture(self) -> bytes:
        """What the tile looks like, as PNG: its image, or else its map."""
        return self.files.get("rgb.png", self.files["landcover.png"])

    def metadata(self) -> dict[str, Any]:
        """What is told of it beside its text and its pictures, as plain values."""
        statistics: dict[str, Any] = {"n_valid": int(self.counts[0, 1:].sum())}
        statistics |= {patch: self.counts[index].tolist() for index, patch in enumerate(PATCHES)}
        told = {
            "tile_id": self.tile_id,
            "split": self.split,
            "block": self.block,
            "lon": self.lon,
            "lat": self.lat,
            "captioner": self.captions[0]["captioner"],
            "names_directions": names_directions(self.text),
            "captions": [dict(caption) for caption in self.captions],
            "statistics": statistics,
        }
        return told if self.image is None else told | {"image": dict(self.image)}


@dataclass(frozen=True)
class Sources:
    """Where samples come from.

    Attributes:
        dataset: the dataset's folder.
        tiles: its plan.
        counts: statistics by row of the plan, shape (n, 6, 12).
        images: its chips by row of the plan, null where a tile has none; None in a release without imagery.
        captions: the captions that go in.
        found: the land-cover source, for maps of tiles without a chip.
    """

    dataset: Place
    tiles: pa.Table
    counts: Counts
    images: pa.Table | None
    captions: Captions
    found: Survey

    def facts(self, part: Part) -> Iterator[Sample]:
        """The samples of a part without their files."""
        rows = self.tiles.take(pa.array(part.rows)).to_pylist()
        captions = self.captions.of(part.rows)
        nothing = [None] * len(rows)
        images = nothing if self.images is None else self.images.take(pa.array(part.rows)).to_pylist()
        for index, row, image in zip(part.rows, rows, images, strict=True):
            chip = None if image is None else image.pop("chip")
            yield Sample(
                row["tile_id"],
                row["split"],
                row["block"],
                row["lon"],
                row["lat"],
                row["geometry"],
                captions[index],
                self.counts[index],
                image,
                chip,
                {},
            )

    def files(self, part: Part) -> Callable[[Sample], Mapping[str, bytes]]:
        """What gives the files of a part's samples."""
        if self.images is None:
            maps = dict(self._maps(part))
            return lambda sample: {"landcover.png": palette_png(maps[sample.tile_id])}
        return self._chip_files

    def _chip_files(self, sample: Sample) -> Mapping[str, bytes]:
        chip = str(sample.chip)
        paths = {"landcover.png": map_path(chip), "rgb.png": picture_path(chip), "chip.geotiff": chip}
        return {name: read_bytes(self.dataset.join(path)) for name, path in paths.items()}

    def _maps(self, part: Part) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        wanted = self.tiles.take(pa.array(part.rows)).column("tile_id").combine_chunks()
        tiles = read_columns(self.dataset, "tile_id", "x", "y", "source")
        yield from self.found.maps(tiles.filter(pc.is_in(tiles.column("tile_id"), value_set=wanted)))


def gather(dataset: Place, captions: Captions, found: Survey, *, imagery: bool) -> Sources:
    """Reads the tables that samples are made from.

    Args:
        dataset: the dataset's folder.
        captions: the captions that go in.
        found: the land-cover source.
        imagery: whether samples have a chip.
    """
    tiles = read_columns(dataset, "tile_id", "lon", "lat", "block", "split", "geometry")
    counts: Counts = np.zeros((len(tiles), len(PATCHES), N_IDS), dtype=np.int32)
    own = tiles.column("tile_id").combine_chunks()
    for ids, some in all_counts(dataset):
        place = pc.index_in(ids, value_set=own)
        there = place.is_valid().to_numpy(zero_copy_only=False)
        counts[place.drop_null().to_numpy()] = some[there]
    return Sources(dataset, tiles, counts, _images(dataset, own) if imagery else None, captions, found)


def _images(dataset: Place, tile_ids: pa.Array) -> pa.Table:
    """What is told of the chips of tiles, in their order, and where each chip is."""
    table = pa.Table.from_batches(read_rows(dataset, ["tile_id", *_OF_IMAGES]), _IMAGES).combine_chunks()
    place = pc.index_in(tile_ids, value_set=table.column("tile_id").combine_chunks())
    return table.select(_OF_IMAGES).take(place)
