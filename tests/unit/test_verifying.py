"""What becomes of a caption once it is checked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasks.captions.state import Caption, Status
from tasks.checks.flags import Recipe
from tasks.checks.verifying import AGAIN, verify
from tasks.review.verdicts import undone, verdict
from tests.checks_corpus import tiles

FOREST = tiles()["forest"]
CLEAN = "Trees dominate the scene in every quarter, with grass in the bottom right and shrubs in the bottom left of it."
FAULTY = f"{CLEAN} A river crosses it."
COUNTED = CLEAN.replace("Trees", "In the second image, trees")


def version(number: int, text: str | None, status: Status = "unchecked", **more: str) -> Caption:
    return Caption("1_1", "gpt", text, status, "2026-01-01T00:00:00+00:00", version=number, prompt_sha256="k", **more)


def checked(*history: Caption, recipe: Recipe = "text") -> Caption:
    made = verify(history, FOREST, recipe, "2026-01-02T00:00:00+00:00")
    assert made is not None
    assert (made.version, made.created_at[:10]) == (history[-1].version + 1, "2026-01-02")
    return made


def test_what_is_clean_is_accepted() -> None:
    made = checked(version(1, CLEAN))
    assert (made.status, made.text, made.flags, made.revises) == ("accepted", CLEAN, (), 1)


def test_a_warning_does_not_flag() -> None:
    made = checked(version(1, CLEAN.replace("shrubs", "a vast share of shrubs")))
    assert (made.status, made.flags) == ("accepted", ("size-word:shrub",))


def test_what_can_be_mended_is_and_tells_what_it_was() -> None:
    made = checked(version(1, COUNTED), recipe="vision")
    assert (made.status, made.flags) == ("mended", ())
    assert made.text == CLEAN.replace("Trees", "In this image, trees")
    assert made.reason == 'mended: it speaks of other images: "the second image"'


def test_a_model_is_asked_again_twice_and_then_the_caption_is_flagged() -> None:
    history = [version(1, FAULTY)]
    for _ in range(AGAIN):
        history.append(checked(*history))
        assert (history[-1].status, history[-1].flags) == ("pending", ("absent-class:water",))
        assert history[-1].reason == "it names water, which the scene does not have"
        assert verify(history, FOREST, "text", "now") is None, "it waits for the answer"
        history.append(version(history[-1].version + 1, FAULTY))
    assert checked(*history).status == "flagged"


def test_another_prompt_is_asked_again_anew() -> None:
    history = [version(1, FAULTY), version(2, FAULTY, "pending"), version(3, FAULTY), version(4, FAULTY, "pending")]
    assert checked(*history, replace(version(5, FAULTY), prompt_sha256="other")).status == "pending"


def test_a_verdict_that_is_taken_back_while_the_model_is_asked_again_changes_nothing() -> None:
    history = [version(1, FAULTY)]
    history.append(checked(*history))
    waiting = history[-1]
    now = "2026-01-02T00:00:00+00:00"
    history.append(verdict(history, reviewer="ann", says="accept", text=None, reason=None, now=now, found=lambda _: ()))
    history.append(undone(history, reviewer="ann", now=now))
    assert (history[-1].status, history[-1].reason) == ("pending", waiting.reason), "what the model is told"
    history.append(version(5, FAULTY))
    assert checked(*history).status == "pending", "it was asked again once, and twice it may be"


def test_captions_by_rules_are_flagged_at_once() -> None:
    assert checked(version(1, FAULTY), recipe="rules").status == "flagged"


def test_where_asking_again_fails_the_old_text_is_flagged() -> None:
    waiting = version(2, FAULTY, "pending", reason="it names water")
    made = checked(version(1, FAULTY), waiting, version(3, None, "failed", reason="refusal"))
    assert (made.status, made.text, made.revises) == ("flagged", FAULTY, 2)
    assert made.reason == "it names water; asked again in vain: refusal"


@pytest.mark.parametrize("status", ["accepted", "mended", "edited", "flagged", "rejected"])
def test_what_is_judged_is_left_alone(status: Status) -> None:
    assert verify([version(1, FAULTY, status)], FOREST, "text", "now") is None


def test_a_tile_without_a_caption_is_left_alone() -> None:
    assert verify([version(1, None, "failed", reason="refusal")], FOREST, "text", "now") is None
