"""Duplicates and near duplicates across splits, against a comparison of all pairs."""

from __future__ import annotations

from io import BytesIO
from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tasks.release.likeness import Likeness, leaks, likeness, overlap, summary, three_word_runs

COUNTS = np.zeros((6, 12), dtype=np.int32)


def png(pixels: np.ndarray) -> bytes:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def distance(one: Likeness, other: Likeness) -> int:
    return (int(one.bits, 16) ^ int(other.bits, 16)).bit_count()


def noise(seed: int) -> np.ndarray:
    """A picture with some structure, as a landscape has."""
    coarse = np.random.default_rng(seed).integers(0, 255, (12, 12, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((256, 256), Image.Resampling.BICUBIC))


def test_a_picture_that_is_a_little_brighter_is_near_and_another_is_not() -> None:
    original = likeness(png(noise(0)), COUNTS)
    brighter = np.clip(noise(0).astype(int) + 9, 0, 255).astype(np.uint8)
    assert 0 <= distance(original, likeness(png(brighter), COUNTS)) <= 8
    assert likeness(png(brighter), COUNTS).picture != original.picture
    assert distance(original, likeness(png(noise(1)), COUNTS)) > 60
    assert len(original.bits) == 64


def made(bits: list[int], splits: list[str]) -> tuple[list[Likeness], list[str]]:
    return [Likeness(f"picture {index}", f"{one:064x}", f"counts {index}") for index, one in enumerate(bits)], splits


HASHES = st.lists(
    st.tuples(
        st.sampled_from([0, (1 << 256) - 1, 0x1234 << 200]),
        st.sets(st.integers(0, 255), max_size=6),
        st.sampled_from(["train", "val", "test"]),
    ),
    max_size=25,
)


@given(HASHES)
def test_every_tile_with_a_near_picture_in_another_split_is_found(drawn: list[tuple[int, set[int], str]]) -> None:
    bits = []
    for start, flipped, _ in drawn:
        bits.append(start ^ sum(1 << bit for bit in flipped))
    found, splits = made(bits, [split for _, _, split in drawn])
    near = [
        (one, other)
        for one, other in combinations(range(len(bits)), 2)
        if splits[one] != splits[other] and (bits[one] ^ bits[other]).bit_count() <= 8
    ]
    expected = {(row, splits[other]) for one, other in near for row, other in ((one, other), (other, one))}
    listed = list(leaks(found, splits, lambda rows: [""] * len(rows)))
    assert all((bits[leak.one] ^ bits[leak.other]).bit_count() <= 8 for leak in listed)
    assert all(splits[leak.one] != splits[leak.other] for leak in listed)
    got = {(row, splits[twin]) for leak in listed for row, twin in ((leak.one, leak.other), (leak.other, leak.one))}
    assert got == expected
    assert len({(leak.one, leak.other) for leak in listed}) == len(listed)


def test_equal_counts_and_texts_that_share_most_runs_are_near() -> None:
    words = [f"word{number}" for number in range(40)]
    texts = [" ".join(words), " ".join([*words[:-1], "other"]), " ".join(reversed(words)), " ".join(words)]
    rng = np.random.default_rng(0)
    found = [Likeness(f"p{index}", rng.bytes(32).hex(), "alike" if index < 3 else "unlike") for index in range(4)]
    splits = ["train", "val", "test", "test"]
    (leak,) = leaks(found, splits, lambda rows: [texts[row] for row in rows])
    assert (leak.one, leak.other, leak.kind) == (0, 1, "near text")
    assert summary([leak], splits)["val", "train"] == {"near text": 1}


def test_equal_pictures_are_told_as_equal_alone() -> None:
    same = Likeness("same", "0" * 64, "same")
    splits = ["train", "train", "val", "test"]
    listed = list(leaks([same] * 4, splits, lambda rows: ["a b c d"] * len(rows)))
    assert {leak.kind for leak in listed} == {"picture"}
    table = summary(listed, splits)
    assert (table["train", "val"]["picture"], table["val", "train"]["picture"]) == (2, 1)


@given(st.text(max_size=60), st.text(max_size=60))
def test_overlap_is_a_share_and_whole_for_equal_texts(one: str, other: str) -> None:
    assert overlap(three_word_runs(one), three_word_runs(one)) == 1
    assert 0 <= overlap(three_word_runs(one), three_word_runs(other)) <= 1
