"""The statistics' files: one Parquet file for each group of sources, a tile in one file only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tasks.errors import InputError
from tasks.landcover.classes import N_IDS, NO_DATA, ClassTable
from tasks.parquet import ParquetTable
from tasks.statistics.patches import PATCHES, Counts
from tasks.storage import Place, list_files, reading, remove, write

CODE_VERSION = 1
"""Raised when the same map would give other counts."""

SCHEMA = pa.schema(
    [("tile_id", pa.string()), ("n_valid", pa.int32())]
    + [(patch, pa.list_(pa.field("element", pa.int32(), nullable=False))) for patch in PATCHES]
)
"""Counts of each tile: ``n_valid`` pixels with a class, then for each patch the pixels of ids 0 to 11."""

_KEY = b"earthscribe"
_ROWS_AT_ONCE = 1 << 12


@dataclass(frozen=True)
class Provenance:
    """What counts were made from.

    Attributes:
        product: the class table's name.
        table: its digest.
        code: `CODE_VERSION`.
        sources: the identity of each source that was read.
    """

    product: str
    table: str
    code: int = CODE_VERSION
    sources: Mapping[str, str] = field(default_factory=dict)

    def counted_alike(self, other: Provenance) -> bool:
        """Whether both count pixels in the same way."""
        return (self.product, self.table, self.code) == (other.product, other.table, other.code)


@dataclass(frozen=True)
class StatisticsFile:
    """One file of statistics: where it is, which tiles it holds and what they were made from."""

    place: Place
    tile_ids: pa.Array
    provenance: Provenance


def statistics_folder(dataset: Place) -> Place:
    """Where a dataset keeps its statistics."""
    return dataset.join("statistics")


def file_name(label: str, tile_ids: pa.Array) -> str:
    """A file's name: what it is of, and a digest of the tiles in it."""
    digest = hashlib.sha256("\n".join(tile_ids.to_pylist()).encode()).hexdigest()[:12]
    readable = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in label)[:80]
    return f"{readable}-{digest}.parquet"


def write_statistics(where: Place, tile_ids: pa.Array, counts: Counts, provenance: Provenance) -> None:
    """Writes tiles' counts as one file.

    Args:
        where: the file.
        tile_ids: IDs of n tiles.
        counts: their counts, shape (n, 6, 12).
        provenance: what they were made from.
    """
    n_valid = counts[:, 0].sum(axis=1) - counts[:, 0, NO_DATA]
    columns = [tile_ids, pa.array(n_valid.astype(np.int32))]
    columns += [_as_lists(counts[:, patch]) for patch in range(len(PATCHES))]
    content = {
        "product": provenance.product,
        "table": provenance.table,
        "code": provenance.code,
        "sources": dict(provenance.sources),
    }
    schema = SCHEMA.with_metadata({_KEY: json.dumps(content).encode()})
    table = pa.Table.from_arrays(columns, schema=schema)
    write(where, lambda stream: pq.write_table(table, stream, row_group_size=_ROWS_AT_ONCE, compression="zstd"))


def _as_lists(counts: NDArray[np.int32]) -> pa.ListArray:
    offsets = np.arange(len(counts) + 1, dtype=np.int32) * N_IDS
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(counts.ravel()), type=SCHEMA.field(2).type)


def list_statistics(dataset: Place) -> list[StatisticsFile]:
    """All files of statistics in a dataset; their counts are not read."""
    return [_describe(place) for place in list_files(statistics_folder(dataset), ".parquet")]


def _describe(place: Place) -> StatisticsFile:
    with reading(place) as stream:
        table = ParquetTable(stream)
        content: dict[str, Any] = json.loads((table.schema.metadata or {}).get(_KEY, b"{}"))
        tile_ids = table.read(["tile_id"]).column(0).combine_chunks()
    provenance = Provenance(
        content.get("product", ""), content.get("table", ""), content.get("code", 0), content.get("sources", {})
    )
    return StatisticsFile(place, tile_ids, provenance)


def refuse_other_counts(files: Sequence[StatisticsFile], table: ClassTable, dataset: Place) -> None:
    """Counts of another product are not to be mixed with a dataset's.

    Args:
        files: the dataset's statistics.
        table: the product that is to be counted.
        dataset: the dataset's folder.

    Raises:
        InputError: there are such counts.
    """
    own = Provenance(table.name, table.digest())
    for file in files:
        if not file.provenance.counted_alike(own):
            raise InputError(
                f"{file.place} was counted with product {file.provenance.product} (or another table of that name, or "
                f"another version of earthscribe), not with {own.product}: choose another `dataset`, or delete "
                f"{statistics_folder(dataset)} to count anew"
            )


def read_counts(place: Place) -> tuple[pa.Array, Counts]:
    """Tile IDs and counts (n, 6, 12) of one file."""
    with reading(place) as stream:
        return _counts(ParquetTable(stream).read().combine_chunks())


def all_counts(dataset: Place) -> Iterator[tuple[pa.Array, Counts]]:
    """Tile IDs and counts (n, 6, 12) of a dataset, some thousands at a time."""
    for place in list_files(statistics_folder(dataset), ".parquet"):
        with reading(place) as stream:
            for batch in ParquetTable(stream).batches(_ROWS_AT_ONCE):
                yield _counts(pa.Table.from_batches([batch]).combine_chunks())


def counts_of(dataset: Place, wanted: pa.Array) -> dict[str, Counts]:
    """Counts (6, 12) of some tiles by tile ID; those without statistics are left out."""
    found: dict[str, Counts] = {}
    for tile_ids, counts in all_counts(dataset):
        hits = pc.is_in(tile_ids, value_set=wanted)
        found |= zip(tile_ids.filter(hits).to_pylist(), counts[hits.to_numpy(zero_copy_only=False)], strict=True)
    return found


def _counts(table: pa.Table) -> tuple[pa.Array, Counts]:
    counts: Counts = np.empty((len(table), len(PATCHES), N_IDS), dtype=np.int32)
    for index, patch in enumerate(PATCHES):
        counts[:, index] = table.column(patch).combine_chunks().flatten().to_numpy().reshape(-1, N_IDS)
    return table.column("tile_id").combine_chunks(), counts


def drop_stale(files: Sequence[StatisticsFile], identities: Mapping[str, str]) -> list[StatisticsFile]:
    """Removes files made from sources whose content has changed since, and returns the others.

    Args:
        files: a dataset's statistics.
        identities: the present identity of each listed source; a source that is gone leaves its statistics.
    """
    fresh = []
    for file in files:
        made_from = file.provenance.sources
        if any(identities.get(source, identity) != identity for source, identity in made_from.items()):
            remove(file.place)
        else:
            fresh.append(file)
    return fresh
