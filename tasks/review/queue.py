"""Which captions are put before a reviewer: all that are flagged, then a sample of the others."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from tasks.captions.state import Status
from tasks.planning.sampling import shuffled, text_keys


class Standing(NamedTuple):
    """A caption as it stands."""

    captioner: str
    tile_id: str
    status: Status
    flags: tuple[str, ...]


class Entry(NamedTuple):
    """A place in the queue, and why it is there."""

    captioner: str
    tile_id: str
    why: Literal["flagged", "sample"]
    flags: tuple[str, ...]


def queue(captions: Iterable[Standing], dominant: Mapping[str, int], *, sample: int, seed: int) -> list[Entry]:
    """The queue of a campaign: the same for every reviewer, and after every restart.

    Args:
        captions: the captions that have a text, in the order of the configuration's captioners.
        dominant: the class id with most pixels of each tile.
        sample: how many are drawn of those that are not flagged.
        seed: of the draw.

    Returns:
        First the flagged ones in the order given, then the sample: one of each captioner and dominant class in turn.
    """
    flagged: list[Entry] = []
    strata: dict[tuple[str, int], list[Standing]] = defaultdict(list)
    for caption in captions:
        if caption.status == "flagged":
            flagged.append(Entry(caption.captioner, caption.tile_id, "flagged", caption.flags))
        else:
            strata[caption.captioner, dominant.get(caption.tile_id, 0)].append(caption)
    turns = deque(deque(_shuffled(strata[stratum], seed)) for stratum in sorted(strata))
    drawn: list[Entry] = []
    while turns and len(drawn) < sample:
        stratum = turns.popleft()
        caption = stratum.popleft()
        drawn.append(Entry(caption.captioner, caption.tile_id, "sample", caption.flags))
        if stratum:
            turns.append(stratum)
    return flagged + drawn


def _shuffled(captions: Sequence[Standing], seed: int) -> list[Standing]:
    order = shuffled(text_keys([caption.tile_id for caption in captions]), purpose="review", seed=seed).argsort()
    return [captions[index] for index in order]
