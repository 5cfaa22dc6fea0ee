"""One part of a release: its shard and its Parquet file, written in one go."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

from tasks.release.likeness import Likeness, likeness
from tasks.release.publishing import Published, Written, keep_written, publish, read_written, release_folder
from tasks.release.samples import Sample, Sources
from tasks.release.selection import Part
from tasks.release.shards import write_shard
from tasks.release.viewer import Table, opened_table

CODE_VERSION = 1
"""Raised when the same tables would give other files."""


def shard_path(part: str) -> str:
    """The path of a part's shard."""
    return f"shards/{part}.tar"


def table_path(part: str) -> str:
    """The path of a part's Parquet file."""
    return f"data/{part}.parquet"


def write_part(part: Part, sources: Sources) -> Written:
    """Writes a part, unless it is there and was made from the same.

    Args:
        part: its tiles.
        sources: where its samples come from.
    """
    samples = list(sources.facts(part))
    digest = _digest(samples)
    there = read_written(sources.dataset, part.name)
    if there is not None and there.digest == digest:
        return there
    release = release_folder(sources.dataset)
    files_of = sources.files(part)
    shards: list[Published] = []
    alike: list[Likeness] = []

    def shown(table: Table) -> Iterator[Sample]:
        """The samples with their files, each noted on its way into the shard."""
        for sample in samples:
            whole = replace(sample, files=files_of(sample))
            table.add(whole)
            alike.append(likeness(whole.picture, whole.counts))
            yield whole

    def produce(stream: BinaryIO) -> None:
        with opened_table(stream, imagery=sources.images is not None) as table:
            shards.append(publish(release, shard_path(part.name), lambda shard: write_shard(shown(table), shard)))

    rows = publish(release, table_path(part.name), produce)
    written = Written(digest, (rows, *shards), tuple(alike))
    keep_written(sources.dataset, part.name, written)
    return written


def _digest(samples: list[Sample]) -> str:
    """What a part is made from; whether its samples have a chip, too."""
    digest = hashlib.sha256(str(CODE_VERSION).encode())
    for sample in samples:
        digest.update(json.dumps([sample.metadata(), sample.chip], sort_keys=True).encode())
    return digest.hexdigest()
