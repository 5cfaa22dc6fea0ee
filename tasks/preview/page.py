"""The preview page of a dataset: one HTML file that opens from disk, with nothing to fetch.

Everything on it that is not ours (names, tile IDs, captions) is text to the browser: the template escapes it, and the
page's own policy lets nothing run but the one script whose hash it names, and nothing be fetched at all.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from jinja2 import Template
from markupsafe import Markup
from numpy.typing import NDArray

from tasks.landcover.classes import COLOURS
from tasks.pages.looks import asset, style_sheet, templates
from tasks.preview.cards import CLASS_NAMES, PARTS, Card, View, photo, picture, view
from tasks.preview.choice import MOST_CARDS
from tasks.preview.tile_map import STATUSES, TileMap, draw

BUDGET = 3_000_000
"""Bytes that the page never exceeds, whatever the campaign."""

_LEAST_PICTURE = 1_500
"""Bytes that a card's pictures may take at the least: where less is left, there are fewer cards."""

_MAP_HEIGHT = 31
"""The map's height where there is room for it, in the page's unit of text (rem)."""


@dataclass(frozen=True)
class Page:
    """What the page tells of a campaign.

    Attributes:
        name: the campaign's.
        product: the land-cover product's.
        attribution: whom the land cover is to be attributed to; may be empty.
        captioners: their names, in the order of the configuration.
        captions: how many captions there are in all.
        lon, lat: centres of all tiles in degrees, NaN without georeference.
        status: of all tiles, indices into `tasks.preview.tile_map.STATUSES`.
        cards: the gallery's tiles (`tasks.preview.choice.choose` picks them); no more than 200 are shown.
    """

    name: str
    product: str
    attribution: str
    captioners: Sequence[str]
    captions: int
    lon: NDArray[np.floating]
    lat: NDArray[np.floating]
    status: NDArray[np.integer]
    cards: Sequence[Card] = ()


def render(page: Page) -> bytes:
    """The page in UTF-8, of at most `BUDGET` bytes.

    Maps that would take more than their part of the budget are shown at every second, fourth ... pixel; where even so
    there is no room (very long captions), the last cards are left out.
    """
    drawn = draw(page.lon, page.lat, page.status)
    views = [view(card) for card in page.cards[:MOST_CARDS]]
    while views and BUDGET - len(_html(page, drawn, views)) < len(views) * _LEAST_PICTURE:
        views = views[: len(views) * 3 // 4]
    return _html(page, drawn, _with_pictures(views, BUDGET - len(_html(page, drawn, views))))


def _with_pictures(views: Sequence[View], room: int) -> list[View]:
    """The views with their pictures: each may take an equal part of the room and what those before it left of theirs.

    Where a tile has an image, its map may take half of its part.
    """
    complete = []
    for number, seen in enumerate(views):
        own = room // (len(views) - number)
        image = seen.card.image
        drawn = picture(seen.card.ids, own if image is None else own // 2)
        taken = "" if image is None else photo(image, own - len(drawn))
        room -= len(drawn) + len(taken)
        complete.append(replace(seen, picture=drawn, photo=taken))
    return complete


def _html(page: Page, drawn: TileMap | None, views: Sequence[View]) -> bytes:
    style = style_sheet("tasks.preview", "page.css") + _generated_style(drawn)
    script = asset("tasks.preview", "page.js")
    text = _template().render(
        page=page,
        tiles=dict(zip(STATUSES, np.bincount(page.status, minlength=len(STATUSES)).tolist(), strict=True)),
        map=drawn,
        views=views,
        splits=sorted({seen.card.split for seen in views}),
        present=sorted({share.class_id for seen in views for share in seen.shares}),
        class_names=CLASS_NAMES,
        parts=PARTS,
        # These two are ours, and their hashes are all that the page's policy lets through.
        style=Markup(style),  # noqa: S704 - our own file, and numbers
        style_hash=_hash(style),
        script=Markup(script),  # noqa: S704 - our own file
        script_hash=_hash(script),
    )
    # A lone surrogate, from a broken answer, is no character: it shows as a question mark.
    return text.encode("utf-8", "replace")


def _generated_style(drawn: TileMap | None) -> str:
    """What the style sheet takes from elsewhere: the legend's colours, and the map's proportions."""
    colours = "".join(f".c{class_id}{{background:rgb{colour}}}" for class_id, colour in enumerate(COLOURS))
    if drawn is None:
        return colours
    aspect = drawn.columns / drawn.rows
    return f"{colours}.where{{--aspect:{aspect:.4f};--width:{_MAP_HEIGHT * aspect:.1f}rem}}"


@cache
def _template() -> Template:
    environment = templates("tasks.preview")
    environment.filters["thousands"] = "{:,}".format
    return environment.get_template("page.html.j2")


def _hash(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode("ascii")
