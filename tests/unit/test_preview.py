"""The preview page: whole, within its budget, harmless and true, whatever the campaign."""

from __future__ import annotations

import base64
import hashlib
import re
import tracemalloc
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tasks.landcover.classes import COLOURS
from tasks.preview.cards import Caption, Card, percent, picture, view
from tasks.preview.choice import choose
from tasks.preview.page import BUDGET, Page, render
from tasks.preview.tile_map import STATUSES, TileMap, draw, position
from tasks.statistics.patches import Counts, patch_counts

PLANNED, KEPT, EXCLUDED, FAILED = range(4)


def counts_of(ids: NDArray[np.uint8]) -> Counts:
    rows, columns = ids.shape
    cells = ids.reshape(4, rows // 4, 4, columns // 4).transpose(0, 2, 1, 3).reshape(4, 4, -1)
    return patch_counts(np.stack([(cells == class_id).sum(axis=2) for class_id in range(12)], axis=-1))


def a_card(
    ids: NDArray[np.uint8],
    tile_id: str = "8491_8186",
    *captions: Caption,
    split: str = "train",
    lon: float | None = 6.6,
) -> Card:
    return Card(tile_id, lon, None if lon is None else 0.1, split, ids, counts_of(ids), captions)


def test_an_image_stands_beside_the_map_and_within_the_budget() -> None:
    image = np.random.default_rng(0).integers(0, 255, (256, 256, 3)).astype(np.uint8)
    ids = np.random.default_rng(1).integers(0, 12, (256, 256)).astype(np.uint8)
    cards = [replace(a_card(ids, f"tile-{number}"), image=image) for number in range(200)]
    content = render(a_page(cards))
    assert len(content) <= BUDGET
    assert content.count(b"data:image/jpeg;base64,") == content.count(b"data:image/png;base64,") == 200
    assert b'alt="Satellite image of tile tile-7"' in content


def a_page(cards: list[Card], status: list[int] | None = None, name: str = "sao-tome", attribution: str = "") -> Page:
    codes = np.array([KEPT] * len(cards) if status is None else status, dtype=np.uint8)
    return Page(
        name=name,
        product="worldcover-2020",
        attribution=attribution,
        captioners=["rules"],
        captions=len(cards),
        lon=np.linspace(6.4, 6.8, len(codes)),
        lat=np.linspace(0.0, 0.3, len(codes)),
        status=codes,
        cards=cards,
    )


def noise(seed: int, side: int = 256) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(1, 12, (side, side), dtype=np.uint8)


@dataclass
class Found(HTMLParser):
    """What a browser would find in the page: elements, and the text of those that tests ask about."""

    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: dict[str, list[str]] = field(default_factory=dict)
    inside: str | None = None

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        name = "caption" if (tag, attributes.get("class")) == ("p", "text") else tag
        self.inside = name if name in {"caption", "h1", "h3", "title", "script", "style", "option"} else None
        if self.inside:
            self.texts.setdefault(self.inside, []).append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = None

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.texts[self.inside][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def found(page: bytes) -> Found:
    parser = Found()
    parser.feed(page.decode())
    parser.close()
    return parser


def decoded(uri: str) -> NDArray[np.uint8]:
    prefix = "data:image/png;base64,"
    assert uri.startswith(prefix)
    return np.array(Image.open(BytesIO(base64.b64decode(uri[len(prefix) :]))).convert("RGB"))


# The budget.


def test_two_hundred_noisy_tiles_with_long_captions_fit_and_none_is_left_out() -> None:
    captions = [Caption(name, "landscape " * 300, "accepted") for name in ("rules", "gpt-3.5")]
    page = render(a_page([a_card(noise(number), f"{number}_0", *captions) for number in range(200)]))
    assert len(page) <= BUDGET
    images = found(page).all("img")
    assert len(images) == 200
    assert all(min(decoded(str(image["src"])).shape[:2]) >= 32 for image in images)


def test_where_captions_alone_are_too_long_there_are_fewer_cards() -> None:
    flood = Caption("chatty", "é" * 15_000, "flagged")
    page = render(a_page([a_card(noise(0, 64), f"{number}_0", flood) for number in range(200)]))
    assert 0.5 * BUDGET < len(page) <= BUDGET
    assert 40 < len(found(page).all("article")) < 100


def test_a_caption_larger_than_the_page_leaves_the_gallery_empty_and_says_so() -> None:
    page = render(a_page([a_card(noise(0, 16), "1_1", Caption("chatty", "x" * 4_000_000, "flagged"))]))
    assert len(page) < BUDGET
    assert b"too long for this page" in page


def test_more_than_two_hundred_cards_are_not_shown() -> None:
    page = render(a_page([a_card(noise(0, 16), f"{number}_0") for number in range(230)]))
    assert len(found(page).all("article")) == 200
    assert b"200 tiles of the 230 kept" in page


def test_maps_that_fit_are_shown_to_the_last_pixel() -> None:
    ids = noise(3)
    ids[:, 200:] = 0
    oblong = np.repeat([1, 3], 28 * 12).reshape(28, 24).astype(np.uint8)
    images = found(render(a_page([a_card(ids), a_card(oblong)]))).all("img")
    legend = np.array(COLOURS, dtype=np.uint8)
    np.testing.assert_array_equal(decoded(str(images[0]["src"])), legend[ids])
    np.testing.assert_array_equal(decoded(str(images[1]["src"])), legend[oblong])
    assert (images[1]["width"], images[1]["height"]) == ("24", "28")


def test_a_stepped_map_keeps_every_nth_pixel_and_mixes_no_classes() -> None:
    ids = noise(5)
    shown = decoded(picture(ids, 16_000))
    np.testing.assert_array_equal(shown, np.array(COLOURS, dtype=np.uint8)[ids[::2, ::2]])


# Text from outside.

HOSTILE = [
    '<img src=x onerror="document.title=1">',
    "</script><script>alert(1)</script>",
    "</style><style>body{display:none}</style>",
    '"><svg onload=alert(1)>',
    "{{ 7 * 7 }} {% raw %} &lt;b&gt; &amp; '\"",
]


def assert_harmless(page: bytes, cards: int) -> Found:
    parser = found(page)
    assert len(parser.texts["script"]) == len(parser.texts["style"]) == 1
    assert len(parser.all("article")) == len(parser.all("img")) == cards
    for _, attributes in parser.elements:
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith(("data:", "#"))
    return parser


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_text_wherever_it_stands(text: str) -> None:
    card = a_card(noise(0, 16), text, Caption(text, text, text), split=text)
    page = a_page([card], name=text, attribution=text)
    parser = assert_harmless(render(page), cards=1)
    assert parser.texts["h1"] == parser.texts["h3"] == parser.texts["caption"] == [text]
    assert text in parser.texts["option"]


@settings(max_examples=60, deadline=None)
@given(st.text(), st.text(alphabet="<>&'\"/={}%# \n-!scriptRTL\u202e\u0000é😀"))
def test_any_caption_comes_back_as_it_was(caption: str, tile_id: str) -> None:
    parser = assert_harmless(render(a_page([a_card(noise(0, 16), tile_id, Caption("a", caption, "edited"))])), cards=1)
    assert parser.texts["caption"] == [caption]
    assert parser.texts["h3"] == [tile_id]


def test_a_lone_surrogate_does_not_stop_the_page() -> None:
    assert b"half a ? emoji" in render(
        a_page([a_card(noise(0, 16), "1_1", Caption("a", "half a \ud83d emoji", "flagged"))])
    )


def test_the_policy_allows_no_fetch_and_only_the_script_and_style_of_the_page() -> None:
    parser = found(render(a_page([a_card(noise(0, 16))])))
    (policy,) = (meta["content"] for meta in parser.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in str(policy).split(";"))

    def hash_of(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["img-src"] == "data:"
    assert rules["script-src"] == hash_of(parser.texts["script"][0])
    assert rules["style-src"] == hash_of(parser.texts["style"][0])


# What the page says.


def test_the_header_counts_tiles_by_status_and_captions() -> None:
    page = render(a_page([], status=[KEPT] * 1200 + [EXCLUDED] * 3 + [FAILED])).decode()
    facts = dict(re.findall(r"<dt>([^<]+)</dt><dd>([^<]+)</dd>", page))
    assert facts == {"tiles kept": "1,200", "excluded": "3", "failed": "1", "captions": "0"}


def test_a_campaign_with_nothing_says_so() -> None:
    page = render(a_page([]))
    assert b"No tile has been planned yet." in page
    assert b"No tile has been kept yet." in page
    assert b'class="map"' not in page


def test_chips_without_coordinates_get_a_sentence_in_place_of_a_map() -> None:
    page = a_page([a_card(noise(0, 224), "chip", lon=None)])
    page.lon[:] = np.nan
    text = render(page)
    assert b"None of the 1 tile has coordinates" in text
    assert b'class="map"' not in text
    assert b'class="place"' not in text


def test_a_tile_not_yet_captioned_says_so() -> None:
    assert b"No caption yet." in render(a_page([a_card(noise(0, 16), "1_1", Caption("gpt", None, "pending"))]))


def test_shares_come_from_the_counts_and_leave_no_data_out() -> None:
    ids = np.zeros((16, 16), dtype=np.uint8)
    ids[:8] = 3
    ids[0, 0] = 1
    seen = view(a_card(ids))
    assert [(share.name, share.overall) for share in seen.shares] == [("tree", "99"), ("water", "1")]
    assert seen.no_data == "50"
    # Top left, top right, bottom left, bottom right (both empty), middle.
    assert [share.parts for share in seen.shares] == [("98", "100", "–", "–", "100"), ("2", "0", "–", "–", "0")]
    assert seen.summary == "tree 99 %, water 1 %"


def test_a_tile_without_any_class_still_reads() -> None:
    seen = view(a_card(np.zeros((16, 16), dtype=np.uint8)))
    assert (seen.shares, seen.no_data, seen.summary) == ((), "100", "no data")
    assert b"no data" in render(a_page([seen.card]))


@given(st.integers(0, 65_536), st.integers(1, 65_536))
def test_percent_is_half_up_and_never_denies_what_is_there(part: int, whole: int) -> None:
    part = min(part, whole)
    text = percent(part, whole)
    if text == "<1":
        assert 0 < 200 * part < whole
    elif text == ">99":
        assert part < whole
        assert 200 * part >= 199 * whole
    else:
        assert abs(200 * part - 2 * int(text) * whole) <= whole
        assert (text == "0") == (part == 0)
        assert (text == "100") == (part == whole)


def test_percent_rounds_in_integers() -> None:
    assert [percent(99, 200), percent(1, 200), percent(0, 7), percent(7, 7), percent(0, 0)] == [
        "50",
        "1",
        "0",
        "100",
        "–",
    ]


# Which tiles are chosen.

TILES = st.lists(st.tuples(st.sampled_from(["train", "val", "test"]), st.integers(1, 11)), max_size=60)


@given(TILES, st.integers(0, 40), st.randoms(use_true_random=False))
def test_the_choice_depends_on_the_tiles_alone_and_spreads(
    tiles: list[tuple[str, int]], count: int, rng: object
) -> None:
    ids = [f"{number}_{number}" for number in range(len(tiles))]
    splits = [split for split, _ in tiles]
    dominant = np.array([class_id for _, class_id in tiles], dtype=np.int64)
    chosen = choose(ids, splits, dominant, count)
    assert len(chosen) == len(set(chosen)) == min(count, len(tiles))
    assert len({tiles[position] for position in chosen}) == min(count, len(set(tiles)))
    assert choose(ids, splits, dominant, count + 5)[:count] == chosen
    order = list(range(len(tiles)))
    rng.shuffle(order)  # type: ignore[attr-defined]  # hypothesis' random has no public type
    shuffled = choose([ids[i] for i in order], [splits[i] for i in order], dominant[order], count)
    assert [ids[order[position]] for position in shuffled] == [ids[position] for position in chosen]


# The map.


def squares(path: str) -> list[tuple[int, int]]:
    return [(int(column), int(row)) for column, row in re.findall(r"M(\d+) (\d+)h", path)]


def mapped(lon: list[float], lat: list[float], status: list[int] | None = None) -> TileMap:
    drawn = draw(np.array(lon), np.array(lat), np.array(status or [KEPT] * len(lon)))
    assert drawn is not None
    return drawn


def cells(drawn: TileMap) -> dict[str, list[tuple[int, int]]]:
    by_status: dict[str, list[tuple[int, int]]] = {}
    for layer in drawn.layers:
        by_status.setdefault(layer.status, []).extend(squares(layer.path))
    return by_status


TILE = 360 / 2**14


def test_four_tiles_are_four_squares_in_their_places() -> None:
    drawn = mapped([TILE / 2, 3 * TILE / 2, TILE / 2, 5 * TILE / 2], [0.01, 0.01, -0.01, -0.01], [1, 2, 3, 0])
    assert (drawn.tiles_across, drawn.crowded, drawn.placed) == (1, False, 4)
    (left, top), *_ = cells(drawn)["kept"]
    assert cells(drawn) == {
        "kept": [(left, top)],
        "excluded": [(left + 1, top)],
        "failed": [(left, top + 1)],
        "planned": [(left + 2, top + 1)],
    }
    assert {layer.strength for layer in drawn.layers} == {3}
    assert drawn.failures == ""


def test_the_graticule_stands_where_the_tiles_do() -> None:
    # A square's west edge is at 6.6137 degrees, its north edge at 0.3735: both must agree with the lines' places.
    drawn = mapped([6.62], [0.37])
    ((column, row),) = cells(drawn)["kept"]
    (west, at), (east, further) = [(float(line.label.split("°")[0]), line.at) for line in drawn.meridians][:2]
    edge = west + (east - west) * (100 * column / drawn.columns - at) / (further - at)
    assert edge == pytest.approx(int((6.62 + 180) / TILE) * TILE - 180, abs=0.001)
    (south, below), (north, above) = [(float(line.label.split("°")[0]), line.at) for line in drawn.parallels][:2]
    edge = south + (north - south) * (100 * row / drawn.rows - below) / (above - below)
    assert edge == pytest.approx(17 * TILE, abs=0.001)


def test_an_area_across_the_antimeridian_is_one_map() -> None:
    drawn = mapped([179.97, 179.99, -179.99, -179.97], [-16.5] * 4)
    columns = [column for column, _ in cells(drawn)["kept"]]
    assert columns == list(range(columns[0], columns[0] + 4))
    assert any(line.label.startswith("180") for line in drawn.meridians)
    assert all(line.label[-1] in "EW°" for line in drawn.meridians)


def test_a_crowd_is_drawn_by_the_commonest_status_and_failures_are_marked() -> None:
    drawn = mapped([10.0, 10.0, 10.0, 60.0, 60.0], [45.0, 45.0, 45.0, 0.0, 0.0], [KEPT, KEPT, FAILED, FAILED, FAILED])
    assert drawn.crowded
    by_status = cells(drawn)
    assert {status: len(found) for status, found in by_status.items()} == {"kept": 1, "failed": 1}
    (kept,) = by_status["kept"]
    (mark,) = re.findall(r"M([\d.]+) ([\d.]+)h", drawn.failures)
    assert (int(float(mark[0])), int(float(mark[1]))) == kept


def test_tiles_without_coordinates_stay_off_the_map() -> None:
    assert mapped([6.6, np.nan, 6.6], [0.1, 0.1, np.nan]).placed == 1
    assert draw(np.array([np.nan]), np.array([np.nan]), np.array([KEPT])) is None
    assert draw(np.array([]), np.array([]), np.array([], dtype=np.uint8)) is None


def test_only_maps_of_few_latitudes_have_a_scale() -> None:
    scale = mapped([6.4, 6.6], [0.0, 0.2]).scale
    assert scale is not None
    assert (scale.label, 0 < scale.at <= 25) == ("5 km", True)
    assert mapped([-120.0, 150.0], [50.0, -30.0]).scale is None


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-180, 180), st.floats(-90, 90), st.integers(0, 3)),
        min_size=1,
        max_size=30,
    )
)
def test_any_tiles_make_a_map_that_shows_every_one(tiles: list[tuple[float, float, int]]) -> None:
    lon, lat, status = (list(column) for column in zip(*tiles, strict=True))
    drawn = mapped(lon, lat, status)
    shown = [square for found in cells(drawn).values() for square in found]
    assert len(shown) == len(set(shown)) <= len(tiles)
    assert all(0 <= column < drawn.columns and 0 <= row < drawn.rows for column, row in shown)
    assert max(drawn.columns, drawn.rows) < 200
    assert all(0 <= line.at <= 100 for line in (*drawn.meridians, *drawn.parallels))
    assert ("failed" in {STATUSES[code] for code in status}) == ("failed" in cells(drawn) or bool(drawn.failures))


def test_a_million_tiles_over_the_world_make_a_small_map_in_little_memory() -> None:
    rng = np.random.default_rng(0)
    lon, lat = rng.uniform(-180, 180, 1_000_000), rng.uniform(-85, 85, 1_000_000)
    page = Page("world", "esri", "", [], 0, lon, lat, rng.integers(0, 4, 1_000_000, dtype=np.uint8))
    tracemalloc.start()
    try:
        content = render(page)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(content) < 1_000_000
    assert peak < 150_000_000


def test_positions_are_written_for_people() -> None:
    assert position(6.61, -0.2) == "0.200° S, 6.610° E"
    assert position(-180.0, 0.0) == "0.000°, 180.000°"
    assert position(float("nan"), 0.0) is None
