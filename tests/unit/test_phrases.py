"""How single turns of phrase are read: denials, leads and places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.checks.checking import check
from tasks.landcover.classes import ID_OF_TOKEN, N_IDS
from tasks.statistics.patches import PATCHES
from tasks.wording.reading import read

PHRASES: dict[str, list[Any]] = yaml.safe_load(
    (Path(__file__).parents[1] / "checks_corpus" / "phrases.yaml").read_text("utf-8")
)
TREE = ID_OF_TOKEN["tree"]


def is_misplaced(said: str, token: str, patches: list[str]) -> bool:
    """Whether a class of these patches only is flagged as misplaced; all others are everywhere."""
    counts = [[0] + [100] * (N_IDS - 1) for _ in PATCHES]
    for row, patch in zip(counts, PATCHES, strict=True):
        row[ID_OF_TOKEN[token]] = 100 if patch in patches else 0
    counts[0][ID_OF_TOKEN[token]] = 1
    return f"region-empty:{token}" in map(str, check(said, counts, "text"))


@pytest.mark.parametrize("said", PHRASES["denied"])
def test_what_is_denied_is_not_there(said: str) -> None:
    mentions = read(said).mentions
    assert mentions
    assert all(mention.denied for mention in mentions)


@pytest.mark.parametrize("said", PHRASES["affirmed"])
def test_what_only_stands_near_a_denial_is_there(said: str) -> None:
    assert not any(mention.denied for mention in read(said).mentions)


@pytest.mark.parametrize(
    ("said", "leads"), [(s, k == "leading") for k in ("leading", "not_leading") for s in PHRASES[k]]
)
def test_who_leads_in_the_whole(said: str, leads: bool) -> None:
    assert any(TREE in one.classes for leading in read(said).leading for one in leading.mentions) == leads


@pytest.mark.parametrize("phrase", PHRASES["placed"], ids=lambda phrase: phrase["said"])
def test_what_is_placed_is_there_and_nowhere_else(phrase: dict[str, Any]) -> None:
    for token, patches in phrase["places"].items():
        assert not is_misplaced(phrase["said"], token, patches)
        assert is_misplaced(phrase["said"], token, [patch for patch in PATCHES[1:] if patch not in patches])


@pytest.mark.parametrize("phrase", PHRASES["compatible"], ids=lambda phrase: phrase["said"])
def test_what_a_sentence_leaves_open_is_not_held_against_it(phrase: dict[str, Any]) -> None:
    for token, patches in phrase["places"].items():
        assert not is_misplaced(phrase["said"], token, patches)
