"""Reading stored answers again: a better parser's captions, for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from tasks.asking.material import Material
from tasks.asking.replies import Asked, match
from tasks.captions.state import Caption, State

REPARSED = "reparsed"
"""Why such a version is there."""


def reparse(state: State, captioner: str, material: Material) -> int:
    """Reads the raw answers of some tiles again, and keeps a further version where another text comes out.

    What a person or a check has made of a caption since stays: only unchecked captions and failures are read again.

    Returns:
        How many captions are new.
    """
    rows = range(len(material.tile_ids))
    asked = {view.tile_id: Asked.of(view.tile_id, view.counts[0]) for view in material.views(rows)}
    return state.add(list(_reread(state, captioner, asked)))


def _reread(state: State, captioner: str, asked: dict[str, Asked]) -> Iterator[Caption]:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    for caption in state.current(captioner):
        if caption.tile_id not in asked or not caption.raw or caption.status not in {"unchecked", "failed"}:
            continue
        finish = "length" if caption.reason == "cut_off" else "stop"
        (part,) = match(caption.raw, finish, [asked[caption.tile_id]])
        if part.text is not None and part.text != caption.text:
            yield replace(
                caption,
                text=part.text,
                status="unchecked",
                reason=REPARSED,
                created_at=now,
                version=caption.version + 1,
                revises=caption.version,
            )
