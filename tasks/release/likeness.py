"""What lies in two splits and looks, or reads, alike.

Pictures are told apart by a difference hash of 256 bits: the picture in grey, 17 x 16, and for each pixel whether it is
brighter than its left neighbour.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

NEAR_BITS = 8
"""Bits by which the hashes of near duplicates differ at the most."""

NEAR_TEXT = 0.9
"""Share of three-word runs that near duplicates' captions have in common."""

_SIDE = 16
_WORDS = 4
"""Words of 64 bits of a hash."""

_CHUNKS = 9
"""One more than bits may differ: two near hashes agree in one of so many pieces."""

_PAIRS_AT_ONCE = 1 << 20
_MOST_ALIKE = 2_000
"""Tiles of equal counts whose captions are compared, each with each."""

Hashes = NDArray[np.uint64]
"""Difference hashes, shape (n, 4)."""


@dataclass(frozen=True)
class Likeness:
    """What is compared of a tile.

    Attributes:
        picture: SHA-256 of its picture's pixels.
        bits: the difference hash, in hexadecimal.
        counts: digest of its statistics.
    """

    picture: str
    bits: str
    counts: str


def likeness(png: bytes, counts: NDArray[np.int32]) -> Likeness:
    """What is compared of a tile with this picture and these statistics."""
    with Image.open(BytesIO(png)) as image:
        colours = image.convert("RGB")
    grey = np.asarray(colours.convert("L").resize((_SIDE + 1, _SIDE), Image.Resampling.BOX))
    bits = np.packbits(grey[:, 1:] > grey[:, :-1])
    return Likeness(
        hashlib.sha256(colours.tobytes()).hexdigest(),
        bits.tobytes().hex(),
        hashlib.sha256(np.ascontiguousarray(counts).tobytes()).hexdigest()[:32],
    )


@dataclass(frozen=True)
class Leak:
    """Two tiles of different splits that are alike, and in what: ``picture``, ``near picture`` or ``near text``."""

    one: int
    other: int
    kind: str


def leaks(
    found: Sequence[Likeness], splits: Sequence[str], texts: Callable[[Sequence[int]], Sequence[str]]
) -> Iterator[Leak]:
    """Pairs of tiles of different splits that are duplicates, or nearly.

    A tile that is like very many others is given with one of each other split, so that the list stays short.

    Args:
        found: what is compared, of all tiles.
        splits: their splits.
        texts: gives the captions of some tiles.
    """
    seen: set[tuple[int, int]] = set()
    kinds = (
        ("picture", _equal([one.picture for one in found], splits)),
        ("near picture", _near([one.bits for one in found], splits)),
        ("near text", _near_texts([one.counts for one in found], splits, texts)),
    )
    for kind, pairs in kinds:
        for pair in pairs:
            if pair not in seen:
                seen.add(pair)
                yield Leak(*pair, kind)


def _equal(keys: Sequence[str], splits: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Tiles of one key in two splits: each with the first of every other split."""
    for group in _groups(keys):
        yield from _across(group, splits)


def _groups(keys: Sequence[str]) -> list[list[int]]:
    """Positions whose keys are equal, where there are several."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        groups[key].append(index)
    return [group for group in groups.values() if len(group) > 1]


def _across(group: Sequence[int], splits: Sequence[str]) -> Iterator[tuple[int, int]]:
    first = _first_of_splits(group, splits)
    if len(first) > 1:
        for index in group:
            for split, other in first.items():
                if split != splits[index] and (index > other or first[splits[index]] != index):
                    yield min(index, other), max(index, other)


def _first_of_splits(group: Sequence[int], splits: Sequence[str]) -> dict[str, int]:
    """The first tile of each split."""
    first: dict[str, int] = {}
    for index in group:
        first.setdefault(splits[index], index)
    return first


def _near(bits: Sequence[str], splits: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Tiles of two splits whose hashes differ by few bits."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, key in enumerate(bits):
        groups[key].append(index)
    for group in groups.values():
        yield from _across(group, splits)
    keys = list(groups)
    hashes = np.frombuffer(bytes.fromhex("".join(keys)), dtype=">u8").astype(np.uint64).reshape(-1, _WORDS)
    for one, other in _near_hashes(hashes):
        for group, near in ((groups[keys[one]], groups[keys[other]]), (groups[keys[other]], groups[keys[one]])):
            first = _first_of_splits(near, splits)
            for index in group:
                for split, twin in first.items():
                    if split != splits[index]:
                        yield min(index, twin), max(index, twin)


def _near_hashes(hashes: Hashes) -> Iterator[tuple[int, int]]:
    """Pairs of different hashes that differ by few bits."""
    if len(hashes) < 2:
        return
    bits = np.unpackbits(np.ascontiguousarray(hashes.astype(">u8")).view(np.uint8), axis=1)
    seen: set[tuple[int, int]] = set()
    for piece in np.array_split(np.arange(bits.shape[1]), _CHUNKS):
        keys = np.packbits(bits[:, piece], axis=1)
        _, group = np.unique(keys, axis=0, return_inverse=True)
        order = np.argsort(group.ravel(), kind="stable")
        edges = np.flatnonzero(np.diff(group.ravel()[order])) + 1
        for members in np.split(order, edges):
            for one, other in _close(hashes, members):
                if (one, other) not in seen:
                    seen.add((one, other))
                    yield one, other


def _close(hashes: Hashes, members: NDArray[np.intp]) -> Iterator[tuple[int, int]]:
    """Pairs of some hashes that differ by few bits, a strip of the table of all pairs at a time."""
    if len(members) < 2:
        return
    members = np.sort(members)
    own = hashes[members]
    step = max(1, _PAIRS_AT_ONCE // len(members))
    for start in range(0, len(members) - 1, step):
        strip = own[start : start + step, None, :] ^ own[None, start + 1 :, :]
        distance = np.bitwise_count(strip).sum(axis=2)
        rows, columns = np.nonzero(distance <= NEAR_BITS)
        after = columns + start + 1 > rows + start
        for row, column in zip(rows[after].tolist(), columns[after].tolist(), strict=True):
            yield int(members[start + row]), int(members[start + 1 + column])


def _near_texts(
    counts: Sequence[str], splits: Sequence[str], texts: Callable[[Sequence[int]], Sequence[str]]
) -> Iterator[tuple[int, int]]:
    """Tiles of two splits with equal counts, and captions that share most of their three-word runs."""
    for group in _groups(counts):
        if len({splits[index] for index in group}) == 1:
            continue
        some = group[:_MOST_ALIKE]
        runs = [three_word_runs(text) for text in texts(some)]
        for (one, first), (other, second) in combinations(zip(some, runs, strict=True), 2):
            if splits[one] != splits[other] and overlap(first, second) >= NEAR_TEXT:
                yield one, other


def three_word_runs(text: str) -> frozenset[tuple[str, ...]]:
    """The runs of three words in a text, whatever its case and punctuation."""
    words = "".join(letter if letter.isalnum() else " " for letter in text.lower()).split()
    return frozenset(zip(words, words[1:], words[2:], strict=False)) or frozenset([tuple(words)])


def overlap(first: Iterable[tuple[str, ...]], second: Iterable[tuple[str, ...]]) -> float:
    """The share of runs of two texts that both have, of those that either has."""
    one, other = set(first), set(second)
    return len(one & other) / len(one | other) if one | other else 1.0


def summary(found: Sequence[Leak], splits: Sequence[str]) -> dict[tuple[str, str], Counter[str]]:
    """How many tiles of each pair of splits have something alike in the other, by kind."""
    tiles: dict[tuple[str, str], dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for leak in found:
        for own, other in ((leak.one, leak.other), (leak.other, leak.one)):
            tiles[splits[own], splits[other]][leak.kind].add(own)
    return {pair: Counter({kind: len(rows) for kind, rows in kinds.items()}) for pair, kinds in tiles.items()}
