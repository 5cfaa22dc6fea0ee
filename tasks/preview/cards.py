"""The gallery's cards: a tile, and what the page says of it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.landcover.classes import N_IDS, NO_DATA, TOKENS
from tasks.landcover.pictures import palette_png
from tasks.preview.tile_map import position
from tasks.statistics.patches import PATCHES, Counts
from tasks.statistics.shares import whole_percent

CLASS_NAMES = tuple(token.replace("_", " ") for token in TOKENS)
"""How the page writes a class, by id."""

PARTS = tuple(patch.replace("_", " ") for patch in PATCHES[1:])
"""How the page writes the five patches, in their order."""

_LARGEST_SIDE = 512
_SMALLEST_SIDE = 16
_JPEG_QUALITY = 80


class Caption(NamedTuple):
    """A caption as it stands: its text is None until the first answer."""

    captioner: str
    text: str | None
    status: str


@dataclass(frozen=True)
class Card:
    """A tile of the gallery.

    Attributes:
        tile_id: its ID.
        lon, lat: its centre in degrees; None or NaN without georeference.
        split: train, val or test.
        ids: its map, class ids of shape (rows, columns).
        counts: its statistics (6, 12).
        captions: one per captioner that is to describe it.
        image: what it looks like, red, green and blue of shape (rows, columns, 3); None without imagery.
    """

    tile_id: str
    lon: float | None
    lat: float | None
    split: str
    ids: NDArray[np.uint8]
    counts: Counts
    captions: Sequence[Caption]
    image: NDArray[np.uint8] | None = None


class ClassShare(NamedTuple):
    """A class that a tile holds, in percent as the page writes it: of the whole tile, and of each of its parts."""

    class_id: int
    name: str
    overall: str
    parts: tuple[str, ...]


@dataclass(frozen=True)
class View:
    """What the page says of a card.

    Attributes:
        card: the card.
        shares: its classes, most pixels first.
        no_data: pixels without a class in percent of all; None where there are none.
        summary: its main classes in words, in place of its picture.
        place: its centre, for people.
        picture: its map as a ``data:`` URI; empty until its size is known.
        photo: its image as a ``data:`` URI; empty likewise, or where it has none.
    """

    card: Card
    shares: tuple[ClassShare, ...]
    no_data: str | None
    summary: str
    place: str | None
    picture: str = ""
    photo: str = ""


def view(card: Card) -> View:
    """Derives what the page says of a tile from its counts."""
    counts = card.counts.astype(np.int64)
    shares = class_shares(card.counts)
    missing = int(counts[0, NO_DATA])
    return View(
        card=card,
        shares=shares,
        no_data=percent(missing, int(counts[0].sum())) if missing else None,
        summary=", ".join(f"{share.name} {share.overall} %" for share in shares[:4]) or "no data",
        place=None if card.lon is None or card.lat is None else position(card.lon, card.lat),
    )


def class_shares(counts: Counts) -> tuple[ClassShare, ...]:
    """The classes of a tile from its counts (6, 12), most pixels first, in percent of the pixels that carry a class."""
    valid = counts.astype(np.int64)
    valid[:, NO_DATA] = 0
    totals = valid.sum(axis=1)
    present = sorted((class_id for class_id in range(N_IDS) if valid[0, class_id]), key=lambda i: (-valid[0, i], i))
    return tuple(
        ClassShare(
            class_id,
            CLASS_NAMES[class_id],
            percent(int(valid[0, class_id]), int(totals[0])),
            tuple(percent(int(valid[part, class_id]), int(totals[part])) for part in range(1, len(PATCHES))),
        )
        for class_id in present
    )


def percent(part: int, whole: int) -> str:
    """A share in whole percent, half up; what is there never reads 0, what is not all never reads 100."""
    if whole == 0:
        return "–"
    rounded = whole_percent(part, whole)
    if rounded == 0 and part:
        return "<1"
    if rounded == 100 and part < whole:
        return ">99"
    return str(rounded)


def picture(ids: NDArray[np.uint8], room: int) -> str:
    """A map as a ``data:`` URI of at most ``room`` characters: every pixel, or else every second, fourth ... one.

    It is never made smaller than 16 pixels, whatever the room.
    """
    step = max(1, -(-max(ids.shape) // _LARGEST_SIDE))
    while True:
        uri = "data:image/png;base64," + base64.b64encode(palette_png(ids, step)).decode("ascii")
        if len(uri) <= room or max(ids.shape) // (2 * step) < _SMALLEST_SIDE:
            return uri
        step *= 2


def photo(image: NDArray[np.uint8], room: int) -> str:
    """An image as a ``data:`` URI of at most ``room`` characters, as small as that takes, if not below 16 pixels."""
    whole = Image.fromarray(np.ascontiguousarray(image))
    whole.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE))
    while True:
        stream = BytesIO()
        whole.save(stream, "JPEG", quality=_JPEG_QUALITY)
        uri = "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
        if len(uri) <= room or max(whole.size) // 2 < _SMALLEST_SIDE:
            return uri
        whole = whole.resize((max(whole.width // 2, 1), max(whole.height // 2, 1)), Image.Resampling.BOX)
