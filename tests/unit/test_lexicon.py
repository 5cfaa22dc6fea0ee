"""The lexicon: what the writer of captions and their checker both rely on."""

from __future__ import annotations

import copy
from importlib.resources import files
from itertools import chain
from typing import Any

import pytest
import yaml

from tasks.landcover.classes import TOKENS
from tasks.statistics.patches import PATCHES
from tasks.wording.frames import CLASS_SLOTS, Slot, frames, parse
from tasks.wording.lexicon import lexicon
from tasks.wording.lexicon import parse as parse_lexicon

CLASS_IDS = range(1, len(TOKENS))


@pytest.fixture
def content() -> dict[str, Any]:
    """The lexicon's file as read, to be spoilt."""
    text = files("tasks.wording").joinpath("lexicon.yaml").read_text("utf-8")
    return copy.deepcopy(yaml.safe_load(text))


def test_no_word_stands_for_two_classes() -> None:
    words = [
        noun.text for index in CLASS_IDS for noun in (lexicon().nouns(index).names + lexicon().nouns(index).synonyms)
    ]
    assert len(words) == len(set(words))


@pytest.mark.parametrize("class_id", CLASS_IDS)
def test_every_class_can_be_a_subject_and_an_amount(class_id: int) -> None:
    numbers = {noun.number for noun in lexicon().nouns(class_id).names}
    assert numbers & {"singular", "plural"}
    assert numbers & {"singular", "amount"}


@pytest.mark.parametrize("class_id", [-1, 0, 12])
def test_what_is_no_class_has_no_words(class_id: int) -> None:
    with pytest.raises(KeyError):
        lexicon().nouns(class_id)


@pytest.mark.parametrize(
    ("percent", "name"),
    [
        (0, "extra small"),
        (9, "extra small"),
        (10, "small"),
        (19, "small"),
        (20, "medium"),
        (49, "medium"),
        (50, "large"),
        (79, "large"),
        (80, "extra large"),
        (100, "extra large"),
    ],
)
def test_sizes_are_the_published_bands(percent: int, name: str) -> None:
    assert lexicon().size(percent).name == name


def test_a_size_word_means_one_band() -> None:
    words = list(chain.from_iterable(size.words for size in lexicon().sizes))
    assert len(words) == len(set(words))


def test_regions_are_the_five_patches_and_the_four_halves() -> None:
    singles = {region.patches[0] for region in lexicon().regions.values() if len(region.patches) == 1}
    assert singles == set(PATCHES[1:])
    halves = {region.patches for region in lexicon().regions.values() if len(region.patches) == 2}
    assert halves == {
        ("top_left", "top_right"),
        ("bottom_left", "bottom_right"),
        ("top_left", "bottom_left"),
        ("top_right", "bottom_right"),
    }


@pytest.mark.parametrize("manner", ["compass", "frame"])
def test_a_phrase_names_one_region(manner: str) -> None:
    phrases = [phrase for region in lexicon().regions.values() for phrase in region.phrases[manner]]
    assert len(phrases) == len(set(phrases))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("classes", "lava"), {"names": [{"text": "lava", "number": "singular"}]}, "classes: expected water"),
        (("classes", "moss", "names"), [], "classes.moss.names"),
        (("classes", "moss", "names"), [{"text": "mosses", "number": "plural"}], "classes.moss.names"),
        (("classes", "moss", "names"), [{"text": "moss", "number": "dual"}], "moss: expected number"),
        (("sizes",), [], "sizes: expected bands"),
        (("sizes", 1, "from"), 60, "sizes: expected bands"),
        (("sizes", 0, "spoken"), ["puny"], "sizes.extra small.spoken"),
        (("regions", "top", "patches"), ["attic"], "regions.top.patches"),
    ],
)
def test_a_mistake_in_the_file_is_named(content: dict[str, Any], path: tuple[Any, ...], value: Any, said: str) -> None:
    target = content
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    with pytest.raises(ValueError, match=said):
        parse_lexicon(content)


def test_frames_use_only_slots_that_can_be_filled() -> None:
    known = CLASS_SLOTS | {"r", "size", "tile", "noun"}
    for frame in chain.from_iterable(frames().values()):
        assert frame.slots <= known, frame.text
        for part in frame.parts:
            assert isinstance(part, (str, Slot)) or part.slot in frame.slots, frame.text


def test_a_verb_needs_a_class_to_agree_with() -> None:
    with pytest.raises(ValueError, match="no class to agree with"):
        parse("{r} [is|are] empty.")


def test_every_frame_is_a_whole_sentence_and_stands_once_under_its_occasion() -> None:
    for occasion, options in frames().items():
        texts = [frame.text for frame in options]
        assert len(texts) == len(set(texts)), occasion
        assert len(texts) >= 2, occasion
        assert all(text.endswith(".") and "  " not in text for text in texts), occasion
