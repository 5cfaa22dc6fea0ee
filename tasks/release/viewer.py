"""Parquet with embedded pictures: what the Hugging Face viewer shows and ``datasets`` loads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.release.samples import Sample
from tasks.statistics.patches import PATCHES

_ROWS_OF_A_GROUP = 100
"""With pictures some 15 MB: the viewer reads a group to show one row."""

_TEXT, _NUMBER, _WHOLE, _TRUTH = "string", "float64", "int32", "bool"
_PICTURE = "Image"

_CAPTION = {
    "captioner": _TEXT,
    "text": _TEXT,
    "status": _TEXT,
    "flags": [_TEXT],
    "model": _TEXT,
    "prompt_sha256": _TEXT,
    "created_at": _TEXT,
}

_COLUMNS: dict[str, Any] = {
    "tile_id": _TEXT,
    "text": _TEXT,
    "captioner": _TEXT,
    "landcover": _PICTURE,
    "captions": [_CAPTION],
    "names_directions": _TRUTH,
    "split": _TEXT,
    "block": _TEXT,
    "lon": _NUMBER,
    "lat": _NUMBER,
    "n_valid": _WHOLE,
} | {patch: [_WHOLE] for patch in PATCHES}

_WITH_IMAGERY = {"scene": _TEXT, "acquired": _TEXT, "cloud": _NUMBER, "baseline": _TEXT, "offset_applied": _WHOLE}


def columns(*, imagery: bool) -> dict[str, Any]:
    """The columns in their order, each with its type."""
    if not imagery:
        return _COLUMNS
    # The picture that a person wants to see first.
    first = {name: _COLUMNS[name] for name in ("tile_id", "text", "captioner")}
    return first | {"image": _PICTURE} | _COLUMNS | _WITH_IMAGERY


@contextmanager
def opened_table(stream: BinaryIO, *, imagery: bool) -> Iterator[Table]:
    """A file open for samples.

    Args:
        stream: where it is written.
        imagery: whether samples have an image.
    """
    told = columns(imagery=imagery)
    features = {name: _feature(kind) for name, kind in told.items()}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    schema = pa.schema([(name, _arrow(kind)) for name, kind in told.items()], metadata=metadata)
    with pq.ParquetWriter(stream, schema, compression="zstd", write_page_index=True) as writer:
        table = Table(writer, schema)
        yield table
        table.flush()


class Table:
    """Rows on their way into a file, a group at a time."""

    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._writer = writer
        self._schema = schema
        self._rows: list[dict[str, Any]] = []

    def add(self, sample: Sample) -> None:
        """Writes a sample."""
        told = sample.metadata()
        row = {**told, **told.pop("statistics"), **(told.pop("image", None) or {}), "text": sample.text}
        for column, name in (("image", "rgb.png"), ("landcover", "landcover.png")):
            if name in sample.files:
                row[column] = {"bytes": sample.files[name], "path": f"{sample.tile_id}.{name}"}
        self._rows.append({name: row[name] for name in self._schema.names})
        if len(self._rows) == _ROWS_OF_A_GROUP:
            self.flush()

    def flush(self) -> None:
        """Writes what waits as one group."""
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, self._schema))
            self._rows.clear()


def _arrow(kind: Any) -> pa.DataType:  # noqa: ANN401 - a column's type in plain values
    if isinstance(kind, list):
        return pa.list_(_arrow(kind[0]))
    if isinstance(kind, dict):
        return pa.struct([(name, _arrow(inner)) for name, inner in kind.items()])
    if kind == _PICTURE:
        return pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.type_for_alias(kind)


def _feature(kind: Any) -> Any:  # noqa: ANN401 - as above
    """A column's type in the words of ``datasets``."""
    if isinstance(kind, list):
        return [_feature(kind[0])]  # Understood by releases of before and after `List`.
    if isinstance(kind, dict):
        return {name: _feature(inner) for name, inner in kind.items()}
    if kind == _PICTURE:
        return {"_type": _PICTURE}
    return {"dtype": kind, "_type": "Value"}
