"""`DATASET/tiles.parquet`: the ordered candidates, and what became of them, as GeoParquet."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tasks.errors import InputError
from tasks.parquet import ParquetTable
from tasks.storage import Place, exists, reading, write

PLANNED, KEPT, EXCLUDED, FAILED = "planned", "kept", "excluded", "failed"
STATUSES = (PLANNED, KEPT, EXCLUDED, FAILED)

SCHEMA = pa.schema(
    [
        ("tile_id", pa.string()),
        ("x", pa.int32()),
        ("y", pa.int32()),
        ("lon", pa.float64()),
        ("lat", pa.float64()),
        ("geometry", pa.binary()),
        ("source", pa.string()),
        ("block", pa.string()),
        ("split", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
    ]
)
"""One row a tile, in the order of candidates (those of ``include`` first)."""

_KEY = b"earthscribe"
_ROWS_AT_ONCE = 1 << 13


def tiles_place(dataset: Place) -> Place:
    """Where a dataset keeps its tiles."""
    return dataset.join("tiles.parquet")


def write_tiles(
    dataset: Place, tiles: pa.Table, rings: Callable[[slice], NDArray[np.float64]], plan: Mapping[str, Any]
) -> None:
    """Writes the tiles whole or not at all.

    Args:
        dataset: the dataset's folder.
        tiles: the columns of `SCHEMA` but ``geometry``.
        rings: footprints of a slice of the rows in degrees, shape (n, 5, 2), NaN where a tile has none.
        plan: what the plan was made from, kept in the file.
    """
    schema = SCHEMA.with_metadata({b"geo": json.dumps(_geo()).encode(), _KEY: json.dumps(plan).encode()})

    def produce(stream: BinaryIO) -> None:
        with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
            for start in range(0, max(len(tiles), 1), _ROWS_AT_ONCE):
                part = tiles.slice(start, _ROWS_AT_ONCE)
                geometry = _polygons(rings(slice(start, start + len(part))))
                columns = [geometry if name == "geometry" else part.column(name) for name in schema.names]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))

    write(tiles_place(dataset), produce)


def update_tiles(dataset: Place, status: pa.Array, reason: pa.Array) -> None:
    """Writes the tiles anew with other statuses and reasons, in the order of the rows."""
    with reading(tiles_place(dataset)) as old:
        before = ParquetTable(old)
        schema = before.schema

        def produce(stream: BinaryIO) -> None:
            start = 0
            with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
                for batch in before.batches(_ROWS_AT_ONCE):
                    changed = {
                        "status": status.slice(start, len(batch)),
                        "reason": reason.slice(start, len(batch)),
                    }
                    columns = [changed.get(name, batch.column(name)) for name in schema.names]
                    writer.write_table(pa.Table.from_arrays(columns, schema=schema))
                    start += len(batch)

        write(tiles_place(dataset), produce)


def read_plan(dataset: Place) -> dict[str, Any] | None:
    """What the plan was made from, or None where there is no plan."""
    where = tiles_place(dataset)
    if not exists(where):
        return None
    with reading(where) as stream:
        content: dict[str, Any] = json.loads((ParquetTable(stream).schema.metadata or {}).get(_KEY, b"{}"))
        return content


def read_tiles(dataset: Place) -> pa.Table:
    """The tiles without their geometry.

    Raises:
        InputError: there is no plan yet.
    """
    return read_columns(dataset, *(name for name in SCHEMA.names if name != "geometry"))


def read_columns(dataset: Place, *names: str) -> pa.Table:
    """Some columns of the tiles.

    Raises:
        InputError: there is no plan yet.
    """
    where = tiles_place(dataset)
    if not exists(where):
        raise InputError(f"{where}: no such file; run `earthscribe plan` first")
    with reading(where) as stream:
        return ParquetTable(stream).read(names).combine_chunks()


def status_counts(tiles: pa.Table) -> dict[str, int]:
    """Rows by status."""
    found = {row["values"]: row["counts"] for row in pc.value_counts(tiles.column("status")).to_pylist()}
    return {status: int(found.get(status, 0)) for status in STATUSES}


_WKB_POLYGON = np.dtype(
    [("order", "u1"), ("type", "<u4"), ("rings", "<u4"), ("points", "<u4"), ("coordinates", "<f8", (5, 2))]
)
"""A polygon of one ring of five points as well-known binary: every footprint is one."""


def _polygons(corners: NDArray[np.float64]) -> pa.Array:
    """Footprints as well-known binary, null where NaN."""
    shapes = np.zeros(len(corners), dtype=_WKB_POLYGON)
    shapes["order"], shapes["type"], shapes["rings"], shapes["points"] = 1, 3, 1, 5
    shapes["coordinates"] = corners
    size = _WKB_POLYGON.itemsize
    values = pa.Array.from_buffers(pa.binary(size), len(shapes), [None, pa.py_buffer(shapes.tobytes())])
    missing = np.isnan(corners).any(axis=(1, 2))
    return pc.if_else(pa.array(missing), pa.scalar(None, pa.binary()), values.cast(pa.binary()))


def _geo() -> dict[str, Any]:
    from pyproj import CRS  # noqa: PLC0415 - reading tables needs no projections

    column = {"encoding": "WKB", "geometry_types": ["Polygon"], "crs": CRS.from_epsg(4326).to_json_dict()}
    return {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
