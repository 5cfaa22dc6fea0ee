"""JSON in the manner of ChatEarthNet: one file for each captioner and split, one schema for all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, BinaryIO

from tasks.release.publishing import Published, publish
from tasks.release.samples import Sources
from tasks.release.selection import SPLITS, Part
from tasks.storage import Place


def publish_captions(
    release: Place, captioners: Sequence[str], parts: Sequence[Part], sources: Sources
) -> list[Published]:
    """Writes ``json/CAPTIONER_SPLIT.json`` for each captioner and split: lists of ``{image_id, caption}``.

    Args:
        release: the release's folder.
        captioners: the captioners' names.
        parts: what the release holds.
        sources: where the captions come from.
    """
    published = []
    for split in SPLITS:
        own = [part for part in parts if part.split == split]
        for captioner in captioners if own else ():
            produce = partial(_write, _entries(captioner, own, sources))
            published.append(publish(release, f"json/{captioner}_{split}.json", produce))
    return published


def _entries(captioner: str, parts: Sequence[Part], sources: Sources) -> Iterator[Mapping[str, Any]]:
    for part in parts:
        for sample in sources.facts(part):
            for caption in sample.captions:
                if caption["captioner"] == captioner:
                    yield {"image_id": sample.tile_id, "caption": caption["text"]}


def _write(entries: Iterator[Mapping[str, Any]], stream: BinaryIO) -> None:
    """Writes a list with an entry a line; never all of it in memory."""
    before = b"[\n"
    for entry in entries:
        stream.write(before + json.dumps(entry, ensure_ascii=False).encode())
        before = b",\n"
    stream.write(b"[]\n" if before == b"[\n" else b"\n]\n")
