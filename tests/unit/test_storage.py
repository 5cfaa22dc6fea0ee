"""Files on local disks: there whole or not at all, and what hinders is told."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import BinaryIO

import pytest

from tasks.errors import StoreError
from tasks.storage import Place, write


def test_a_full_disk_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    def produce(stream: BinaryIO) -> None:
        stream.write(b"half of the new")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "table.parquet"
    write(Place(str(path)), lambda stream: stream.write(b"old"))
    with pytest.raises(StoreError, match=f"{path}: cannot be written: No space left on device"):
        write(Place(str(path)), produce)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_where_a_folder_is_needed_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(StoreError, match=r"file/table\.parquet: cannot be written"):
        write(Place(str(tmp_path / "file" / "table.parquet")), lambda stream: stream.write(b"new"))
    assert (tmp_path / "file").read_text() == "a file"
