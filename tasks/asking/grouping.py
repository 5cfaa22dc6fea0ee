"""Which tiles share a request of the vision recipe. Pure: the same tiles make the same groups.

Tiles of one request lie two zoom-10 blocks apart or more, so that nothing tempts the model to compare them, and their
class sets differ, so that a swapped caption shows. Where no such tiles are left distance goes first, then different
class sets, then a full request: each costs as much as four captions.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tasks.grid import BLOCK_TILES, TILES

_APART = 2
"""Blocks between two tiles of a request, counted from block to block: one lies between them."""

_LOOK_AT = 8
_LOOK_AT_MOST = 28
"""How many of the fullest blocks are looked through: always, and while none has been found that is far from the others
and brings a new class set. Each of up to three tiles is near to nine blocks, so that one in 28 is far, if any is."""

_BLOCKS = TILES // BLOCK_TILES


@dataclass(frozen=True, eq=False)
class Pending:
    """Tiles to be asked, as arrays of one length.

    Attributes:
        x: tile columns of the zoom-14 tiles, or of those under the centres of chips; -1 where there is none.
        y: tile rows, likewise.
        classes: class sets, one bit a class id, as `class_sets` makes them.
        most: the largest group that each may be part of, 1 to 4.
    """

    x: NDArray[np.int32]
    y: NDArray[np.int32]
    classes: NDArray[np.uint16]
    most: NDArray[np.uint8]


def class_sets(overall: NDArray[np.int32]) -> NDArray[np.uint16]:
    """The class sets of tiles, one bit a class id, from their pixels by class id, shape (tiles, 12)."""
    bits = np.left_shift(np.uint16(1), np.arange(1, overall.shape[1], dtype=np.uint16))
    sets: NDArray[np.uint16] = ((overall[:, 1:] > 0) * bits).sum(axis=1, dtype=np.uint16)
    return sets


def group_size(size: int, failures: int) -> int:
    """The largest group for a tile that was asked in vain so often: half as large each time."""
    return max(1, size >> failures)


def groups(tiles: Pending) -> Iterator[tuple[int, ...]]:
    """Groups of tiles that share a request, as indices into the arrays; each tile is in one of them.

    Within a group the tiles are in the order of the arrays; the larger groups come first.
    """
    for size in sorted({int(most) for most in np.unique(tiles.most)}, reverse=True):
        chosen = np.flatnonzero(tiles.most == size)
        if size == 1:
            yield from ((int(index),) for index in chosen)
        else:
            yield from _Remaining(tiles, chosen).groups(size)


_Rank: TypeAlias = tuple[bool, bool, int]
"""How good it is to take a tile: far from the others, of another class set, of how frequent a one."""


class _Remaining:
    """The tiles of one size of group that are not in a group yet, by block and class set.

    Tiles are taken from the fullest blocks first: what is left at the end is then spread over as many as can be.
    """

    def __init__(self, tiles: Pending, chosen: NDArray[np.intp]) -> None:
        self._left = len(chosen)
        self._sets: Counter[int] = Counter()
        blocks: dict[tuple[int, int], _Block] = {}
        # By place, so that the order in which the tiles are given is nothing to which of them meet.
        order = chosen[np.lexsort((tiles.classes[chosen], tiles.x[chosen], tiles.y[chosen]))]
        for index in order.tolist():
            x, y, classes = int(tiles.x[index]), int(tiles.y[index]), int(tiles.classes[index])
            # A tile that lies nowhere is a block of its own.
            place = (x // BLOCK_TILES, y // BLOCK_TILES) if x >= 0 else (-1 - index, -1)
            if place not in blocks:
                blocks[place] = _Block(*place)
            blocks[place].add(classes, index)
            self._sets[classes] += 1
        # Blocks by the number of tiles left in them; equally full neighbours do not follow each other.
        scattered = [block for _, block in sorted(enumerate(blocks.values()), key=_scattered)]
        self._levels: list[list[_Block]] = [[] for _ in range(1 + max(block.left for block in scattered))]
        for block in scattered:
            self._place(block)

    def groups(self, size: int) -> Iterator[tuple[int, ...]]:
        while self._left:
            group: list[int] = []
            blocks: list[_Block] = []
            used: set[int] = set()
            while self._left and len(group) < size:
                block, classes = self._next(blocks, used)
                group.append(self._take(block, classes))
                blocks.append(block)
                used.add(classes)
            yield tuple(sorted(group))

    def _next(self, blocks: Sequence[_Block], used: set[int]) -> tuple[_Block, int]:
        """The block and class set of the best tile to join those in a group."""
        others = any(classes not in used for classes in self._sets)
        best: tuple[_Rank, _Block, int] | None = None
        for looked, block in enumerate(block for level in reversed(self._levels) for block in level):
            if best is not None and looked >= _LOOK_AT:
                found_far, found_new, _ = best[0]
                if looked >= _LOOK_AT_MOST or (found_far and (found_new or not others)):
                    break
            far = all(block.is_far_from(other) for other in blocks)
            if best is not None and best[0][0] and not far:
                continue
            new = [classes for classes in block.classes if classes not in used]
            classes = max(new or block.classes, key=self._sets.__getitem__)
            rank = (far, bool(new), self._sets[classes])
            if best is None or rank > best[0]:
                best = (rank, block, classes)
        assert best is not None  # noqa: S101 - the caller asks only while tiles are left
        return best[1:]

    def _take(self, block: _Block, classes: int) -> int:
        level = self._levels[block.left]
        last = level.pop()
        if last is not block:
            level[block.at] = last
            last.at = block.at
        index = block.take(classes)
        self._place(block)
        while self._levels and not self._levels[-1]:
            self._levels.pop()
        self._left -= 1
        self._sets[classes] -= 1
        if not self._sets[classes]:
            del self._sets[classes]
        return index

    def _place(self, block: _Block) -> None:
        if block.left:
            block.at = len(self._levels[block.left])
            self._levels[block.left].append(block)


class _Block:
    """The tiles of one zoom-10 block that are left, by class set.

    Attributes:
        left: how many they are.
        at: its place among the blocks of which as many are left.
    """

    def __init__(self, x: int, y: int) -> None:
        self.x, self.y = x, y
        self.left = 0
        self.at = 0
        self.classes: dict[int, deque[int]] = {}

    def add(self, classes: int, index: int) -> None:
        self.classes.setdefault(classes, deque()).append(index)
        self.left += 1

    def take(self, classes: int) -> int:
        queue = self.classes[classes]
        index = queue.popleft()
        if not queue:
            del self.classes[classes]
        self.left -= 1
        return index

    def is_far_from(self, other: _Block) -> bool:
        if self.x < 0 or other.x < 0:
            return self is not other
        if abs(self.y - other.y) >= _APART:
            return True
        return _APART <= abs(self.x - other.x) <= _BLOCKS - _APART


def _scattered(numbered: tuple[int, _Block]) -> int:
    """A number that is far from those of its neighbours."""
    return (numbered[0] * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
