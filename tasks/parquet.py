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


def read(stream: BinaryIO, columns: Sequence[str] | None = None) -> pa.Table:
    """A file's rows.

    Args:
        stream: the open file.
        columns: those that are wanted; None for all.
    """
    names = None if columns is None else list(columns)
    return _opened(stream).read(names, use_threads=False)


def read_in_batches(stream: BinaryIO, rows: int, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """A file's rows, so many at a time.

    Args:
        stream: the open file.
        rows: how many at the most.
        columns: those that are wanted; None for all.
    """
    names = None if columns is None else list(columns)
    yield from _opened(stream).iter_batches(rows, columns=names, use_threads=False)


def schema_of(stream: BinaryIO) -> pa.Schema:
    """A file's columns, and what is kept with them."""
    return _opened(stream).schema_arrow


def _opened(stream: BinaryIO) -> pq.ParquetFile:
    return pq.ParquetFile(stream, pre_buffer=False)
