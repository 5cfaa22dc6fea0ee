"""Captions by the rules captioner, as rows of the state."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from tasks.captions.state import Caption
from tasks.captions.wanting import Versions
from tasks.statistics.patches import Counts
from tasks.wording.rules import RULES_VERSION, describe

MODEL = "rules"
"""What stands as the model of a caption that no model wrote."""


def rules_captions(captioner: str, tiles: Versions, counts: Counts, now: str) -> Iterator[Caption]:
    """The captions of tiles, one by one.

    Args:
        captioner: the captioner's name.
        tiles: n tiles, and the version that each caption will be.
        counts: their counts, shape (n, 6, 12).
        now: when they are made, ISO 8601 in UTC.
    """
    for (tile_id, version), tile_counts in zip(tiles.items(), counts, strict=True):
        yield Caption(
            tile_id=tile_id,
            captioner=captioner,
            text=describe(tile_id, tile_counts),
            status="unchecked",
            created_at=now,
            model=MODEL,
            prompt_sha256=rules_key(tile_id, tile_counts),
            version=version,
        )


def rules_key(tile_id: str, counts: Counts) -> str:
    """What a caption by rules depends on, as a digest: the tile, its counts and the edition of the rules."""
    content = {"recipe": MODEL, "version": RULES_VERSION, "tile": tile_id, "statistics": counts.tolist()}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
