"""Which tiles the preview page shows: a sample spread over splits and classes, the same for the same tiles."""

from __future__ import annotations

import hashlib
from collections import defaultdict, deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MOST_CARDS = 200
"""The most tiles that the page shows."""


def choose(
    tile_ids: Sequence[str], splits: Sequence[str], dominant: NDArray[np.integer], count: int = MOST_CARDS
) -> list[int]:
    """Picks tiles in turn from every pair of split and dominant class, so that rare ones are seen too.

    Args:
        tile_ids: the tiles to choose from.
        splits: the split of each.
        dominant: the id of the class with most pixels of each.
        count: how many to pick at most.

    Returns:
        Positions in ``tile_ids``. The first n of them spread as well as all do.
    """
    kinds: dict[tuple[int, str], list[int]] = defaultdict(list)
    for position, (split, class_id) in enumerate(zip(splits, dominant.tolist(), strict=True)):
        kinds[class_id, split].append(position)
    # Within a kind the order is the hash's: it depends on nothing but the tile's ID.
    turns = deque(deque(sorted(kinds[kind], key=lambda position: _hash(tile_ids[position]))) for kind in sorted(kinds))
    chosen: list[int] = []
    while turns and len(chosen) < count:
        kind = turns.popleft()
        chosen.append(kind.popleft())
        if kind:
            turns.append(kind)
    return chosen


def _hash(tile_id: str) -> bytes:
    return hashlib.sha256(tile_id.encode("utf-8", "surrogatepass")).digest()
