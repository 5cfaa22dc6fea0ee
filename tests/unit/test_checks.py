"""What the checks find in captions, and what they leave alone."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.checks.checking import check
from tasks.checks.flags import CODES, Recipe, names
from tasks.checks.mending import mend, same_facts
from tasks.landcover.classes import ID_OF_TOKEN, N_IDS
from tasks.statistics.patches import patch_counts
from tasks.wording.reading import read
from tasks.wording.rules import describe
from tests.checks_corpus import counts_of, samples, tiles

SAMPLES = list(samples())
LOTS = {lot: list(of_it) for lot, of_it in groupby(SAMPLES, key=lambda sample: sample.name.rpartition("-")[0])}
ORDINARY = (
    "Trees dominate the scene and are found in every quarter, with grass in the bottom right. "
    "The shrubs of the bottom left add a little variety to the forest."
)


def found(text: str, tile: str = "forest", recipe: Recipe = "text") -> list[str]:
    return names(check(text, tiles()[tile], recipe))


@pytest.mark.parametrize("lot", LOTS)
def test_the_corpus_has_the_faults_that_people_find_in_it(lot: str) -> None:
    flagged = {one.name: set(names(check(one.text, one.counts, one.recipe))) for one in LOTS[lot]}
    assert flagged == {one.name: one.flags for one in LOTS[lot]}


def test_the_corpus_is_large_and_half_of_it_is_clean() -> None:
    assert len(SAMPLES) >= 300
    assert 0.4 <= sum(not sample.flags for sample in SAMPLES) / len(SAMPLES) <= 0.6
    assert {flag.split(":")[0] for sample in SAMPLES for flag in sample.flags} == set(CODES)


@pytest.mark.parametrize("lot", LOTS)
def test_what_is_mended_says_the_same_and_has_no_fault(lot: str) -> None:
    for sample in LOTS[lot]:
        mended = mend(sample.text, sample.counts, sample.recipe, check(sample.text, sample.counts, sample.recipe))
        assert mended == sample.mended, sample.name
        if mended is not None:
            assert not [flag for flag in check(mended, sample.counts, sample.recipe) if flag.is_error], sample.name
            assert same_facts(read(sample.text), read(mended)), sample.name


def test_a_clean_caption_is_not_mended() -> None:
    assert found(ORDINARY) == []
    assert mend(ORDINARY, tiles()["forest"], "vision", ()) is None


LAID_OUT = "Trees cover most of the land, with crops in the lower right and water in the lower left of the tile."


def mended(text: str) -> str | None:
    """A caption of a wooded tile with its talk of other images taken out."""
    wood = {"tree": 100}
    corners = {"bottom_left": {"tree": 60, "water": 40}, "bottom_right": {"crop": 100}}
    counts = counts_of(
        {"top_left": wood, "top_right": wood, **corners, "middle": {"tree": 60, "crop": 20, "water": 20}}
    )
    return mend(text, counts, "vision", check(text, counts, "vision"))


@pytest.mark.parametrize(
    "said",
    [
        "The third image is mostly forest.",
        "The third image, however, is mostly forest.",
        "The third image, too, is mostly forest.",
        "The third image, in contrast, is mostly forest.",
        "The third image, similar to the first, is mostly forest.",
        "The third image, like the previous ones, is mostly forest.",
        "The third image, which is similar to the second image, is mostly forest.",
        "Image 3 of 4 is mostly forest.",
        "The 3rd image is mostly forest.",
        "The third satellite image is mostly forest.",
        "The third image is mostly forest in contrast to the water in the first image.",
    ],
)
@pytest.mark.parametrize("before", ["", f"{LAID_OUT} ", "Similarly, "])
def test_an_ordinal_becomes_this_image(said: str, before: str) -> None:
    kept = before.removeprefix("Similarly, ")
    assert mended(f"{before}{said} {LAID_OUT}") == f"{kept}This image is mostly forest. {LAID_OUT}"


@pytest.mark.parametrize(
    "said",
    [
        "The trees are larger than those in the first image.",
        "This is the same as the first image.",
        "The forest is as dense as in the first image.",
        "Unlike the first image, with its trees, this one is calm.",
        "The third image shows a wood, unlike the first image, a lake.",
        "The first image was mostly forest.",
    ],
)
def test_a_sentence_goes_with_its_comparison_where_nothing_is_left_of_it(said: str) -> None:
    assert mended(f"{LAID_OUT} {said} {LAID_OUT}") == f"{LAID_OUT} {LAID_OUT}"


@pytest.mark.parametrize(
    "text",
    [
        "Water lies in the bottom left, as opposed to the first image, where it lies in the top right. Trees cover most"
        " of the land and crops fill the bottom right.",
        f"The first image shows a forest. The second image shows a lake. {LAID_OUT}",
        f"{LAID_OUT} Compared to the third image, where water dominates, trees are dense.",
        f"{LAID_OUT} Compared to the third image, dominated by water, trees are dense.",
        f"{LAID_OUT} The forest of the first image is mirrored here.",
        f"The first image is wooded. This one is wooded as well. {LAID_OUT}",
        f"The third image, like the first and second, is wooded. {LAID_OUT}",
        f"The first image contains trees; the fourth contains trees, too. {LAID_OUT}",
        f"Unlike the first image, it is calm. {LAID_OUT}",
    ],
)
def test_nothing_is_mended_where_it_is_unclear_what_would_be_said(text: str) -> None:
    assert mended(text) is None


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("Trees, unlike in the first image, cover most of the land.", "Trees cover most of the land."),
        ("Trees are tall and, unlike the first image, grow densely.", "Trees are tall and grow densely."),
        (
            "Trees are tall and, unlike the first image, water lies in the lower left.",
            "Trees are tall and water lies in the lower left.",
        ),
        ("In this tile, unlike the previous one, trees are tall.", "In this tile, trees are tall."),
        ("Trees are tall, as in the first image, covering the land.", "Trees are tall, covering the land."),
    ],
)
def test_what_stood_around_a_comparison_is_joined(said: str, left: str) -> None:
    assert mended(f"{LAID_OUT} {said}") == f"{LAID_OUT} {left}"


def test_a_flag_tells_where_in_the_text_it_is() -> None:
    text = ORDINARY.replace("a little variety", "a small pond")
    (flag,) = check(text, tiles()["forest"], "text")
    assert (str(flag), text[flag.start : flag.end]) == ("absent-class:water", "pond")


def test_a_warning_is_no_error() -> None:
    (flag,) = check(ORDINARY.replace("The shrubs", "The vast share of shrubs"), tiles()["forest"], "text")
    assert (str(flag), flag.is_error) == ("size-word:shrub", False)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_captions_by_rules_are_clean(data: st.DataObject) -> None:
    classes = data.draw(st.lists(st.integers(0, N_IDS - 1), min_size=1, max_size=7, unique=True))
    cells = np.zeros((4, 4, N_IDS), np.int64)
    for row in range(4):
        for column in range(4):
            weights = data.draw(st.lists(st.integers(0, 9), min_size=len(classes), max_size=len(classes)))
            weights[0] += 1
            shares = np.asarray(weights) * 4096 // sum(weights)
            shares[0] += 4096 - shares.sum()
            cells[row, column, classes] = shares
    counts = patch_counts(cells)
    text = describe("tile", counts)
    assert names(check(text, counts.tolist(), "rules")) == [], text


@given(st.text(max_size=300))
@settings(max_examples=150, deadline=None)
def test_no_text_is_too_strange_to_be_checked(text: str) -> None:
    flags = check(text, tiles()["coast"], "vision")
    assert all(0 <= flag.start <= flag.end <= len(text) for flag in flags)
    mend(text, tiles()["coast"], "vision", flags)


@given(st.data())
@settings(max_examples=500, deadline=None)
def test_any_piece_of_a_caption_can_be_checked(data: st.DataObject) -> None:
    words = data.draw(st.sampled_from(SAMPLES)).text.split()
    start = data.draw(st.integers(0, len(words) - 1))
    piece = " ".join(words[start : data.draw(st.integers(start + 1, len(words)))])
    mend(piece, tiles()["coast"], "vision", check(piece, tiles()["coast"], "vision"))


@pytest.mark.parametrize(
    "said", ["In this tile one finds trees.", "In this image two covers lead.", "In this image A lot grows."]
)
def test_a_number_or_an_article_behind_this_image_counts_no_images(said: str) -> None:
    assert "cross-image" not in found(said, recipe="vision")


@pytest.mark.parametrize("word", ["Overall", "Trees,", "there", "In the north, where trees stand,", "No", "Unlike"])
def test_a_reply_that_stops_at_once_can_be_checked(word: str) -> None:
    assert "length" in names(check(word, tiles()["coast"], "vision"))


def test_a_tile_without_data_needs_no_class() -> None:
    empty = counts_of(
        {patch: {"no_data": 100} for patch in ("top_left", "top_right", "bottom_left", "bottom_right", "middle")}
    )
    text = (
        "No class is recorded in this scene, because none of its pixels carry data, "
        "neither in the quarters nor in the middle."
    )
    assert check(text, empty, "text") == ()


@pytest.mark.parametrize(
    "said",
    [
        "There is no visible water.",
        "The scene is free of snow and ice.",
        "It lacks water, crops and any trace of buildings.",
        "Neither roads nor rivers cross the forest.",
        "The scene is devoid of water bodies, urban areas, or bare land.",
        "Water is absent, as are wetlands.",
        "It does not contain any cropland.",
        "Snow is nowhere to be seen.",
        "Without any lakes, the forest is closed.",
        "The forest is snow-free and undeveloped.",
        "There are no signs of settlements.",
        "No water is visible, nor is any developed area.",
        "Absent are water and crops.",
        "Water, crops and towns cannot be found.",
        "The remaining classes (water, crops, snow) are absent.",
        "The lack of roads and fields is notable.",
    ],
)
def test_a_class_that_is_denied_is_not_named(said: str) -> None:
    assert found(f"{ORDINARY} {said}") == []


@pytest.mark.parametrize(
    ("said", "token"),
    [
        ("There is not only forest but also water.", "water"),
        ("No shrubs grow there, and crops take their place.", "crop"),
        ("Nothing but roads interrupts it.", "developed_area"),
        ("Without the forest, crops would cover it.", "crop"),
        ("No more than a pond breaks the forest.", "water"),
    ],
)
def test_a_class_in_a_clause_of_its_own_beside_a_denial_is_named(said: str, token: str) -> None:
    assert found(f"{ORDINARY} {said}") == [f"absent-class:{token}"]


@pytest.mark.parametrize(
    "said",
    [
        "No boundary separates the forest from the lake.",
        "There are no trees missing beside the river.",
        "Hardly worth a mention, and in no quarter to be seen, are crops and water.",
    ],
)
def test_a_class_in_one_clause_with_a_denial_is_not_held_against_a_caption(said: str) -> None:
    assert found(f"{ORDINARY} {said}") == []


@pytest.mark.parametrize(
    "said",
    [
        "The ground is barely visible.",
        "The canopy is well developed and has developed along the slopes.",
        "Tree-lined clearings crop up here and there.",
        "A sea of trees, it has no gaps.",
        "The forest houses a rich community.",
        "The grassland of the bottom right is small.",
        "Evergreen greenery gives the forest its character.",
    ],
)
def test_what_only_sounds_like_a_class_is_none(said: str) -> None:
    assert found(f"{ORDINARY} {said}") == []


@pytest.mark.parametrize(
    ("phrase", "patches"),
    [
        ("the top left", ["top_left"]),
        ("the upper-left corner", ["top_left"]),
        ("the northeast", ["top_right"]),
        ("the north-eastern quarter", ["top_right"]),
        ("the lower right quadrant", ["bottom_right"]),
        ("the south-west", ["bottom_left"]),
        ("the centre", ["middle"]),
        ("the central part of the scene", ["middle"]),
        ("the middle", ["middle"]),
        ("the core", ["middle"]),
        ("the northern half", ["top_left", "top_right"]),
        ("the upper part", ["top_left", "top_right"]),
        ("the bottom", ["bottom_left", "bottom_right"]),
        ("the west", ["top_left", "bottom_left"]),
        ("the right side", ["top_right", "bottom_right"]),
    ],
)
def test_a_region_claims_one_of_its_patches(phrase: str, patches: list[str]) -> None:
    whole = ["top_left", "top_right", "bottom_left", "bottom_right", "middle"]
    text = (
        f"Trees dominate the scene, which is a closed forest from one end to the other, and water is found in {phrase}."
    )
    for here in whole:
        shares = {patch: {"tree": 100} for patch in whole}
        shares[here] = {"tree": 99, "water": 1}
        counts = counts_of(shares)
        counts[0][ID_OF_TOKEN["water"]] = max(1, counts[0][ID_OF_TOKEN["water"]])  # the middle overlaps the quarters
        expected = [] if here in patches else ["region-empty:water"]
        assert names(check(text, counts, "text")) == expected, here


@pytest.mark.parametrize(
    "phrase", ["along the northern edge", "at the margins", "elsewhere", "in some places", "on either side"]
)
def test_what_is_no_region_claims_nothing(phrase: str) -> None:
    text = f"Trees dominate the scene, which is a closed forest from one end to the other, and grass is found {phrase}."
    assert found(text + " A few shrubs stand in the bottom left.") == []


@pytest.mark.parametrize(
    "said",
    [
        "Trees give way to grass towards the bottom right.",
        "Unlike the top left, the bottom right has grass.",
        "Grass is more common in the bottom right than in the top left.",
        "The shrubs of the bottom left thin out towards the top right.",
        "The bottom right has grass, and as the eye moves up, shrubs follow.",
        "Trees surround the grass and are densest in the top left.",
        "The upper quarters are closed, while the lower ones have shrubs and grass.",
        "In the top left, trees are dense, and the shrubs do not reach that far.",
    ],
)
def test_what_is_compared_or_left_behind_is_not_placed(said: str) -> None:
    assert found(f"{ORDINARY} {said}") == []


@pytest.mark.parametrize(
    "said",
    [
        "Grass is found in the bottom right as well as the top left.",
        "Scattered across the top left and the bottom right is grass.",
        "In the top left, trees stand next to some grass.",
        "It is in the top left that grass grows.",
        "Of the two left quarters, the upper ones hold grass, while the lower left holds shrubs and grass.",
    ],
)
def test_what_is_placed_in_roundabout_ways_is_placed(said: str) -> None:
    assert found(f"{ORDINARY} {said}") == ["region-empty:grass"]


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("On land, trees dominate.", False),
        ("The vegetation is dominated by trees.", False),
        ("Among the remaining classes, trees are the most common.", False),
        ("Trees dominate the shore.", False),
        ("Trees surround it and dominate the scene.", True),
        ("The primary land cover type here is trees.", True),
        ("Trees dominate the scene as a whole, with a wide stand in the bottom right.", True),
    ],
)
def test_a_leader_of_a_part_is_none_of_the_whole(said: str, wrong: bool) -> None:
    text = f"{said} The scene is a coast, with water, trees, grass and bare land described here in a few plain words."
    assert found(text, "coast") == (["wrong-dominant:tree"] if wrong else [])


@pytest.mark.parametrize(
    ("said", "flags"),
    [
        ("Unlike the other three, it has shrubs.", ["cross-image"]),
        ("The top left, unlike the others, has no openings.", []),
        ("A different picture is found in the top left.", []),
    ],
)
def test_the_others_are_images_where_no_region_is_named(said: str, flags: list[str]) -> None:
    assert found(f"{ORDINARY} {said}", recipe="vision") == flags


@pytest.mark.parametrize(
    "said",
    [
        "In the 1st image it is calm.",
        "The 3rd image is calm.",
        "The second satellite image is calm.",
        "The first land cover map is calm.",
        "The third land-cover image is calm.",
        "Images 1 and 2 are calm.",
        "The latter image is calm.",
        "The former scene is calm.",
        "Image A is calm.",
        "Image (2) is calm.",
        "As mentioned before, it is calm.",
        "As seen previously, it is calm.",
        "It differs from the rest.",
    ],
)
def test_other_images_are_spoken_of_in_many_ways(said: str) -> None:
    assert found(f"{ORDINARY} {said}", recipe="vision") == ["cross-image"]


@pytest.mark.parametrize(
    "said",
    [
        "The second largest class is shrub.",
        "The second land cover class is shrub.",
        "Trees fill the first and the latter quarter.",
        "Of grass and shrubs, the former is denser than the latter.",
        "There are two glades, and the second one is calm.",
        "In this image a forest is seen.",
        "The bottom left differs from the rest of the scene.",
        "It differs from the rest of the tile.",
    ],
)
def test_ordinals_of_what_an_image_shows_are_no_other_images(said: str) -> None:
    assert found(f"{ORDINARY} {said}", recipe="vision") == []


def test_the_second_one_is_an_image_where_nothing_has_been_named_before() -> None:
    assert found(f"The second one is calm. {ORDINARY}", recipe="vision") == ["cross-image"]


@pytest.mark.parametrize(
    "length",
    [
        "0.5 km",
        "0.5 square kilometres",
        "0.5 sq km",
        "0.5 sq. km",
        "0.5 km²",
        "a 1.5-km belt",
        "0.25 acres",
        "0.5 of a mile",
        "0.5 million stems",
        "0.5 to 1.5 metres",
        "0.5–1.5 km",
    ],
)
def test_a_length_an_area_or_a_count_is_no_share(length: str) -> None:
    assert found(f"{ORDINARY} The wood has a clearing of {length} in it.") == []


@pytest.mark.parametrize("share", ["0.5", "0.5 of the scene", "0.4 to 0.5", "0.5 minor parts"])
def test_a_decimal_share_is_a_number(share: str) -> None:
    assert found(f"{ORDINARY} The wood makes up {share}.") == ["number"]


@pytest.mark.parametrize(
    "hedge", ["It looks to be old.", "It gives the impression of being old.", "It gives the impression that it is old."]
)
def test_what_something_looks_to_be_is_a_hedge(hedge: str) -> None:
    assert found(f"{ORDINARY} {hedge}") == ["forbidden-word"]


@pytest.mark.parametrize(
    "start", ["Image description: ", "Description of the image: ", "Land cover summary: ", "[START] "]
)
@pytest.mark.parametrize("end", ["", " [END]", " [/INST]", " <|im_end|>"])
def test_a_label_or_a_marker_is_no_part_of_a_caption(start: str, end: str) -> None:
    assert found(f"{start}{ORDINARY}{end}") == ["format"]
    assert found(f"{ORDINARY}{end}") == (["format"] if end else [])


@pytest.mark.parametrize("each", ["each quarter", "every corner", "all four quadrants", "each of the four quarters"])
def test_each_quarter_is_claimed_by_each(each: str) -> None:
    assert found(f"{ORDINARY} Grass is found in {each} of the scene.") == ["region-empty:grass"]


def test_recipes_differ_in_what_they_forbid() -> None:
    text = f"{ORDINARY} In this context, the segmentation shows a bright green forest unlike the previous image."
    assert found(text, recipe="text") == ["forbidden-word"]
    assert found(text, recipe="vision") == ["colour-word", "cross-image"]
    assert found(text, recipe="rules") == []


@pytest.mark.parametrize(
    ("mentioned", "recipe"),
    [("It might be old.", "text"), ("The Red Sea is not here, nor is the month of May 2020.", "vision")],
)
def test_words_are_judged_by_their_use(mentioned: str, recipe: Recipe) -> None:
    flags = found(f"{ORDINARY} {mentioned}", recipe=recipe)
    assert ("forbidden-word" in flags) == ("might" in mentioned)
    assert "colour-word" not in flags
