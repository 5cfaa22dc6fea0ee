"""Shards for WebDataset: tar files in which the files of a sample follow each other and share a name."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from tasks.release.samples import Sample

_TWO_EMPTY_BLOCKS = 2 * tarfile.BLOCKSIZE


def write_shard(samples: Iterable[Sample], stream: BinaryIO) -> None:
    """Writes samples as one tar file, the same bytes every time: no clock, no user, one mode.

    A sample's files are its pictures, ``.json`` and ``.txt``. The chip is called ``.chip.geotiff``: of a ``.tif``
    loaders make an 8-bit picture, and a chip is none.
    """
    size = 0
    for sample in samples:
        metadata = json.dumps(sample.metadata(), ensure_ascii=False, sort_keys=True).encode()
        files = {**sample.files, "json": metadata, "txt": sample.text.encode()}
        for name in sorted(files):
            for piece in _member(f"{sample.tile_id}.{name}", files[name]):
                size += stream.write(piece)
    stream.write(bytes(_TWO_EMPTY_BLOCKS + -(size + _TWO_EMPTY_BLOCKS) % tarfile.RECORDSIZE))


def _member(name: str, content: bytes) -> Iterator[bytes]:
    """A file as it stands in an archive: `tarfile` would copy its content twice on the way."""
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    yield entry.tobuf(tarfile.GNU_FORMAT, "utf-8")
    yield content
    yield bytes(-len(content) % tarfile.BLOCKSIZE)
