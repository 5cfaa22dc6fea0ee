"""Algorithms 1, 2 and 3: what is told of a tile follows from its counts, and from nothing else."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tasks.statistics.patches import Counts, patch_counts
from tasks.statistics.shares import whole_percent
from tasks.wording.context import (
    CLASS_NAMES,
    PATCH_NAMES,
    SIZE_NOUNS,
    Share,
    text_context,
    vision_context,
)

TREE, GRASS, CROP, WATER, MOSS = 3, 5, 6, 1, 11

cell_counts = arrays(np.int32, (4, 4, 12), elements=st.sampled_from([0, 0, 0, 1, 4, 5, 19, 20, 99, 1_000, 4_096]))


def same_everywhere(pixels: dict[int, int], side: int = 256) -> Counts:
    """Counts of a tile with so many pixels of each id in every cell, the rest of each cell without data."""
    cells = np.zeros((4, 4, 12), dtype=np.int32)
    for index, count in pixels.items():
        cells[..., index] = count
    cells[..., 0] += (side // 4) ** 2 - sum(pixels.values())
    return patch_counts(cells)


def one_row(row: int, pixels: dict[int, int]) -> Counts:
    counts = np.zeros((6, 12), dtype=np.int32)
    for index, count in pixels.items():
        counts[row, index] = count
    return counts


def size_of(share: str) -> str:
    size, _, noun = share.rpartition(" ")
    assert noun in SIZE_NOUNS
    return size


@pytest.mark.parametrize(
    ("percent", "words"),
    [
        (1, "an extra small"),
        (9, "an extra small"),
        (10, "a small"),
        (19, "a small"),
        (20, "a medium"),
        (49, "a medium"),
        (50, "a large"),
        (79, "a large"),
        (80, "an extra large"),
        (100, "an extra large"),
    ],
)
def test_a_share_is_said_in_the_published_words(percent: int, words: str) -> None:
    """0-9 extra small, 10-19 small, 20-49 medium, 50-79 large, 80-100 extra large."""
    # Moss fills the rest; it is the later id, and may come first or second.
    counts = one_row(1, {TREE: percent * 100, MOSS: (100 - percent) * 100})
    shares = {share.name: share.share for share in text_context("1_1", counts).patches[0].shares}
    assert size_of(shares["tree"]) == words


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_whole_percent_rounds_half_up_in_integers(part: int, whole: int) -> None:
    part = min(part, whole)
    exact = Decimal(100 * part) / Decimal(whole)
    assert whole_percent(part, whole) == int(exact.quantize(Decimal(1), ROUND_HALF_UP))


def test_a_half_that_floats_round_down_is_rounded_up() -> None:
    """99 of 200 is 49.5 %, so it is a large share and 0.50, where `round` in floats says medium."""
    counts = one_row(5, {TREE: 9_900, GRASS: 10_100})
    tree = text_context("1_1", counts).patches[4].shares[1]
    assert tree.name == "tree"
    assert size_of(tree.share) == "a large"
    assert vision_context("1_1", counts).patches[4].shares[1] == Share("tree", "0.50")


def test_pixels_without_data_leave_the_text_share_and_stay_in_the_decimals() -> None:
    counts = same_everywhere({TREE: 1_024, GRASS: 1_024})  # and half of every cell without data
    text, vision = text_context("1_1", counts), vision_context("1_1", counts)
    assert [size_of(share.share) for share in text.patches[0].shares] == ["a large", "a large"]
    assert vision.patches[0].shares == (Share("tree", "0.25"), Share("grass", "0.25"))


@pytest.mark.parametrize(
    ("side", "pixels", "least"),
    [
        (256, 65_536, 20),
        (224, 50_176, 15),  # 15.3
        (512, 262_144, 80),
        (8, 64, 1),  # never less than one pixel
    ],
)
def test_classes_under_twenty_pixels_are_left_out_in_proportion_to_the_size(side: int, pixels: int, least: int) -> None:
    def map_names(count: int) -> list[str]:
        counts = one_row(0, {WATER: count, TREE: pixels - count})
        return [share.name for share in text_context("1_1", counts).overall.shares]

    def patch_names(count: int) -> list[str]:
        counts = one_row(1, {WATER: count, TREE: pixels // 4 - count})
        return [share.name for share in text_context("1_1", counts).patches[0].shares]

    for names in (map_names, patch_names):
        assert names(least) == ["tree", "water"], side
        assert names(least - 1) == ["tree"], side


def test_a_patch_tells_three_classes_at_most_and_the_map_all_eleven() -> None:
    counts = same_everywhere({index: 100 + index for index in range(1, 12)})
    context = text_context("1_1", counts)
    assert [share.name for share in context.overall.shares] == list(CLASS_NAMES[:0:-1])
    for patch in context.patches:
        assert [share.name for share in patch.shares] == ["moss", "mangroves", "wetland"]


def test_classes_of_equal_size_come_by_their_id() -> None:
    counts = same_everywhere({MOSS: 500, CROP: 500, WATER: 500, GRASS: 500})
    expected = ["water", "grass", "crop", "moss"]
    assert [share.name for share in text_context("1_1", counts).overall.shares] == expected
    vision = vision_context("1_1", counts)
    assert [share.name for share in vision.patches[0].shares] == expected
    assert [spread.name for spread in vision.spreads] == expected


def test_a_class_is_spread_over_the_patches_by_its_own_pixels() -> None:
    """Algorithm 3 follows the paper: the denominator is the class, not the patch."""
    cells = np.zeros((4, 4, 12), dtype=np.int32)
    cells[..., TREE] = 4_096
    cells[1, 1, [TREE, WATER]] = [3_096, 1_000]  # in the top left and in the middle
    cells[0, 3, [TREE, WATER]] = [1_096, 3_000]  # in the top right alone
    spreads = {spread.name: spread.shares for spread in vision_context("1_1", patch_counts(cells)).spreads}
    assert spreads["water"] == (
        Share("top left", "0.25"),
        Share("top right", "0.75"),
        Share("bottom left", "0.00"),
        Share("bottom right", "0.00"),
        Share("middle", "0.25"),
    )


def test_the_vision_context_keeps_the_smallest_class() -> None:
    counts = same_everywhere({TREE: 4_095})
    counts[1, [0, MOSS]] += [-1, 1]
    counts[0, [0, MOSS]] += [-1, 1]
    vision = vision_context("1_1", counts)
    assert vision.patches[0].shares == (Share("tree", "1.00"), Share("moss", "0.00"))
    assert [spread.name for spread in vision.spreads] == ["tree", "moss"]


def test_no_data_and_traces_are_told_apart() -> None:
    nothing = text_context("1_1", same_everywhere({})).patches[0]
    traces = text_context("1_1", same_everywhere({TREE: 1})).patches[0]
    assert (nothing.has_data, nothing.shares) == (False, ())
    assert (traces.has_data, traces.shares) == (True, ())


def test_the_nouns_are_frozen() -> None:
    """Another draw would change the key of every caption that was paid for."""
    context = text_context("8491_8186", same_everywhere({TREE: 2_000, GRASS: 1_000, WATER: 500}))
    assert [share.share for share in context.overall.shares] == [
        "a large fraction",
        "a medium amount",
        "a small fraction",
    ]
    assert [share.share for share in context.patches[4].shares] == [
        "a large quantity",
        "a medium portion",
        "a small portion",
    ]


def test_other_tiles_draw_other_nouns() -> None:
    counts = same_everywhere({TREE: 4_096})
    drawn = {text_context(f"{x}_8186", counts).patches[0].shares[0].share for x in range(8_400, 8_500)}
    assert drawn == {f"an extra large {noun}" for noun in SIZE_NOUNS}


def test_counts_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(6, 12\)"):
        text_context("1_1", np.zeros((6, 11), dtype=np.int32))


def test_a_large_chip_does_not_overflow() -> None:
    """A chip of 10,980 px a side has 120 million pixels; 200 times that is beyond an int32."""
    counts = one_row(0, {TREE: 60_280_200, GRASS: 60_280_200})
    assert [size_of(share.share) for share in text_context("T", counts).overall.shares] == ["a large", "a large"]


@given(cell_counts, st.text(max_size=8))
def test_the_text_context_follows_from_the_counts(cells: np.ndarray, tile_id: str) -> None:
    counts = patch_counts(cells)
    context = text_context(tile_id, counts)
    assert context == text_context(tile_id, counts.copy())
    assert [patch.name for patch in context.patches] == list(PATCH_NAMES[1:])
    for row, patch in enumerate((context.overall, *context.patches)):
        pixels = [int(counts[row, CLASS_NAMES.index(share.name)]) for share in patch.shares]
        assert pixels == sorted(pixels, reverse=True)
        assert all(pixels)
        assert patch.has_data == (counts[row, 1:].sum() > 0)
        assert "no data" not in [share.name for share in patch.shares]
        assert len(patch.shares) <= (11 if row == 0 else 3)


@given(cell_counts)
def test_the_vision_context_follows_from_the_counts(cells: np.ndarray) -> None:
    counts = patch_counts(cells)
    context = vision_context("1_1", counts)
    for row, patch in enumerate(context.patches, start=1):
        assert len(patch.shares) == (counts[row, 1:] > 0).sum()
        for share in patch.shares:
            exact = Decimal(int(counts[row, CLASS_NAMES.index(share.name)])) / Decimal(int(counts[row].sum()))
            assert Decimal(share.share) == exact.quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert len(context.spreads) == (counts[0, 1:] > 0).sum()
    for spread in context.spreads:
        column = CLASS_NAMES.index(spread.name)
        assert [share.name for share in spread.shares] == list(PATCH_NAMES[1:])
        for row, share in enumerate(spread.shares, start=1):
            exact = Decimal(int(counts[row, column])) / Decimal(int(counts[0, column]))
            assert Decimal(share.share) == exact.quantize(Decimal("0.01"), ROUND_HALF_UP)
