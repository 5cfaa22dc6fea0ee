"""A reviewer's desk over a real database: what it shows, what it keeps, and what it takes in from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.review.desk import Desk
from tasks.review.verdicts import Judgement
from tests.review_desk import caption, desk_with

TEXT = "Water fills the top left, and trees cover most of the bottom right, with grassland between them."


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with desk_with(tmp_path, [caption(number, TEXT) for number in (1, 2)]) as desk:
        yield desk


def judge(
    desk: Desk, reviewer: str, says: Judgement, text: str | None = None, reason: str | None = None
) -> dict[str, Any]:
    version = desk.item("gpt", "1_0", reviewer)["version"]
    return desk.judge("gpt", "1_0", version=version, reviewer=reviewer, says=says, text=text, reason=reason)


def test_the_history_tells_who_took_a_verdict_back(desk: Desk) -> None:
    judge(desk, "ben", "edit", text="Trees.")
    judge(desk, "ann", "reject", reason="wrong")
    *_, last = desk.undo("gpt", "1_0", "ann")["history"]
    assert (last["by"], last["reason"], last["status"], last["text"]) == (
        "ann",
        "verdict taken back",
        "edited",
        "Trees.",
    )
    assert [given.reviewer for given in desk.verdicts()] == ["ben"]
