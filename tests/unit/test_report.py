"""The report of the checks: rates, examples and people's judgement, from the histories of captions."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np
from markdown_it import MarkdownIt

from tasks.captions.state import Caption
from tasks.report.gathering import MOST_EXAMPLES, MOST_WORST, Gathering, Report, Tally, unnamed
from tasks.report.markdown import in_markdown
from tasks.report.page import render

NOW = "2026-05-01T12:00:00+00:00"
COUNTS = np.zeros((6, 12), dtype=np.int32)
COUNTS[0, 1], COUNTS[1:, 1] = 65_536, 16_384
GOOD = "Open water fills the whole of this scene, from the northern edge to the southern one, without a break."
BAD = "Snow and open water fill the whole of this scene, from the northern edge to the southern one, without a break."
HOSTILE = "<script>alert(1)</script> | **bold** [a](http://evil.example) "
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")


def answer(text: str, version: int = 1, tile: str = "8_9") -> Caption:
    return Caption(tile, "gpt", text, "unchecked", NOW, version=version, request_id=f"{tile}{version}")


def checked(of: Caption, status: str, flags: tuple[str, ...] = (), text: str | None = None) -> Caption:
    return Caption(
        of.tile_id,
        "gpt",
        text or of.text,
        status,  # type: ignore[arg-type]  # the tests write the statuses out
        NOW,
        flags=flags,
        version=of.version + 1,
        revises=of.version,
    )


def judged(of: Caption, status: str, reviewer: str, version: int) -> Caption:
    return Caption(
        of.tile_id,
        "gpt",
        of.text,
        status,  # type: ignore[arg-type]  # the tests write the statuses out
        NOW,
        version=version,
        revises=of.version,
        reviewer=reviewer,
        reviewed_at=NOW,
        reason="a reason",
    )


def report_of(*histories: list[Caption]) -> Report:
    gathering = Gathering(["gpt", "idle"])
    for history in histories:
        gathering.add(history, COUNTS, "text")
    return gathering.report()


def test_each_text_that_was_checked_counts_once_and_the_tile_as_it_stands() -> None:
    first = answer(BAD)
    again = answer(GOOD, version=3)
    history = [first, checked(first, "pending", ("absent-class:snow",)), again, checked(again, "accepted")]
    report = report_of(history)
    tally = report.tallies["gpt"]
    assert (tally.answers, tally.clean) == (2, 1)
    assert tally.raised == {"absent-class": 1}
    assert tally.classes == {("absent-class", "snow"): 1}
    assert tally.became == {"pending": 1, "accepted": 1}
    assert tally.statuses == {"accepted": 1}
    assert report.tallies["idle"].answers == 0
    (example,) = report.examples["absent-class"]
    assert (example.before, example.after) == (BAD, GOOD)
    assert [(worst.tile_id, worst.errors, worst.status) for worst in report.worst] == [("8_9", 1, "accepted")]


def test_a_reply_that_was_read_anew_counts_once_it_is_checked() -> None:
    first = answer("water: " + GOOD)
    anew = replace(first, text=GOOD, version=2, revises=1)
    assert report_of([first, anew]).tallies["gpt"] == Tally(statuses=Counter(unchecked=1))
    tally = report_of([first, anew, checked(anew, "accepted")]).tallies["gpt"]
    assert (tally.answers, tally.clean, tally.became) == (1, 1, {"accepted": 1})


def test_what_was_mended_is_counted_by_what_was_wrong_before() -> None:
    said = "Similarly, " + GOOD[0].lower() + GOOD[1:]
    first = answer(said)
    gathering = Gathering(["gpt"])
    gathering.add([first, checked(first, "mended", (), GOOD)], COUNTS, "vision")
    report = gathering.report()
    assert report.tallies["gpt"].raised == {"cross-image": 1}
    assert report.tallies["gpt"].clean == 0
    assert report.examples["cross-image"][0].after == GOOD


def test_a_warning_is_counted_and_leaves_the_text_clean() -> None:
    first = answer(GOOD)
    report = report_of([first, checked(first, "accepted", ("size-word:water",))])
    assert report.tallies["gpt"].clean == 1
    assert report.tallies["gpt"].raised == {"size-word": 1}
    assert report.worst == []
    assert report.examples == {}


def test_rates_are_told_by_captioner_check_and_class() -> None:
    histories = []
    for number, flags in enumerate([("absent-class:snow", "region-empty:snow"), ("absent-class:snow",), (), ()]):
        first = answer(BAD, tile=f"{number}_0")
        histories.append([first, checked(first, "flagged" if flags else "accepted", (*flags, "size-word:water"))])
    report = report_of(*histories)
    told = in_markdown(report)
    columns = "| captioner | class | any error | `absent-class` | `region-empty` | `size-word` (warning) |"
    assert columns in told
    assert "| `gpt` | snow | 50.0 % | 50.0 % | 25.0 % | 0 |" in told
    assert "| `gpt` | water | 0 | 0 | 0 | 100.0 % |" in told
    assert not any("`idle` | " in line and "snow" in line for line in told)
    page = " ".join(render("c", report).decode().split())
    assert '<th scope="row">snow</th><td>50.0 %</td><td>50.0 %</td><td>25.0 %</td><td>0</td>' in page


def test_markdown_holds_worst_tiles_an_example_of_each_fault_and_the_reviewers() -> None:
    histories = []
    for number in range(MOST_WORST):
        first = answer(BAD, tile=f"{number}_0")
        flagged = checked(first, "flagged", ("absent-class:snow",))
        histories.append([first, flagged, judged(flagged, "rejected", "ann", 3), judged(flagged, "accepted", "ben", 4)])
    again = answer(GOOD, version=3)
    first = answer(BAD)
    histories.append([first, checked(first, "pending", ("absent-class:snow",)), again, checked(again, "accepted")])
    report = report_of(*histories)
    told = in_markdown(report)
    assert "| `0_0` | `gpt` | 1 | `absent-class:snow` | accepted |" in told
    assert sum(line.endswith(" | `absent-class:snow` | accepted |") for line in told) < MOST_WORST
    shown = [line for line in told if line.startswith("| `absent-class` | `")]
    assert shown == [f"| `absent-class` | `8_9` | `gpt` | `{BAD}` | `{GOOD}` | accepted |"]
    assert f"| `ann` | `ben` | {MOST_WORST} | 0 | 0.00 |" in told
    outside = "\n".join(in_markdown(unnamed(report)))
    assert f"| `reviewer 1` | `reviewer 2` | {MOST_WORST} | 0 | 0.00 |" in outside
    assert not {"ann", "ben"} & set(re.findall(r"\w+", outside))


def test_people_and_checks_are_held_against_each_other() -> None:
    histories = []
    for number, (status, verdict) in enumerate(
        [("accepted", "accepted"), ("accepted", "rejected"), ("flagged", "rejected"), ("flagged", "edited")]
    ):
        first = answer(GOOD, tile=f"{number}_0")
        seen = checked(first, status)
        histories.append([first, seen, judged(seen, verdict, "ann", 3), judged(seen, "accepted", "ben", 4)])
    report = report_of(*histories)
    assert report.judged is not None
    assert report.judged[:4] == (3, 1, 2, 2)
    (pair,) = report.reviewers
    assert (pair.both, pair.agreed) == (4, 1)


def test_verdicts_on_texts_that_no_check_had_met_are_told_of() -> None:
    first = answer(GOOD)
    alone = [first, judged(first, "accepted", "ann", 2)]
    page = render("c", report_of(alone)).decode()
    assert "Nobody has judged" not in page
    assert "texts that no check had met" in page
    both = render("c", report_of([*alone, judged(first, "rejected", "ben", 3)])).decode()
    assert '<th scope="row">ann</th><td class="text">ben</td><td>1</td><td>0</td>' in both


def test_worst_tiles_and_examples_are_bounded_and_the_worst_come_first() -> None:
    histories = []
    for number in range(3 * MOST_WORST):
        first = answer(BAD, tile=f"{number}_0")
        flags = ("absent-class:snow", "cut-off", "number")[: 1 + number % 3]
        histories.append([first, checked(first, "flagged", flags)])
    report = report_of(*histories)
    assert [worst.errors for worst in report.worst] == [3] * MOST_WORST
    assert [worst.tile_id for worst in report.worst[:2]] == ["2_0", "5_0"]
    assert all(len(shown) <= MOST_EXAMPLES for shown in report.examples.values())
    assert report.examples["absent-class"][0].after is None


def test_nothing_in_a_caption_becomes_markup() -> None:
    first = answer(HOSTILE)
    report = report_of([first, checked(first, "flagged", ("format",))])
    page = render(HOSTILE, report).decode()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    markdown = "\n".join(in_markdown(report))
    assert HOSTILE.strip() in markdown.replace(r"\|", "|"), "the caption is there, in a code span"
    pieces = [piece for block in MARKDOWN.parse(markdown) for piece in block.children or []]
    assert {piece.type for piece in pieces} <= {"text", "code_inline"}
    assert [block.type for block in MARKDOWN.parse(markdown)].count("html_block") == 0
    assert "| `format` | 100.0 % | – |" in in_markdown(report)


def test_a_campaign_without_captions_has_a_report_that_says_so() -> None:
    report = report_of()
    assert "Nobody has judged" in render("c", report).decode()
    assert in_markdown(report)[2].startswith("| `gpt` | 0 | – |")
