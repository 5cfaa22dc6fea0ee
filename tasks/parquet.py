"""Reading Parquet files, on the thread that asks.

Where Arrow reads ahead on threads of its own, a command is now and then aborted when it has ended well: such a thread
is not done with a buffer of Python's when Python is no longer there ("terminate called without an active exception",
exit code 134; apache/arrow issue 34314). Of commands that ended right after a read, one in ten was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq


class ParquetTable:
    """A table in a Parquet file, whose footer is read once.

    Args:
        stream: the open file; it stays open as long as the table is read.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._file = pq.ParquetFile(stream, pre_buffer=False)

    @property
    def schema(self) -> pa.Schema:
        """Its columns, and what is kept with them."""
        return self._file.schema_arrow

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Its rows; of some columns only, where these are named."""
        return self._file.read(_names(columns), use_threads=False)

    def batches(self, rows: int, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Its rows, so many at a time at the most; of some columns only, where these are named."""
        yield from self._file.iter_batches(rows, columns=_names(columns), use_threads=False)


def _names(columns: Sequence[str] | None) -> list[str] | None:
    return None if columns is None else list(columns)
