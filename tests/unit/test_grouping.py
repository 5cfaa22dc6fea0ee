"""Which tiles share a request."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from tasks.asking.grouping import Pending, class_sets, group_size, groups


def pending(x: ArrayLike, y: ArrayLike, classes: ArrayLike, most: int | ArrayLike = 4) -> Pending:
    x = np.asarray(x, dtype=np.int32)
    sizes = np.broadcast_to(np.asarray(most, dtype=np.uint8), x.shape)
    return Pending(x, np.asarray(y, dtype=np.int32), np.asarray(classes, dtype=np.uint16), sizes)


def far(tiles: Pending, one: int, other: int) -> bool:
    if tiles.x[one] < 0 or tiles.x[other] < 0:
        return True
    across = abs(int(tiles.x[one]) // 16 - int(tiles.x[other]) // 16)
    down = abs(int(tiles.y[one]) // 16 - int(tiles.y[other]) // 16)
    return max(min(across, 1024 - across), down) >= 2


def faults(tiles: Pending, found: list[tuple[int, ...]]) -> tuple[int, int]:
    """Pairs of one group that are near each other, and that have one class set."""
    pairs = [pair for group in found for pair in combinations(group, 2)]
    return (
        sum(not far(tiles, *pair) for pair in pairs),
        sum(bool(tiles.classes[one] == tiles.classes[other]) for one, other in pairs),
    )


def world(count: int, seed: int = 0) -> Pending:
    rng = np.random.default_rng(seed)
    places = rng.choice(16_384 * 16_384, count, replace=False)
    return pending(places % 16_384, places // 16_384, rng.zipf(1.6, count) % 200)


def test_tiles_of_a_request_lie_apart_and_differ_where_they_can() -> None:
    tiles = world(4_000)
    found = list(groups(tiles))
    assert sorted(index for group in found for index in group) == list(range(4_000))
    assert [len(group) for group in found] == [4] * 1_000
    near, same = faults(tiles, found)
    assert near == 0
    # The most frequent class set alone has more than one tile for each group.
    surplus = int(np.bincount(tiles.classes).max()) - len(found)
    assert same <= max(0, surplus) * 3


def test_a_dense_area_is_spread_out() -> None:
    """Eight blocks by eight, full: every request can have four that lie apart."""
    x, y = np.meshgrid(np.arange(0, 128, 2), np.arange(0, 128, 2))
    tiles = pending(x.ravel(), y.ravel(), np.arange(x.size) % 9)
    near, same = faults(tiles, list(groups(tiles)))
    assert near <= 10
    assert same == 0


def test_the_fullest_blocks_go_first_so_that_none_is_left_alone() -> None:
    blocks = np.repeat(np.arange(10) * 64, 10)
    tiles = pending(blocks, blocks, np.zeros(100))
    assert faults(tiles, list(groups(tiles)))[0] == 0


def test_neighbours_share_a_request_where_there_are_no_others() -> None:
    tiles = pending([0, 1, 2, 3, 4], [0] * 5, [1] * 5)
    assert sorted(len(group) for group in groups(tiles)) == [1, 4]


def test_the_antimeridian_does_not_part_neighbours() -> None:
    tiles = pending([0, 16_383, 800, 4_000], [5, 5, 5, 5], [1, 2, 3, 4], most=2)
    assert {1, 0} not in [set(group) for group in groups(tiles)]


def test_tiles_without_a_place_are_far_from_all() -> None:
    tiles = pending([-1] * 8, [-1] * 8, [1, 1, 2, 2, 3, 3, 4, 4])
    found = list(groups(tiles))
    assert [len(group) for group in found] == [4, 4]
    assert faults(tiles, found) == (0, 0)


def test_tiles_asked_again_share_smaller_requests() -> None:
    assert [group_size(4, failures) for failures in range(4)] == [4, 2, 1, 1]
    tiles = pending(np.arange(7) * 100, np.zeros(7), np.arange(7), most=[4, 4, 2, 1, 4, 4, 2])
    assert [len(group) for group in groups(tiles)] == [4, 2, 1]
    assert list(groups(tiles))[1:] == [(2, 6), (3,)]


def test_no_tiles_no_groups() -> None:
    assert list(groups(pending([], [], []))) == []


def test_the_same_tiles_meet_in_whichever_order_they_come() -> None:
    tiles = world(300)
    order = np.random.default_rng(1).permutation(300)
    shuffled = Pending(tiles.x[order], tiles.y[order], tiles.classes[order], tiles.most[order])
    met = {frozenset(group) for group in groups(tiles)}
    assert {frozenset(int(order[index]) for index in group) for group in groups(shuffled)} == met


def test_class_sets_have_a_bit_for_each_class() -> None:
    overall = np.zeros((2, 12), dtype=np.int32)
    overall[0, [0, 1, 11]] = 5
    overall[1, 3] = 1
    assert class_sets(overall).tolist() == [(1 << 1) | (1 << 11), 1 << 3]


@given(st.lists(st.tuples(st.integers(-1, 80), st.integers(0, 80), st.integers(0, 3), st.integers(1, 4)), max_size=40))
def test_every_tile_is_asked_once_in_a_group_it_may_be_part_of(rows: list[tuple[int, int, int, int]]) -> None:
    x, y, classes, most = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [], [])
    tiles = pending(x, y, classes, most)
    found = list(groups(tiles))
    assert sorted(index for group in found for index in group) == list(range(len(rows)))
    for group in found:
        assert {most[index] for index in group} <= {max(most[index] for index in group)}
        assert len(group) <= most[group[0]]


@pytest.mark.parametrize("size", [2, 3, 4])
def test_at_most_one_group_of_a_size_is_not_full(size: int) -> None:
    lengths = [len(group) for group in groups(pending(np.arange(50) * 40, np.zeros(50), np.arange(50) % 7, most=size))]
    assert sum(length < size for length in lengths) <= 1
