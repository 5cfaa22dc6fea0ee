"""A model's answer to one request: which caption in it belongs to which tile, and which tiles are to be asked again.

A caption belongs to the tile in its place, unless something speaks against it. What can speak is the label before it
("Image 2:"), the number of captions, and the classes that it names: a caption fits a tile the worse, the more classes
it names that the tile lacks, and the more of the tile's widespread classes it leaves out.

- Remarks, headings, labels, fences and emphasis around captions are cut off; the captions stay as they are.
- With as many captions as tiles, one that names what its tile lacks, and fits another tile of the request better, is
  out of place; and so is one that fits such a one's tile better than its own. A class left out alone is no such sign:
  there are more words for classes than the lexicon has.
- With fewer because the reply was cut off, those that are there are the first.
- With more or fewer otherwise, and no labels to go by, a caption is kept only for a tile that it alone claims: the one
  that it fits better than any other, and that lacks nothing that it names.
- A caption that stands there twice is kept for the one tile that it fits, if there is one.

What cannot be told apart: captions of tiles whose class sets are the same, or differ only in classes that neither
caption needs to name. Swapped, they stay so; where their number is wrong, all of them are asked again. `grouping` keeps
such tiles out of one request where it can.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tasks.asking.passages import Passage, passages, words
from tasks.endpoints.answers import Code

_WIDESPREAD = 10
"""From this share of the valid pixels on, in percent, a caption names a class."""


@dataclass(frozen=True)
class Asked:
    """A tile of the request.

    Attributes:
        tile_id: its ID.
        present: ids of all its classes.
        widespread: ids of those that a caption is bound to name.
    """

    tile_id: str
    present: frozenset[int]
    widespread: frozenset[int]

    @classmethod
    def of(cls, tile_id: str, overall: NDArray[np.int32]) -> Self:
        """A tile from its pixels by class id, shape (12,)."""
        counts: list[int] = overall.tolist()
        valid = sum(counts[1:])
        present = frozenset(index for index, count in enumerate(counts) if index and count)
        return cls(
            tile_id, present, frozenset(index for index in present if 100 * counts[index] >= _WIDESPREAD * valid)
        )

    def misfit(self, named: frozenset[int]) -> int:
        """How ill a caption fits that names these classes; 0 for one that fits."""
        return len(named - self.present) + len(self.widespread - named)


@dataclass(frozen=True)
class Part:
    """What a reply holds for one tile.

    Attributes:
        tile_id: the tile's ID.
        text: its caption; None where it is to be asked again.
        raw: the part of the answer that it was taken from, as it stood there; empty where none was found.
        code: why it is to be asked again; None where it is not.
    """

    tile_id: str
    text: str | None
    raw: str
    code: Code | None


def match(text: str, finish: str, tiles: Sequence[Asked]) -> tuple[Part, ...]:
    """What a reply holds for each tile of its request.

    Args:
        text: the model's answer.
        finish: why it stopped: after `length` and `content_filter` its last caption is incomplete.
        tiles: those of the request, in their order there.

    Returns:
        One part a tile, in the same order.
    """
    found = passages(text, finish, len(tiles))
    missing = _missing_code(found, finish)
    if len(tiles) == 1:
        places: list[int | None] = [0] if found else []
        # What one tile's answer consists of is for its verification to judge, be it two paragraphs.
        found = [_joined(found)] if found else []
    else:
        found = [passage for passage in found if not (passage.code == "refusal" and len(found) != len(tiles))]
        places = _places(found, tiles, cut=finish in {"length", "content_filter"})
    of_tile: dict[int, Passage] = {}
    for place, passage in zip(places, found, strict=True):
        if place is not None:
            of_tile[place] = passage
    return tuple(_part(tile, of_tile.get(place), missing) for place, tile in enumerate(tiles))


def _part(tile: Asked, passage: Passage | None, missing: Code) -> Part:
    if passage is None:
        return Part(tile.tile_id, None, "", missing)
    code = passage.code
    if code is not None:
        return Part(tile.tile_id, None, passage.raw, code)
    return Part(tile.tile_id, passage.text, passage.raw, None)


def _missing_code(found: Sequence[Passage], finish: str) -> Code:
    """Why a tile has no caption in a reply: what ended the reply, or what stands in the caption's stead."""
    if finish == "length":
        return "cut_off"
    if finish == "content_filter":
        return "content_filter"
    return "refusal" if any(passage.code == "refusal" for passage in found) else "format"


def _joined(found: Sequence[Passage]) -> Passage:
    codes = [passage.code for passage in found if passage.code]
    return Passage(
        "\n\n".join(passage.raw for passage in found),
        "\n\n".join(passage.text for passage in found),
        code=codes[0] if codes else None,
    )


# Places


def _places(found: Sequence[Passage], tiles: Sequence[Asked], *, cut: bool) -> list[int | None]:
    """The tile of each passage, by its place in the request; None for a passage that is not to be kept."""
    labels = _labels(found, len(tiles))
    if labels is not None:
        places = [label - 1 for label in labels]
    elif len(found) == len(tiles) or (cut and len(found) < len(tiles)):
        places = list(range(len(found)))
    else:
        return _claims(found, tiles)
    return _once(found, _fitting(found, places, tiles), tiles)


def _labels(found: Sequence[Passage], tiles: int) -> list[int] | None:
    """The labels of all passages; None where some have none, or where they only count a reply that is too short."""
    labels = [passage.label for passage in found if passage.label is not None and passage.label <= tiles]
    if len(labels) != len(found) or len(set(labels)) != len(labels):
        return None
    return None if len(labels) < tiles and labels == list(range(1, len(labels) + 1)) else labels


def _fitting(found: Sequence[Passage], places: Sequence[int], tiles: Sequence[Asked]) -> list[int | None]:
    """The same places, but of passages that fit there. What is refused or cut off names too little to tell."""
    misfits = [[tile.misfit(passage.named) for tile in tiles] for passage in found]
    out = {
        place
        for passage, place, own in zip(found, places, misfits, strict=True)
        if passage.code is None and passage.named - tiles[place].present and min(own) < own[place]
    }
    out |= {
        place
        for passage, place, own in zip(found, places, misfits, strict=True)
        if passage.code is None and any(own[other] < own[place] for other in out)
    }
    return [None if place in out else place for place in places]


def _once(found: Sequence[Passage], places: Sequence[int | None], tiles: Sequence[Asked]) -> list[int | None]:
    """The same places, but of passages that say the same only the one that fits nowhere else."""
    times = Counter(words(passage.text) for passage in found)
    return [
        place if times[words(passage.text)] == 1 or _best(passage, tiles) == place else None
        for passage, place in zip(found, places, strict=True)
    ]


def _claims(found: Sequence[Passage], tiles: Sequence[Asked]) -> list[int | None]:
    """The tile of each passage where their order tells nothing: one that it alone fits best."""
    claims = [_claim(passage, tiles) for passage in found]
    times = Counter(claims)
    texts = [words(passage.text) for passage in found]
    places = []
    for at, claim in enumerate(claims):
        repeated = texts[at] in texts[:at]
        rivals = times[claim] - sum(1 for other in range(len(found)) if other != at and texts[other] == texts[at])
        places.append(None if repeated or rivals != 1 else claim)
    return places


def _claim(passage: Passage, tiles: Sequence[Asked]) -> int | None:
    """The place that a passage claims. One that names what the tile lacks may be two captions run into one."""
    best = _best(passage, tiles)
    return best if best is not None and passage.named <= tiles[best].present else None


def _best(passage: Passage, tiles: Sequence[Asked]) -> int | None:
    """The place of the only tile that a passage fits best; None where several do, or where it names nothing."""
    named = passage.named
    misfits = [tile.misfit(named) for tile in tiles]
    best = min(misfits)
    return misfits.index(best) if named and misfits.count(best) == 1 else None
