"""Images whose text names directions are not turned."""

from __future__ import annotations

import pytest

from tasks.release.orientation import keep_upright, names_directions


@pytest.mark.parametrize(
    "text",
    [
        "Trees in the northern half.",
        "Water lies to the south-west.",
        "The Upper-left quarter is built up.",
        "A river crosses it diagonally.",
        "Fields at the bottom, woods above.",
        "northeastward from the town",
    ],
)
def test_directions_are_found(text: str) -> None:
    assert names_directions(text)


@pytest.mark.parametrize(
    "text",
    ["Open water.", "What is leftover is upright.", "Topsoil and a lowered field.", "A bright western-style"[:8]],
)
def test_other_words_are_not(text: str) -> None:
    assert not names_directions(text)


def test_a_step_turns_only_what_may_be_turned() -> None:
    step = keep_upright(lambda image: image[::-1], image="rgb.png", text="txt")
    sample = {"rgb.png": [1, 2, 3], "txt": "Water in the west.", "json": {}}
    assert step(sample) == sample
    assert step(sample | {"txt": "Water and trees."})["rgb.png"] == [3, 2, 1]
    assert sample["rgb.png"] == [1, 2, 3]
