"""`DATASET/imagery/*.parquet`: which tiles have a chip, of which scene, and why others have none."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypedDict

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.errors import InputError
from tasks.parquet import ParquetTable
from tasks.statistics.table import file_name
from tasks.storage import Place, exists, list_files, read_bytes, reading, write

DONE, REJECTED, FAILED = "done", "rejected", "failed"

SCHEMA = pa.schema(
    [
        pa.field("tile_id", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        ("reason", pa.string()),
        ("chip", pa.string()),
        ("scene", pa.string()),
        ("acquired", pa.string()),
        ("cloud", pa.float64()),
        ("baseline", pa.string()),
        ("offset_applied", pa.int32()),
        ("offset_stated", pa.int32()),
        ("bands", pa.list_(pa.string())),
        ("tried", pa.list_(pa.struct([("scene", pa.string()), ("reason", pa.string())]))),
    ]
)
"""One row a tile that has a chip (`done`) or for which none is to be had (`rejected`)."""

_KEY = b"earthscribe"
_ROWS_AT_ONCE = 1 << 13


class Row(TypedDict, total=False):
    """What became of a tile; columns that are left out are null."""

    tile_id: str
    status: str
    reason: str | None
    chip: str | None
    scene: str | None
    acquired: str | None
    cloud: float | None
    baseline: str | None
    offset_applied: int | None
    offset_stated: int | None
    bands: Sequence[str]
    tried: Sequence[Mapping[str, str]]


def imagery_folder(dataset: Place) -> Place:
    """Where a dataset keeps its imagery."""
    return dataset.join("imagery")


def write_rows(dataset: Place, label: str, rows: Sequence[Row], made_with: str) -> None:
    """Writes what became of some tiles as one file; those that failed are left for the next run.

    Args:
        dataset: the dataset's folder.
        label: what the file is of.
        rows: what became of the tiles.
        made_with: the settings that the chips were made with, see `refuse_other_settings`.
    """
    lasting = sorted((row for row in rows if row["status"] != FAILED), key=lambda row: row["tile_id"])
    if not lasting:
        return
    table = pa.Table.from_pylist([dict(row) for row in lasting], SCHEMA.with_metadata({_KEY: made_with.encode()}))
    name = file_name(label, table.column("tile_id").combine_chunks())
    write(imagery_folder(dataset).join(name), lambda stream: pq.write_table(table, stream, compression="zstd"))


def refuse_other_settings(dataset: Place, made_with: str) -> None:
    """Chips of other scenes or bands are not to be mixed with a dataset's.

    Args:
        dataset: the dataset's folder.
        made_with: the present settings, as JSON.

    Raises:
        InputError: there are chips that were made with others.
    """
    for place in list_files(imagery_folder(dataset), ".parquet"):
        with reading(place) as stream:
            found = (ParquetTable(stream).schema.metadata or {}).get(_KEY, b"").decode()
        if found != made_with:
            raise InputError(
                f"{place} was made with other settings of `imagery` ({found}) than those of now ({made_with}): put "
                f"them back, or choose another `dataset`, or delete {imagery_folder(dataset)} to make the chips anew"
            )


def read_rows(dataset: Place, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """What became of a dataset's tiles, some thousands at a time; in no order.

    Args:
        dataset: the dataset's folder.
        columns: the columns that are wanted; all of them by default.
    """
    for place in list_files(imagery_folder(dataset), ".parquet"):
        with reading(place) as stream:
            yield from ParquetTable(stream).batches(_ROWS_AT_ONCE, columns)


def chips_of(dataset: Place, wanted: pa.Array) -> dict[str, str]:
    """The chips of some tiles by tile ID; those without one are left out."""
    chips: dict[str, str] = {}
    for batch in read_rows(dataset, ["tile_id", "chip"]):
        rows = batch.filter(pc.is_in(batch.column("tile_id"), value_set=wanted)).to_pylist()
        chips |= {row["tile_id"]: row["chip"] for row in rows if row["chip"] is not None}
    return chips


def statuses(dataset: Place) -> pa.Table:
    """Tile ID, status and reason of each tile that has a row."""
    schema = pa.schema([SCHEMA.field(name) for name in ("tile_id", "status", "reason")])
    return pa.Table.from_batches(
        (batch.cast(schema) for batch in read_rows(dataset, schema.names)), schema=schema
    ).combine_chunks()


def counts(dataset: Place, kept: pa.Array) -> dict[str, Any]:
    """How the kept tiles stand: how many are done, rejected, pending, and which failed, with the reason."""
    table = statuses(dataset)
    table = table.filter(pc.is_in(table.column("tile_id"), value_set=kept))
    found = {row["values"]: row["counts"] for row in pc.value_counts(table.column("status")).to_pylist()}
    failed = read_failed(dataset)
    done, rejected = int(found.get(DONE, 0)), int(found.get(REJECTED, 0))
    return {"done": done, "rejected": rejected, "pending": len(kept) - done - rejected, "failed": failed}


def write_failed(dataset: Place, failed: Mapping[str, str]) -> None:
    """Writes which tiles could not be given a chip by the last run, with the reason, for `status`."""
    content = json.dumps(dict(sorted(failed.items())), indent=1).encode()
    write(_failed_place(dataset), lambda stream: stream.write(content))


def read_failed(dataset: Place) -> dict[str, str]:
    """The tiles that failed, with the reason."""
    where = _failed_place(dataset)
    failed: dict[str, str] = json.loads(read_bytes(where)) if exists(where) else {}
    return failed


def _failed_place(dataset: Place) -> Place:
    return imagery_folder(dataset).join("failed.json")
