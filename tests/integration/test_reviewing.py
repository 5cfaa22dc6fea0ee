"""A reviewer's desk over a real database: what it shows, what it keeps, and what it takes in from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import InputError
from tasks.review.desk import Desk
from tasks.review.labels import Verdict
from tasks.review.verdicts import Judgement
from tasks.statistics.patches import Counts
from tests.review_desk import Tiles, caption, desk_with

TEXT = "Water fills the top left, and trees cover most of the bottom right, with grassland between them."


NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk whose clock goes on by a minute at each look."""
    times = ((NOON + timedelta(minutes=minute)).isoformat() for minute in count())
    with desk_with(tmp_path, [caption(number, TEXT) for number in (1, 2)]) as desk:
        yield replace(desk, now=lambda: next(times))


def stands(desk: Desk) -> tuple[str, str | None, str | None]:
    (shown, *_) = desk.state.current("gpt")
    return shown.status, shown.reviewer, shown.reviewed_at


def judge(
    desk: Desk, reviewer: str, says: Judgement, text: str | None = None, reason: str | None = None
) -> dict[str, Any]:
    version = desk.item("gpt", "1_0", reviewer)["version"]
    return desk.judge("gpt", "1_0", version=version, reviewer=reviewer, says=says, text=text, reason=reason)


def test_an_edited_text_is_checked(desk: Desk) -> None:
    edited = judge(desk, "ann", "edit", text="Snowy glaciers possibly fill the tile.")
    assert edited["history"][-1]["flags"] == edited["found"]
    assert {"absent-class:snow", "forbidden-word"} <= set(edited["found"])
    (shown, *_) = desk.state.current("gpt")
    assert list(shown.flags) == edited["found"]


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


def test_an_old_file_undoes_nothing_that_was_said_since(desk: Desk) -> None:
    judge(desk, "ann", "accept")
    file = list(desk.verdicts())
    judge(desk, "ann", "reject", reason="wrong")
    rejected = stands(desk)
    assert desk.take_in(file) == {"kept": 0, "known": 1, "refused": []}
    assert stands(desk) == rejected
    desk.undo("gpt", "1_0", "ann")
    assert desk.take_in(file)["known"] == 1
    assert stands(desk) == ("flagged", None, None), "taken back is newer, too"


def test_a_verdict_from_elsewhere_keeps_its_time_and_the_newest_stands(desk: Desk) -> None:
    judge(desk, "ann", "reject", reason="wrong")
    rejected = stands(desk)
    carl = Verdict("gpt", "1_0", 1, "carl", "accept", reviewed_at="2020-01-01T00:00:00Z")
    assert desk.take_in([carl])["kept"] == 1
    assert stands(desk) == rejected
    assert {given.reviewer: given.reviewed_at for given in desk.verdicts()} == {
        "ann": rejected[2],
        "carl": "2020-01-01T00:00:00+00:00",
    }
    assert desk.take_in([carl]) == {"kept": 0, "known": 1, "refused": []}
    ahead = replace(carl, reviewer="dora", reviewed_at="2999-01-01T00:00:00+00:00")
    assert desk.take_in([ahead])["kept"] == 1
    assert stands(desk)[:2] == ("accepted", "dora")
    judge(desk, "ben", "reject", reason="no")
    assert desk.take_in([ahead])["known"] == 1, "a clock that ran ahead outlasts nobody"
    assert stands(desk)[:2] == ("rejected", "ben")
    desk.undo("gpt", "1_0", "ben")
    desk.undo("gpt", "1_0", "dora")
    assert stands(desk) == rejected, "the newest by its own time, in whatever order they came"


def test_what_is_brought_back_twice_is_known_and_what_differs_is_kept(desk: Desk) -> None:
    # Label Studio leaves the text of a field that nobody emptied.
    accepted = Verdict("gpt", "1_0", 1, "ann", "accept", text="Trees.", reviewed_at="2026-04-01T00:00:00+00:00")
    assert [desk.take_in([accepted])["kept"] for _ in range(2)] == [1, 0]
    rejected = replace(accepted, verdict="reject", text=None, reason="wrong")
    assert [desk.take_in([rejected])["kept"] for _ in range(2)] == [1, 0]
    assert desk.take_in([replace(rejected, reason="wrong place")])["kept"] == 1
    (given,) = desk.verdicts()
    assert given.reason == "wrong place"
    undated = replace(rejected, reviewed_at=None)
    assert [desk.take_in([undated])["kept"] for _ in range(2)] == [1, 0]
    (said,) = desk.take_in([replace(rejected, reviewed_at="noon")])["refused"]
    assert "`reviewed_at` is 'noon'" in said


def test_a_verdict_on_a_tile_outside_the_queue_is_kept_and_no_picture_is_read_for_it(desk: Desk) -> None:
    class Nothing(Tiles):
        def counts(self, tile_id: str) -> Counts:
            raise InputError(f"tile {tile_id} is not in the queue")

        def photograph(self, tile_id: str) -> bytes | None:
            raise AssertionError(f"the photograph of {tile_id} was read")

    elsewhere = replace(desk, material=Nothing(), entries=())
    given = Verdict("gpt", "1_0", 1, "ann", "accept")
    unknown = replace(given, tile_id="9_9")
    assert elsewhere.take_in([given, unknown]) == {
        "kept": 1,
        "known": 0,
        "refused": ["gpt 9_9: there is no caption to judge: its tile has no answer yet"],
    }
    assert stands(desk)[:2] == ("accepted", "ann")


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
