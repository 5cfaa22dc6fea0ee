"""A reviewer's desk over a real database: what it shows, what it keeps, and what it takes in from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
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


def test_a_verdict_on_a_text_that_was_replaced_hides_the_new_one_from_nobody(desk: Desk) -> None:
    judge(desk, "ben", "accept")
    judge(desk, "ann", "reject", reason="wrong")
    first, _ = desk.queue("ann")["entries"]
    assert (first["verdict"], first["disagreed"]) == ("reject", True)
    desk.state.add([replace(caption(1, "Another text."), version=4)])
    for reviewer in ("ann", "ben"):
        first, _ = desk.queue(reviewer)["entries"]
        assert (first["verdict"], first["disagreed"]) == (None, False)
        assert desk.item("gpt", "1_0", reviewer)["verdict"] is None
    (pair,) = desk.queue("ann")["agreement"]
    assert pair["both"] == 1, "both did judge the old text"


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
