"""The order of candidates: nested samples, the same whatever way an area is gone through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.planning.areas import TileList, box
from tasks.planning.candidates import Candidates, all_candidates, random_candidates

AREA = box([6.4, -0.1, 6.8, 0.45])


@dataclass(frozen=True)
class Batches:
    """An area that hands out given batches."""

    batches: list[tuple[np.ndarray, np.ndarray]]

    def tiles(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        yield from self.batches


def tiles(found: Candidates) -> list[tuple[int, int]]:
    return list(zip(found.x.tolist(), found.y.tolist(), strict=True))


def listed(*tiles_: tuple[int, int]) -> TileList:
    x, y = np.array(tiles_, dtype=np.int32).T
    return TileList(x, y)


def test_all_tiles_run_row_by_row_from_the_north_west() -> None:
    found = tiles(all_candidates(AREA, None))
    # 6.4 / 0.02197265625 = 291.27 and 6.8 / 0.02197265625 = 309.48: columns 8192 + 291 (centre 291.5) to + 308 (308.5).
    assert {x for x, _ in found} == set(range(8483, 8501))
    assert found == sorted(found, key=lambda tile: (tile[1], tile[0]))
    assert len(set(found)) == len(found) == 18 * 25


def test_the_first_of_a_sample_are_frozen() -> None:
    """Datasets in the world depend on this order."""
    assert tiles(random_candidates(AREA, None, count=6, seed=0)) == [
        (8500, 8191),
        (8497, 8189),
        (8498, 8181),
        (8500, 8175),
        (8485, 8194),
        (8487, 8189),
    ]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 460), st.integers(0, 460), st.integers(0, 3))
def test_a_larger_sample_keeps_a_smaller_ones_tiles_in_front(one: int, other: int, seed: int) -> None:
    few, many = sorted((one, other))
    small, large = (random_candidates(AREA, None, count=count, seed=seed) for count in (few, many))
    assert tiles(large)[:few] == tiles(small)
    assert small.exhausted == (few >= 450)


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 40))
def test_a_sample_does_not_depend_on_the_way_the_area_is_gone_through(random: object, size: int) -> None:
    everything = tiles(all_candidates(AREA, None))
    random.shuffle(everything)
    x, y = np.array(everything, dtype=np.int32).T
    batches = Batches([(x[start : start + size], y[start : start + size]) for start in range(0, len(x), size)])
    assert tiles(random_candidates(batches, None, count=25, seed=5)) == tiles(
        random_candidates(AREA, None, count=25, seed=5)
    )


def test_included_tiles_come_first_once_and_on_top_of_the_count() -> None:
    first = tiles(random_candidates(AREA, None, count=3, seed=0))
    include = listed((1, 2), first[1], (1, 2))
    found = random_candidates(AREA, include, count=3, seed=0)
    assert tiles(found) == [(1, 2), first[1], first[0], first[2]]
    assert found.included == 2
    assert not found.exhausted
    everything = all_candidates(AREA, include)
    assert tiles(everything)[:2] == [(1, 2), first[1]]
    assert len(set(tiles(everything))) == len(everything.x) == 451


def test_an_area_without_a_tile_has_no_candidate() -> None:
    for found in (all_candidates(Batches([]), None), random_candidates(Batches([]), None, count=5, seed=0)):
        assert tiles(found) == []
        assert found.exhausted
