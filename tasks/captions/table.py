"""Captions as tables: what `earthscribe captions` prints, and the file of every version that lies in the dataset.

Rows are streamed: no function here holds a campaign in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.captions.state import KIND, VARIANT, Caption
from tasks.errors import InputError
from tasks.json_lines import json_line
from tasks.parquet import ParquetTable

SHOWN = pa.schema(
    [
        pa.field("tile_id", pa.string(), nullable=False),
        pa.field("captioner", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("variant", pa.int32(), nullable=False),
        ("text", pa.string()),
        ("raw", pa.string()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("flags", pa.list_(pa.string()), nullable=False),
        ("model", pa.string()),
        ("prompt_sha256", pa.string()),
        ("request_id", pa.string()),
        ("created_at", pa.string()),
        ("reviewer", pa.string()),
        ("reviewed_at", pa.string()),
    ]
)
"""Columns of the table of shown captions: one row per captioner and tile."""

VERSIONS = pa.schema(
    [
        *SHOWN,
        pa.field("version", pa.int32(), nullable=False),
        ("revises", pa.int32()),
        ("reason", pa.string()),
    ]
)
"""Columns of the table of every version: it holds all that the state does."""

Row = Mapping[str, Any]

_GROUP = 5000


def shown_rows(captioner: str, tile_ids: Iterable[str], current: Iterable[Caption]) -> Iterator[Row]:
    """One row for each tile that a captioner is to describe, ordered by tile ID; `pending` where it has no caption.

    Args:
        captioner: the captioner's name.
        tile_ids: the tiles that it is to describe, in any order.
        current: its shown captions, ordered by tile ID, as `State.current` gives them; other tiles' are left out.

    Yields:
        Rows of `SHOWN`.
    """
    captions = iter(current)
    caption = next(captions, None)
    for tile_id in sorted(set(tile_ids)):
        while caption is not None and caption.tile_id < tile_id:
            caption = next(captions, None)
        if caption is not None and caption.tile_id == tile_id:
            yield _row(caption, SHOWN)
        else:
            yield _pending_row(tile_id, captioner)


def write_jsonl(rows: Iterable[Row], file: BinaryIO) -> None:
    """Writes rows of `SHOWN` as JSON, one object a line, in UTF-8, the keys in the order of the columns."""
    for row in rows:
        file.write(json_line({name: row[name] for name in SHOWN.names}))


def write_parquet(rows: Iterable[Row], file: BinaryIO) -> None:
    """Writes rows of `SHOWN` as Parquet; the file need not be one that can be sought in."""
    _write_parquet(rows, SHOWN, file)


def write_versions(captions: Iterable[Caption], file: BinaryIO) -> None:
    """Writes captions, every version of them, as Parquet: what `read_versions` reads back without loss."""
    _write_parquet((_row(caption, VERSIONS) for caption in captions), VERSIONS, file)


def read_versions(file: BinaryIO, name: str) -> Iterator[Caption]:
    """Reads what `write_versions` wrote.

    Args:
        file: the open file.
        name: what messages call it.

    Raises:
        InputError: the file is no such table.
    """
    try:
        table = ParquetTable(file)
        there = table.schema.names
        if missing := [column for column in VERSIONS.names if column not in there]:
            raise InputError(f"{name}: expected a table of captions, but it has no column {', '.join(missing)}")
        for batch in table.batches(_GROUP, VERSIONS.names):
            for row in batch.cast(VERSIONS).to_pylist():
                yield Caption(**row | {"flags": tuple(row["flags"])})
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{name}: not a readable table of captions: {error}") from error


def _row(caption: Caption, schema: pa.Schema) -> Row:
    return {name: getattr(caption, name) for name in schema.names} | {"flags": list(caption.flags)}


def _pending_row(tile_id: str, captioner: str) -> Row:
    known = {
        "tile_id": tile_id,
        "captioner": captioner,
        "kind": KIND,
        "variant": VARIANT,
        "status": "pending",
        "flags": [],
    }
    return dict.fromkeys(SHOWN.names) | known


def _write_parquet(rows: Iterable[Row], schema: pa.Schema, file: BinaryIO) -> None:
    remaining = iter(rows)
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        while group := list(islice(remaining, _GROUP)):
            writer.write_batch(pa.RecordBatch.from_pylist(group, schema))
