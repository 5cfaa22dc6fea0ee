"""Which caption of a reply belongs to which tile, and what is asked again."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.asking.replies import Asked, Part, match
from tasks.landcover.classes import ID_OF_TOKEN
from tasks.wording.reading import named_classes

COAST = "Open water fills the west of the scene, and bare land runs along its shore. The theme is a coast."
TOWN = "Developed areas take up most of the scene, with a few trees in the south. The theme is a town."
FIELDS = "Cropland dominates, with grassland along its northern edge. The theme is farming."
MOOR = "Wetland covers the middle and moss the rest of the scene. The theme is a moor."
CAPTIONS = [COAST, TOWN, FIELDS, MOOR]


def asked(tile_id: str, *tokens: str) -> Asked:
    classes = frozenset(ID_OF_TOKEN[token] for token in tokens)
    return Asked(tile_id, classes, classes)


TILES = [
    asked("coast", "water", "bare_land"),
    asked("town", "developed_area", "tree"),
    asked("fields", "crop", "grass"),
    asked("moor", "wetland", "moss"),
]


def texts(parts: tuple[Part, ...]) -> list[str | None]:
    return [part.text for part in parts]


def codes(parts: tuple[Part, ...]) -> list[str | None]:
    return [part.code for part in parts]


def paragraphs(captions: list[str]) -> str:
    return "\n\n".join(captions)


HARMLESS = {
    "plain": paragraphs(CAPTIONS),
    "spaces between": "\n \n\t\n".join(CAPTIONS),
    "one a line": "\n".join(CAPTIONS),
    "preamble": "Sure! Here are the four captions:\n\n" + paragraphs(CAPTIONS),
    "preamble in bold": "**Here are the four captions:**\n\n" + paragraphs(CAPTIONS),
    "preamble in the first line": "Here are the captions:\n" + "\n".join(CAPTIONS),
    "closing remark": paragraphs(CAPTIONS) + "\n\nLet me know if you would like any changes!",
    "numbers": paragraphs([f"{number}. {caption}" for number, caption in enumerate(CAPTIONS, 1)]),
    "numbers in brackets": paragraphs([f"({number}) {caption}" for number, caption in enumerate(CAPTIONS, 1)]),
    "numbered lines": "\n".join(f"{number}) {caption}" for number, caption in enumerate(CAPTIONS, 1)),
    "bullets": "\n".join(f"- {caption}" for caption in CAPTIONS),
    "images": paragraphs([f"Image {number}: {caption}" for number, caption in enumerate(CAPTIONS, 1)]),
    "bold images": paragraphs([f"**Image {number}:** {caption}" for number, caption in enumerate(CAPTIONS, 1)]),
    "ordinals": paragraphs(
        [
            f"{one} image: {caption}"
            for one, caption in zip(["First", "Second", "Third", "Fourth"], CAPTIONS, strict=True)
        ]
    ),
    "number words": paragraphs(
        [f"Caption {one} - {caption}" for one, caption in zip(["one", "two", "three", "four"], CAPTIONS, strict=True)]
    ),
    "label above": paragraphs([f"Image {number}:\n{caption}" for number, caption in enumerate(CAPTIONS, 1)]),
    "label apart": paragraphs([f"Image {number}\n\n{caption}" for number, caption in enumerate(CAPTIONS, 1)]),
    "headings": paragraphs([f"### Image {number}\n\n{caption}" for number, caption in enumerate(CAPTIONS, 1)]),
    "headings with titles": paragraphs(
        [f"**Image {number}: Land and sea**\n\n{caption}" for number, caption in enumerate(CAPTIONS, 1)]
    ),
    "titles alone": paragraphs([f"## A fine scene\n\n{caption}" for caption in CAPTIONS]),
    "rules between": "\n\n---\n\n".join(CAPTIONS),
    "fence": "```\n" + paragraphs(CAPTIONS) + "\n```",
    "fence with a language": "Here you go:\n\n```text\n" + paragraphs(CAPTIONS) + "\n```\n",
    "bold paragraphs": paragraphs([f"**{caption}**" for caption in CAPTIONS]),
    "quotes": paragraphs([f'"{caption}"' for caption in CAPTIONS]),
    "thoughts": "<think>\nFour images.\n\nThe first is a coast.\n</think>\n\n" + paragraphs(CAPTIONS),
    "json list": json.dumps(CAPTIONS),
    "json objects": "```json\n"
    + json.dumps({"captions": [{"image": n, "caption": one} for n, one in enumerate(CAPTIONS, 1)]})
    + "\n```",
    "json mapping": json.dumps({f"image_{n}": one for n, one in enumerate(CAPTIONS, 1)}),
}


@pytest.mark.parametrize("reply", HARMLESS.values(), ids=HARMLESS.keys())
def test_what_stands_around_captions_costs_nothing(reply: str) -> None:
    parts = match(reply, "stop", TILES)
    assert texts(parts) == CAPTIONS
    assert codes(parts) == [None] * 4
    assert [part.tile_id for part in parts] == ["coast", "town", "fields", "moor"]


def test_the_raw_part_is_kept_as_it_stood() -> None:
    parts = match(HARMLESS["bold images"], "stop", TILES)
    assert parts[1].raw == f"**Image 2:** {TOWN}"


@pytest.mark.parametrize("missing", range(4))
@pytest.mark.parametrize("form", ["{caption}", "Image {number}: {caption}", "{number}. {caption}"])
def test_a_missing_caption_is_the_only_one_asked_again(missing: int, form: str) -> None:
    written = [form.format(number=n + 1, caption=one) for n, one in enumerate(CAPTIONS) if n != missing]
    parts = match(paragraphs(written), "stop", TILES)
    assert texts(parts) == [None if n == missing else one for n, one in enumerate(CAPTIONS)]
    assert parts[missing].code == "format"


def test_numbers_that_only_count_a_short_reply_are_not_believed() -> None:
    """Three captions numbered 1 to 3, of which the second is the third tile's."""
    reply = f"1. {COAST}\n\n2. {FIELDS}\n\n3. {MOOR}"
    assert texts(match(reply, "stop", TILES)) == [COAST, None, FIELDS, MOOR]


def test_swapped_captions_are_asked_again_and_the_others_kept() -> None:
    parts = match(paragraphs([COAST, FIELDS, TOWN, MOOR]), "stop", TILES)
    assert texts(parts) == [COAST, None, None, MOOR]
    assert codes(parts) == [None, "format", "format", None]


def test_a_swap_with_a_tile_of_fewer_classes_costs_both() -> None:
    tiles = [asked("wide", "tree", "grass", "water"), asked("narrow", "tree", "grass"), TILES[3]]
    wide = "Open water parts the trees from the grassland. The theme is a river."
    narrow = "Trees stand in grassland. The theme is a park."
    assert texts(match(paragraphs([wide, narrow, MOOR]), "stop", tiles)) == [wide, narrow, MOOR]
    assert texts(match(paragraphs([narrow, wide, MOOR]), "stop", tiles)) == [None, None, MOOR]


def test_a_class_called_by_an_unknown_word_moves_no_caption() -> None:
    tiles = [asked("town", "developed_area", "tree", "grass"), asked("park", "tree", "grass")]
    town = "The metropolis has trees and grassland around it. The theme is a city."
    park = "Trees stand in grassland. The theme is a park."
    assert texts(match(paragraphs([town, park]), "stop", tiles)) == [town, park]


def test_a_caption_that_stands_twice_is_kept_where_it_fits() -> None:
    assert texts(match(paragraphs([COAST, COAST, FIELDS, MOOR]), "stop", TILES)) == [COAST, None, FIELDS, MOOR]
    assert texts(match(paragraphs([COAST, TOWN, FIELDS, TOWN]), "stop", TILES)) == [COAST, TOWN, FIELDS, None]


def test_of_tiles_that_cannot_be_told_apart_none_is_given_a_doubtful_caption() -> None:
    twins = [asked("a", "tree"), asked("b", "tree"), TILES[0]]
    wood = "Tree cover fills all of the scene. The theme is a wood."
    other = "Trees stand densely from edge to edge. The theme is a wood."
    assert texts(match(paragraphs([wood, other, COAST]), "stop", twins)) == [wood, other, COAST]
    assert texts(match(paragraphs([wood, COAST]), "stop", twins)) == [None, None, COAST]
    assert texts(match(paragraphs([wood, wood, COAST]), "stop", twins)) == [None, None, COAST]


def test_a_caption_in_two_paragraphs_is_asked_again_alone() -> None:
    halves = [*CAPTIONS[:3], "Wetland covers the middle of the scene.", "Moss covers the rest. The theme is a moor."]
    assert texts(match(paragraphs(halves), "stop", TILES)) == [COAST, TOWN, FIELDS, None]


def test_two_captions_run_into_one_are_both_asked_again() -> None:
    assert texts(match(paragraphs([f"{COAST} {TOWN}", FIELDS, MOOR]), "stop", TILES)) == [None, None, FIELDS, MOOR]


def test_labelled_captions_may_have_several_paragraphs() -> None:
    reply = paragraphs([f"Image {n}:\n\n{one}\n\nA second remark on it." for n, one in enumerate(CAPTIONS, 1)])
    assert texts(match(reply, "stop", TILES)) == [f"{one}\n\nA second remark on it." for one in CAPTIONS]


def test_a_summary_of_all_does_not_cost_the_captions() -> None:
    closing = "Note that each paragraph describes one image, as asked."
    assert texts(match(paragraphs([*CAPTIONS, closing]), "stop", TILES)) == CAPTIONS


def test_a_reply_cut_off_keeps_what_is_whole() -> None:
    reply = paragraphs([COAST, TOWN, "Cropland dominates, with"])
    parts = match(reply, "length", TILES)
    assert texts(parts) == [COAST, TOWN, None, None]
    assert codes(parts) == [None, None, "cut_off", "cut_off"]


def test_a_reply_cut_off_after_a_sentence_is_cut_off_all_the_same() -> None:
    assert codes(match(paragraphs(CAPTIONS), "length", TILES)) == [None, None, None, "cut_off"]
    assert codes(match(COAST, "length", TILES[:1])) == ["cut_off"]


def test_an_unfinished_sentence_is_cut_off() -> None:
    parts = match(
        paragraphs([COAST, "Developed areas take up most of the scene, with a few trees in the", FIELDS, MOOR]),
        "stop",
        TILES,
    )
    assert codes(parts) == [None, "cut_off", None, None]


def test_a_withheld_end_is_its_tiles_alone() -> None:
    parts = match(paragraphs([*CAPTIONS[:3], "Wetland"]), "content_filter", TILES)
    assert codes(parts) == [None, None, None, "content_filter"]


@pytest.mark.parametrize(
    "excuse",
    [
        "I'm sorry, but I can't help with that.",
        "I’m sorry, I cannot describe this image.",
        "I cannot describe this map.",
        "Sorry, no.",
        "I apologize, but this image cannot be described.",
        "Unfortunately, I am not able to see this image.",
        "As an AI language model, I do not see images.",
    ],
)
def test_one_refusal_never_loses_the_others(excuse: str) -> None:
    parts = match(paragraphs([COAST, excuse, FIELDS, MOOR]), "stop", TILES)
    assert texts(parts) == [COAST, None, FIELDS, MOOR]
    assert parts[1].code == "refusal"
    assert codes(match(excuse, "stop", TILES)) == ["refusal"] * 4
    assert codes(match(excuse, "stop", TILES[:1])) == ["refusal"]


def test_a_single_caption() -> None:
    assert texts(match(COAST, "stop", TILES[:1])) == [COAST]
    assert texts(match(f"Here is the caption:\n\n{COAST}", "stop", TILES[:1])) == [COAST]
    assert texts(match(f"**Caption**\n\n{COAST}", "stop", TILES[:1])) == [COAST]
    # What fits badly, and what has two paragraphs, is for its verification.
    assert texts(match(MOOR, "stop", TILES[:1])) == [MOOR]
    assert texts(match(f"{COAST}\n\n{TOWN}", "stop", TILES[:1])) == [f"{COAST}\n\n{TOWN}"]


@pytest.mark.parametrize("reply", ["", " \n\n ", "---", "```\n```", "Image 1:", "{}", "[]", "**", "1."])
def test_a_reply_without_a_caption(reply: str) -> None:
    for tiles in (TILES, TILES[:1]):
        parts = match(reply, "stop", tiles)
        assert all(part.text is None and part.code for part in parts)


def test_captions_are_kept_that_leave_a_class_out() -> None:
    """Faults that point at no other tile are for the verification."""
    poor = "Bare land runs along the shore. The theme is a coast."
    assert texts(match(paragraphs([poor, TOWN, FIELDS, MOOR]), "stop", TILES)) == [poor, TOWN, FIELDS, MOOR]


def test_what_is_said_not_to_be_there_is_not_named() -> None:
    assert named_classes("No visible water, and free of snow; trees stand in grassland.") == {
        ID_OF_TOKEN["tree"],
        ID_OF_TOKEN["grass"],
    }
    assert named_classes("Wetlands and built-up areas beside bare ground.") == {
        ID_OF_TOKEN["wetland"],
        ID_OF_TOKEN["developed_area"],
        ID_OF_TOKEN["bare_land"],
    }


def test_a_tile_is_bound_to_name_what_has_a_tenth() -> None:
    overall = np.zeros(12, dtype=np.int32)
    overall[0], overall[1], overall[3], overall[5] = 50_000, 900, 100, 99
    tile = Asked.of("t", overall)
    assert tile.present == {1, 3, 5}
    assert tile.widespread == {1}


pieces = st.sampled_from(
    [
        *CAPTIONS,
        "Image 2:",
        "3.",
        "- ",
        "**",
        "```",
        "\n",
        "\n\n",
        "---",
        "I'm sorry.",
        "Here are:",
        "{",
        '["',
        "Trees",
        ".",
    ]
)


@given(
    st.lists(pieces | st.text(max_size=8), max_size=14),
    st.sampled_from(["stop", "length", "content_filter", ""]),
    st.integers(1, 4),
)
def test_any_reply_gives_each_tile_a_text_or_a_reason(written: list[str], finish: str, count: int) -> None:
    tiles = TILES[:count]
    parts = match("".join(written), finish, tiles)
    assert [part.tile_id for part in parts] == [tile.tile_id for tile in tiles]
    assert all((part.text is None) != (part.code is None) for part in parts)
    assert all(part.text is None or part.text.strip() for part in parts)
    assert len({part.text for part in parts if part.text}) == sum(1 for part in parts if part.text)


@given(st.permutations(range(4)))
def test_no_tile_ever_gets_anothers_caption(order: list[int]) -> None:
    parts = match(paragraphs([CAPTIONS[place] for place in order]), "stop", TILES)
    assert texts(parts) == [CAPTIONS[place] if order[place] == place else None for place in range(4)]
