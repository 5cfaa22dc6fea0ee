"""Prompts: what is sent reads well, is the same every time, and is keyed on what was asked of the tile alone."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from tasks.errors import InputError
from tasks.landcover.classes import COLOUR_WORDS, COLOURS, TOKENS
from tasks.statistics.patches import patch_counts
from tasks.wording.prompts import (
    TEMPLATE_VERSION,
    Recipe,
    TileView,
    load_recipe,
    messages,
    prompt_sha256,
    request_body,
)

FROZEN = {
    "text/system.j2": "ee5fddc7408b5e5f829fb4f056fa8aae073bd227b7f91f8590a9cd1a153a05c1",
    "text/user.j2": "8a9088263a4bcdc392fab592e285505c642c6c3c78308da330f24eaf49ce73d0",
    "vision/system.j2": "23236cc1bb99d48285fe48085d12ff8ebe6cdff113b1796a133bb0785ab641ed",
    "vision/user.j2": "df7aab1697a55567f66a07221699b39df9d377ebd469852132b3c2a6e8e23764",
}

TEXT = load_recipe("text")
TEXT_SHARES = load_recipe("text", overall="shares")
VISION = load_recipe("vision")

cell_counts = arrays(np.int32, (4, 4, 12), elements=st.sampled_from([0, 0, 0, 1, 4, 5, 19, 20, 99, 1_000, 4_096]))


def tile_of(ids: np.ndarray, tile_id: str = "8491_8186") -> TileView:
    """A tile with its map and the counts of it."""
    side = ids.shape[0] // 4
    cells = np.zeros((4, 4, 12), dtype=np.int32)
    for row in range(4):
        for column in range(4):
            cell = ids[row * side : (row + 1) * side, column * side : (column + 1) * side]
            cells[row, column] = np.bincount(cell.ravel(), minlength=12)
    return TileView(tile_id, patch_counts(cells), ids.astype(np.uint8))


def coast(side: int = 256) -> TileView:
    """Sea in the west, woods in the east, a town in the north-east corner, and a top left with no data."""
    ids = np.full((side, side), 3)
    ids[:, : side * 3 // 8] = 1
    ids[: side // 4, side * 3 // 4 :] = 2
    ids[: side // 2, : side // 2] = 0
    return tile_of(ids)


def all_eleven(tile_id: str = "8491_8186") -> TileView:
    rng = np.random.default_rng(0)
    return tile_of(np.kron(rng.integers(1, 12, (16, 16)), np.ones((16, 16), dtype=int)), tile_id)


def traces() -> TileView:
    """Five pixels of grass, and no data but for them."""
    ids = np.zeros((256, 256), dtype=int)
    ids[10, 10:15] = 5
    return tile_of(ids)


def one_class(index: int = 1) -> TileView:
    return tile_of(np.full((256, 256), index))


def user_text(recipe: Recipe, *tiles: TileView) -> str:
    content = messages(recipe, tiles)[-1]["content"]
    text = content if isinstance(content, str) else content[0]["text"]
    assert isinstance(text, str)
    return text


def system_text(recipe: Recipe, *tiles: TileView) -> str:
    system = messages(recipe, tiles)[0]
    assert system["role"] == "system"
    content = system["content"]
    assert isinstance(content, str)
    return content


def key(recipe: Recipe, tile: TileView, *, max_tokens: int = 300, parameters: Mapping[str, Any] | None = None) -> str:
    declared = {"temperature": 1.0} if parameters is None else parameters
    return prompt_sha256(recipe, tile, max_tokens=max_tokens, parameters=declared)


@pytest.mark.parametrize("name", FROZEN)
def test_the_built_in_templates_are_frozen(name: str) -> None:
    text = (files("tasks.wording") / "templates" / name).read_text("utf-8")
    assert hashlib.sha256(text.encode()).hexdigest() == FROZEN[name], (
        f"templates/{name} is another text: its captions get another key. If that is meant, raise TEMPLATE_VERSION "
        "(and the 1 of the test below), and freeze the new hash here."
    )


def test_the_version_belongs_to_the_frozen_templates() -> None:
    assert TEMPLATE_VERSION == 1
    assert "version 1" in TEXT.origin


def test_a_text_prompt_in_full() -> None:
    assert user_text(TEXT, coast()) == (
        "The classes of the whole map, from the most widespread to the least, are tree, water and developed area.\n"
        "The top left has no land-cover data.\n"
        "The top right holds a large quantity of tree and a medium fraction of developed area.\n"
        "The bottom left holds a large portion of water and a medium portion of tree.\n"
        "The bottom right holds an extra large fraction of tree.\n"
        "The middle holds an extra large quantity of tree and a small portion of water."
    )


def test_the_first_line_can_tell_shares() -> None:
    assert user_text(TEXT_SHARES, coast()).splitlines()[0] == (
        "The whole map holds a large fraction of tree, a medium fraction of water and an extra small quantity "
        "of developed area."
    )
    assert user_text(TEXT_SHARES, coast()).splitlines()[1:] == user_text(TEXT, coast()).splitlines()[1:]


def test_a_tile_of_one_class_reads_well() -> None:
    assert user_text(TEXT, one_class()).splitlines()[:2] == [
        "The only class of note in the whole map is water.",
        "The top left holds an extra large amount of water.",
    ]


def test_a_tile_of_eleven_classes_reads_well() -> None:
    first, *patches = user_text(TEXT, all_eleven()).splitlines()
    assert first == (
        "The classes of the whole map, from the most widespread to the least, are water, moss, mangroves, grass, tree, "
        "snow, wetland, crop, bare land, shrub and developed area."
    )
    assert (
        patches[0]
        == "The top left holds a small amount of water, a small portion of shrub and a small portion of crop."
    )


def test_a_tile_of_traces_reads_well() -> None:
    assert user_text(TEXT, traces()).splitlines()[:3] == [
        "The whole map has no class of note.",
        "The top left has no class of note.",
        "The top right has no land-cover data.",
    ]


@pytest.mark.parametrize("recipe", [TEXT, TEXT_SHARES])
def test_a_tile_without_a_valid_pixel_reads_well(recipe: Recipe) -> None:
    lines = user_text(recipe, one_class(0)).splitlines()
    assert lines[0] == "The whole map has no land-cover data."
    assert lines[5] == "The middle has no land-cover data."


def test_a_chip_of_another_size_is_told_in_the_same_words() -> None:
    assert user_text(TEXT, coast(224)) == user_text(TEXT, coast(256))
    assert user_text(VISION, coast(224)) == user_text(VISION, coast(256))


def test_a_vision_prompt_of_one_image_in_full() -> None:
    assert user_text(VISION, coast()) == (
        "A map has five patches: the four quarters and the middle. The middle overlaps all four quarters, so the five "
        "shares of a class do not add up to one. A share of 0.00 is less than half a hundredth.\n"
        "\n"
        "Of all pixels of a patch, each class takes up, largest first:\n"
        "- Top left: no land-cover data.\n"
        "- Top right: tree 0.75, developed area 0.25.\n"
        "- Bottom left: water 0.75, tree 0.25.\n"
        "- Bottom right: tree 1.00.\n"
        "- Middle: tree 0.63, water 0.13.\n"
        "Of all pixels of a class in the whole map, each patch holds:\n"
        "- Tree: top left 0.00, top right 0.38, bottom left 0.13, bottom right 0.50, middle 0.31.\n"
        "- Water: top left 0.00, top right 0.00, bottom left 1.00, bottom right 0.00, middle 0.17.\n"
        "- Developed area: top left 0.00, top right 1.00, bottom left 0.00, bottom right 0.00, middle 0.00."
    )


def test_the_images_of_a_request_are_told_in_their_order() -> None:
    tiles = (one_class(1), one_class(0), one_class(8), coast())
    text = user_text(VISION, *tiles)
    blocks = text.split("\n\n")[1:]
    assert [block.splitlines()[0] for block in blocks] == [
        "First image:",
        "Second image:",
        "Third image:",
        "Fourth image:",
    ]
    assert blocks[1] == "Second image:\nThis map has no land-cover data."
    assert "- Middle: snow 1.00." in blocks[2]
    # What is told of a tile does not depend on its companions.
    assert blocks[3].split("\n", 1)[1] == user_text(VISION, coast()).split("\n\n", 1)[1]


@pytest.mark.parametrize(("n", "number"), [(2, "two"), (3, "three"), (4, "four")])
def test_the_rules_name_the_number_of_images(n: int, number: str) -> None:
    text = system_text(VISION, *[coast()] * n)
    assert f"{number} maps as images" in text
    assert f"Write {number} paragraphs" in text
    assert "blank line between" in text
    assert "Do not compare images" in text


def test_the_rules_for_one_image_speak_of_one() -> None:
    text = system_text(VISION, coast())
    assert "Write one paragraph of plain English and nothing else" in text
    for word in ("images", "first", "paragraphs", "captions", "compare", "four maps"):
        assert word not in text


@pytest.mark.parametrize(
    "fact",
    [
        "one paragraph of plain English and nothing else",
        "order in which they are told",
        "link them",
        "which class dominates the scene and where it lies",
        "from the largest share down",
        "Vary the words for the shares",
        "main theme",
        "objective",
        "middle overlaps all four quarters",
    ],
)
def test_the_text_rules_carry_each_constraint(fact: str) -> None:
    assert fact in system_text(TEXT, coast())


@pytest.mark.parametrize(
    "fact",
    [
        "Never name a colour",
        "shapes of water, developed areas and crop areas",
        "Name only classes that are present",
        "developed area, watercourses, grass, tree, shrub, wetland and crop",
        "the scene as a whole and do not recite",
        "one after another",
        "main theme",
        "objective",
    ],
)
@pytest.mark.parametrize("n", [1, 4])
def test_the_vision_rules_carry_each_constraint(fact: str, n: int) -> None:
    assert fact in system_text(VISION, *[coast()] * n)


@pytest.mark.parametrize(("recipe", "own"), [(TEXT, ["context", "segmentation"]), (VISION, ["colour dictionary"])])
def test_the_banned_words_are_named(recipe: Recipe, own: list[str]) -> None:
    last = system_text(recipe, coast()).splitlines()[-1]
    for word in ["possibly", "likely", "perhaps", "appear", "change", "transition", "dynamic", *own]:
        assert word in last


def test_the_legend_stands_in_the_system_message_only() -> None:
    lines = system_text(VISION, coast()).splitlines()
    for colour, token in zip(COLOUR_WORDS, TOKENS, strict=True):
        assert any(line.startswith(f"- {colour}: {token.replace('_', ' ')}") for line in lines)
    told = user_text(VISION, all_eleven())
    assert not [word for word in COLOUR_WORDS if re.search(rf"\b{word}\b", told)]


def test_the_maps_follow_the_text_in_the_order_of_the_tiles() -> None:
    tiles = [coast(), all_eleven(), coast(224)]
    text, *images = messages(VISION, tiles)[1]["content"]
    assert text["type"] == "text"
    assert len(images) == 3
    for tile, part in zip(tiles, images, strict=True):
        assert part["type"] == "image_url"
        header, encoded = part["image_url"]["url"].split(",")
        assert header == "data:image/png;base64"
        with Image.open(BytesIO(base64.b64decode(encoded))) as image:
            pixels = np.asarray(image.convert("RGB"))
        assert tile.ids is not None
        assert np.array_equal(pixels, np.asarray(COLOURS, dtype=np.uint8)[tile.ids[::2, ::2]])


def sentences_read_well(text: str) -> None:
    assert "  " not in text
    assert not re.search(r"\b(None|nan|undefined)\b", text)
    assert not re.search(r" [.,:]|,\.|\.\.|\n\n\n", text)
    for line in text.splitlines():
        assert not line or line.endswith((".", ":")), line
        assert line == line.strip()


@given(cell_counts, st.text(max_size=8), st.sampled_from([TEXT, TEXT_SHARES]))
def test_any_counts_read_as_sentences(cells: np.ndarray, tile_id: str, recipe: Recipe) -> None:
    text = user_text(recipe, TileView(tile_id, patch_counts(cells)))
    sentences_read_well(text)
    lines = text.splitlines()
    # One sentence a line: a patch without classes does not run into the next.
    assert len(lines) == 6
    assert all(line.count(".") == 1 for line in lines)
    for line, name in zip(lines[1:], ("top left", "top right", "bottom left", "bottom right", "middle"), strict=True):
        assert line.startswith((f"The {name} holds a", f"The {name} has no "))


@given(st.lists(cell_counts, min_size=1, max_size=4))
def test_any_counts_read_as_figures(several: list[np.ndarray]) -> None:
    ids = np.zeros((4, 4), dtype=np.uint8)
    tiles = [TileView(f"{n}_0", patch_counts(cells), ids) for n, cells in enumerate(several)]
    sentences_read_well(user_text(VISION, *tiles))
    sentences_read_well(system_text(VISION, *tiles).replace(";\n", ".\n"))


def test_the_rules_read_well() -> None:
    sentences_read_well(system_text(TEXT, coast()))


def test_a_request_has_room_for_each_tile() -> None:
    body = request_body(VISION, [coast()] * 4, model="a-model", max_tokens=300, parameters={"temperature": 1.0})
    assert list(body) == ["model", "messages", "max_tokens", "temperature"]
    assert body["model"] == "a-model"
    assert body["messages"] == messages(VISION, [coast()] * 4)
    assert body["max_tokens"] == 1_200
    assert body["temperature"] == 1.0
    json.dumps(body)


@pytest.mark.parametrize("own", ["max_completion_tokens", "max_tokens"])
def test_a_limit_among_the_parameters_is_sent_as_it_is(own: str) -> None:
    body = request_body(VISION, [coast()] * 2, model="m", max_tokens=300, parameters={own: 700})
    assert {name: value for name, value in body.items() if "max" in name} == {own: 700}


@pytest.mark.parametrize("taken", ["model", "messages"])
def test_parameters_cannot_replace_what_is_asked(taken: str) -> None:
    with pytest.raises(InputError, match=f"parameters.{taken}"):
        request_body(TEXT, [coast()], model="m", max_tokens=300, parameters={taken: "another"})


@pytest.mark.parametrize(("recipe", "n"), [(TEXT, 0), (TEXT, 2), (VISION, 0), (VISION, 5)])
def test_a_request_takes_no_more_tiles_than_its_recipe(recipe: Recipe, n: int) -> None:
    with pytest.raises(ValueError, match="tiles a request"):
        messages(recipe, [coast()] * n)


def test_the_vision_recipe_needs_the_map() -> None:
    tile = TileView("7_7", coast().counts)
    with pytest.raises(ValueError, match="7_7"):
        messages(VISION, [tile])
    with pytest.raises(ValueError, match="7_7"):
        key(VISION, tile)


@pytest.mark.parametrize("recipe", [TEXT, VISION])
def test_the_key_is_the_same_every_time(recipe: Recipe) -> None:
    tile = coast()
    again = TileView(tile.tile_id, tile.counts.copy(), np.asfortranarray(tile.ids))
    assert key(recipe, tile) == key(recipe, again)
    assert re.fullmatch("[0-9a-f]{64}", key(recipe, tile))


def test_the_key_covers_what_was_asked_of_the_tile() -> None:
    tile = coast()
    assert tile.ids is not None
    moved = tile.ids.copy()
    moved[[200, 202], [40, 200]] = moved[[202, 200], [200, 40]]
    keys = {
        "text": key(TEXT, tile),
        "shares": key(TEXT_SHARES, tile),
        "rules": key(replace(TEXT, system=TEXT.system + "\n- Be brief."), tile),
        "wording": key(replace(TEXT, user=TEXT.user.replace("whole map", "entire map")), tile),
        "tile": key(TEXT, all_eleven()),
        "parameter": key(TEXT, tile, parameters={"temperature": 0.5}),
        "room": key(TEXT, tile, max_tokens=400),
        "vision": key(VISION, tile),
        "image": key(VISION, TileView(tile.tile_id, tile.counts, moved)),
    }
    assert len(set(keys.values())) == len(keys), keys


def test_the_key_leaves_out_what_was_not_asked_of_the_tile() -> None:
    tile = coast()
    assert tile.ids is not None
    assert key(TEXT, tile) == key(TEXT, TileView(tile.tile_id, tile.counts)), "the text recipe sends no image"
    assert key(VISION, tile) == key(replace(VISION, overall="shares"), tile), "vision has no such line"
    assert key(TEXT, tile) == key(replace(TEXT, origin="/elsewhere"), tile)
    unsent = tile.ids.copy()
    unsent[201, 41] = 3
    assert key(VISION, tile) == key(VISION, TileView(tile.tile_id, tile.counts, unsent)), "every second pixel is sent"
    limit = {"max_completion_tokens": 900}
    assert key(VISION, tile, parameters=limit) == key(VISION, tile, parameters=limit, max_tokens=1)


def test_the_key_does_not_depend_on_the_order_of_parameters() -> None:
    one = {"temperature": 1.0, "logit_bias": {"7": -1, "50": -2}}
    other = {"logit_bias": {50: -2, 7: -1}, "temperature": 1}
    assert key(TEXT, coast(), parameters=one) == key(TEXT, coast(), parameters=other)


def own_folder(folder: Path, *, system: str = "Be brief.", user: str = "{{ tile.tile_id }}") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "system.j2").write_text(system, "utf-8")
    (folder / "user.j2").write_text(user, "utf-8")
    return folder


def test_a_folder_of_the_users_replaces_the_templates(tmp_path: Path) -> None:
    folder = own_folder(
        tmp_path / "mine", user="{{ tile.overall.shares[0].name if tile.overall.shares }} in {{ overall }}!"
    )
    recipe = load_recipe(folder, "text", "shares")
    assert recipe.kind == "text"
    assert recipe.origin == str(folder)
    assert messages(recipe, [coast()]) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "tree in shares!"},
    ]


def test_a_folder_of_the_users_for_images(tmp_path: Path) -> None:
    folder = own_folder(
        tmp_path / "mine",
        system="{{ legend | map(attribute='colour') | join(' ') }}",
        user="{% for tile in tiles %}{{ tile.spreads | map(attribute='name') | join(' ') }};{% endfor %}",
    )
    recipe = load_recipe(str(folder), "vision")
    assert system_text(recipe, coast()) == " ".join(COLOUR_WORDS)
    assert user_text(recipe, coast(), one_class()) == "tree water developed area;water;"


def test_a_copy_of_the_built_in_templates_keeps_the_key(tmp_path: Path) -> None:
    recipe = load_recipe(own_folder(tmp_path, system=TEXT.system, user=TEXT.user), "text")
    assert key(recipe, coast()) == key(TEXT, coast())


def test_an_empty_system_template_sends_no_system_message(tmp_path: Path) -> None:
    recipe = load_recipe(own_folder(tmp_path, system="{# nothing #}\n"), "text")
    assert [message["role"] for message in messages(recipe, [coast()])] == ["user"]


def test_the_tile_id_is_data_in_a_template(tmp_path: Path) -> None:
    recipe = load_recipe(own_folder(tmp_path), "text")
    hostile = "{{ 7 * 7 }}<b>&{% raw %}"
    assert user_text(recipe, replace(coast(), tile_id=hostile)) == hostile


@pytest.mark.parametrize("missing", ["system.j2", "user.j2"])
def test_a_missing_template_is_named(tmp_path: Path, missing: str) -> None:
    (own_folder(tmp_path) / missing).unlink()
    with pytest.raises(InputError, match=rf"{re.escape(str(tmp_path))}.*{missing}"):
        load_recipe(tmp_path, "text")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere.*text, vision or a folder"):
        load_recipe(tmp_path / "nowhere", "text")


def test_a_folder_needs_its_kind(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="recipe: vision"):
        load_recipe(own_folder(tmp_path))


def test_a_template_that_is_no_text_is_named(tmp_path: Path) -> None:
    (own_folder(tmp_path) / "user.j2").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"user\.j2: .*UTF-8"):
        load_recipe(tmp_path, "text")


@pytest.mark.parametrize(
    ("user", "line", "reason"),
    [
        ("One.\n{{ tyle.overall }}\n", 2, "'tyle' is undefined"),
        ("One.\n\n{{ tile.size }}", 3, "has no attribute 'size'"),
        ("{% macro a() %}\n{{ tile.size }}\n{% endmacro %}\nOne {{ a() }}", 2, "has no attribute 'size'"),
        ("{{ tile.overall.shares[0].name }}", 1, "has no element 0"),  # a tile without data has none
        ("One\n{% if tile %}\nTwo", 3, "endif"),
        ("One\n{{ tile | shout }}", 2, "No filter named 'shout'"),
        ("{{ 1 // 0 }}", 1, "ZeroDivisionError"),
        ("One\n{% include '/etc/passwd' %}", 2, "TemplateNotFound"),
        ("One\n{{ tile.__class__.__mro__ }}", 2, "SecurityError"),
        ("One\n{{ tile.overall.shares[0].__dataclass_fields__.clear() }}", 2, "SecurityError"),
        ("One\n{{ tile.patches | map(attribute='__class__') | map(attribute='mro') | list }}", 2, "SecurityError"),
        ("One\n{{ tile.overall.share }}", 2, "UndefinedError"),
    ],
)
def test_a_faulty_template_is_found_when_it_is_loaded(tmp_path: Path, user: str, line: int, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        load_recipe(own_folder(tmp_path, user=user), "text")
    assert f"{tmp_path}: user.j2, line {line}: " in str(caught.value)
    assert reason in str(caught.value)


def test_a_template_that_fails_for_several_images_only_is_found_when_it_is_loaded(tmp_path: Path) -> None:
    user = "One\n{% if tiles | length == 3 %}{{ third }}{% endif %}"
    with pytest.raises(InputError, match=r"user\.j2, line 2: .*'third' is undefined"):
        load_recipe(own_folder(tmp_path, user=user), "vision")


@pytest.mark.parametrize("kind", ["text", "vision"])
def test_an_empty_user_message_is_refused(tmp_path: Path, kind: Literal["text", "vision"]) -> None:
    with pytest.raises(InputError, match=r"user\.j2 renders to nothing"):
        load_recipe(own_folder(tmp_path, user="{# nothing #}"), kind)
