"""Choices that chance makes and that stay the same: the order of a random sample, and the splits.

Each choice is a hash of a purpose, a seed and the tile (or block), so that a larger sample keeps a smaller one's tiles
and a tile's split does not depend on which others are planned.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
"""One number for each tile or block, from the grid or from `text_keys`."""


def text_keys(texts: Sequence[str]) -> Keys:
    """Keys of opaque IDs, such as those of chips."""
    digests = (hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.array([int.from_bytes(digest, "big") for digest in digests], dtype=np.uint64)


def shuffled(keys: Keys, *, purpose: str, seed: int) -> Keys:
    """A number for each key, evenly spread over all of uint64: sort by it to shuffle.

    Args:
        keys: the tiles or blocks; equal keys get equal numbers.
        purpose: keeps two choices of one seed apart.
        seed: the user's seed.
    """
    salt = int.from_bytes(hashlib.blake2b(f"{purpose}:{seed}".encode(), digest_size=8).digest(), "big")
    # SplitMix64's finaliser (Steele, Lea and Flood, 2014) over key and salt, twice so that neither shows through.
    mixed = np.asarray(keys, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for addend in (np.uint64(salt), np.uint64(0x9E3779B97F4A7C15)):
            mixed = mixed + addend
            mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            mixed = mixed ^ (mixed >> np.uint64(31))
    return mixed


def assign_splits(keys: Keys, shares: Mapping[str, float], seed: int) -> NDArray[np.int8]:
    """The split of each key, as an index into ``shares``.

    Args:
        keys: what is kept together: a tile's block, or the tile.
        shares: the share of each split, summing to one.
        seed: the user's seed.
    """
    place = shuffled(keys, purpose="split", seed=seed).astype(np.float64) / 2.0**64
    edges = np.cumsum(np.array(list(shares.values())))[:-1]
    index = np.searchsorted(edges, place, side="right")
    # A share of nought at the end must stay empty, whatever rounding does to the edges.
    wanted = np.flatnonzero(np.array(list(shares.values())) > 0)
    split: NDArray[np.int8] = np.minimum(index, wanted[-1]).astype(np.int8)
    return split
