"""Choices by chance: the same everywhere and always, whatever else is planned."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.planning.sampling import assign_splits, shuffled, text_keys

SHARES = {"train": 0.6, "val": 0.1, "test": 0.3}
keys = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=50, unique=True).map(
    lambda numbers: np.array(numbers, dtype=np.uint64)
)


def test_the_draws_are_frozen() -> None:
    """Datasets in the world depend on these numbers: they never change."""
    assert shuffled(np.array([0, 1, 2**28 - 1]), purpose="sample", seed=0).tolist() == [
        6112748619012788602,
        4424210375766561391,
        13907123240480533869,
    ]
    assert shuffled(np.array([0, 1, 2**28 - 1]), purpose="sample", seed=1).tolist() == [
        14165608810869980596,
        6536621816091387971,
        8283955522344294850,
    ]
    assert shuffled(np.array([0, 1, 2**28 - 1]), purpose="split", seed=0).tolist() == [
        1957301350873262411,
        9654087860019661365,
        16871402355198456475,
    ]
    assert text_keys(["", "coast__a-1", "é"]).tolist() == [
        16476032584258269876,
        3716703321021260287,
        14635220546840893743,
    ]
    assert assign_splits(np.arange(24), SHARES, seed=0).tolist() == [
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        2,
        0,
        0,
        0,
        2,
        0,
        0,
        0,
        0,
        0,
        2,
        0,
        0,
        0,
        0,
        0,
        0,
    ]


@given(keys, st.integers(0, 2**63))
def test_a_draw_depends_on_its_key_alone_and_two_keys_never_tie(some: np.ndarray, seed: int) -> None:
    drawn = shuffled(some, purpose="sample", seed=seed)
    assert len(np.unique(drawn)) == len(some)
    assert drawn[::-1].tolist() == shuffled(some[::-1], purpose="sample", seed=seed).tolist()
    assert drawn[0] == shuffled(some[:1], purpose="sample", seed=seed)[0]


def test_draws_are_spread_evenly_and_neighbours_do_not_show() -> None:
    drawn = shuffled(np.arange(100_000), purpose="sample", seed=7) / 2.0**64
    counts, _ = np.histogram(drawn, bins=20, range=(0, 1))
    assert counts.min() > 4_700
    assert counts.max() < 5_300
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.01


def test_the_sample_and_the_splits_are_drawn_apart() -> None:
    sample = shuffled(np.arange(10_000), purpose="sample", seed=3) / 2.0**64
    split = shuffled(np.arange(10_000), purpose="split", seed=3) / 2.0**64
    assert abs(np.corrcoef(sample, split)[0, 1]) < 0.03


@pytest.mark.parametrize("seed", [0, 1, 42])
def test_splits_reach_their_shares(seed: int) -> None:
    split = assign_splits(np.arange(50_000), SHARES, seed)
    assert np.bincount(split, minlength=3) / 50_000 == pytest.approx([0.6, 0.1, 0.3], abs=0.01)


@pytest.mark.parametrize(
    "shares", [(0.0, 0.4, 0.6), (0.4, 0.0, 0.6), (0.4, 0.6, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.66, 0.33, 0.0)]
)
def test_a_share_of_nought_stays_empty(shares: tuple[float, ...]) -> None:
    split = assign_splits(np.arange(20_000), dict(zip("abc", shares, strict=True)), seed=0)
    found = np.bincount(split, minlength=3)
    assert [bool(count) for count in found] == [share > 0 for share in shares]


@given(keys, st.integers(0, 1000))
def test_a_split_does_not_depend_on_what_else_is_planned(some: np.ndarray, seed: int) -> None:
    all_at_once = assign_splits(some, SHARES, seed)
    assert [int(assign_splits(some[i : i + 1], SHARES, seed)[0]) for i in range(len(some))] == all_at_once.tolist()
