"""What a model is told of a tile, as data: the published Algorithms 1, 2 and 3, from the tile's counts alone.

Algorithm 1 (text recipe) says shares in words; Algorithms 2 and 3 (vision recipe) say them with two decimals. Templates
turn this data into sentences (`tasks.wording.prompts`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache

from tasks.landcover.classes import NO_DATA, TOKENS
from tasks.statistics.patches import PATCHES, Counts
from tasks.statistics.shares import MAP_PIXELS, PATCH_PIXELS, least_pixels, whole_percent
from tasks.wording.lexicon import lexicon

CLASS_NAMES = tuple(token.replace("_", " ") for token in TOKENS)
"""Class names as prompts write them, by id."""

PATCH_NAMES = tuple(patch.replace("_", " ") for patch in PATCHES)
"""Patch names as prompts write them, by row of the counts."""

SIZE_NOUNS = ("fraction", "part", "portion", "amount", "quantity")
"""What follows the size; which of them is drawn from the tile's ID."""

MOST_CLASSES_OF_A_PATCH = 3


@dataclass(frozen=True)
class Share:
    """A name and the share that belongs to it.

    Attributes:
        name: a class (in a `Patch`) or a patch (in a `Spread`), in plain words.
        share: in words, such as "a large portion", or with two decimals, such as "0.57".
    """

    name: str
    share: str


@dataclass(frozen=True)
class Patch:
    """The classes of one patch, largest first, or of the whole map.

    Attributes:
        name: "overall", "top left" ... "middle".
        has_data: whether any of its pixels carries a class.
        shares: its classes; empty without data, and in Algorithm 1 where no class is of note.
    """

    name: str
    has_data: bool
    shares: tuple[Share, ...]


@dataclass(frozen=True)
class Spread:
    """Algorithm 3: of all pixels that a class has in the map, the share that lies in each of the five patches.

    Attributes:
        name: the class.
        shares: one share a patch; the middle patch overlaps the quarters, so they do not add up to one.
    """

    name: str
    shares: tuple[Share, ...]


@dataclass(frozen=True)
class TextContext:
    """Algorithm 1 of one tile: the whole map, then the five patches, shares in words."""

    tile_id: str
    overall: Patch
    patches: tuple[Patch, ...]


@dataclass(frozen=True)
class VisionContext:
    """Algorithms 2 and 3 of one tile: the five patches, then the classes of the map (largest first), in decimals."""

    tile_id: str
    patches: tuple[Patch, ...]
    spreads: tuple[Spread, ...]


def text_context(tile_id: str, counts: Counts) -> TextContext:
    """Algorithm 1.

    Classes under 20 px are left out, of the map as of a patch. In tiles of other sizes the limit scales with the
    pixels, rounded half up to a whole number, and is at least one. The denominator of a share leaves out pixels without
    data.

    Args:
        tile_id: draws the words for the shares, so that one tile is always told in the same words.
        counts: pixels by patch and class id, shape (6, 12).
    """
    overall, *patches = _rows(counts)
    return TextContext(
        tile_id=tile_id,
        overall=_worded_patch(tile_id, 0, overall, least_pixels(sum(overall), MAP_PIXELS), most=len(TOKENS)),
        patches=tuple(
            _worded_patch(tile_id, row, patch, least_pixels(sum(patch), PATCH_PIXELS), most=MOST_CLASSES_OF_A_PATCH)
            for row, patch in enumerate(patches, start=1)
        ),
    )


def vision_context(tile_id: str, counts: Counts) -> VisionContext:
    """Algorithms 2 and 3: every class that is present, however small.

    The denominator of a class's share of a patch is all pixels of the patch, those without data too; that of a patch's
    share of a class is the class's pixels in the whole map (the paper's; the published script divides by the patch).

    Args:
        tile_id: the tile's ID.
        counts: pixels by patch and class id, shape (6, 12).
    """
    overall, *patches = _rows(counts)
    return VisionContext(
        tile_id=tile_id,
        patches=tuple(_decimal_patch(row, patch) for row, patch in enumerate(patches, start=1)),
        spreads=tuple(
            Spread(
                CLASS_NAMES[index],
                tuple(
                    Share(PATCH_NAMES[row], _decimals(patch[index], overall[index]))
                    for row, patch in enumerate(patches, start=1)
                ),
            )
            for index in _largest_first(overall)
        ),
    )


def _rows(counts: Counts) -> list[list[int]]:
    """Counts as Python's integers, which do not overflow on a large chip."""
    if counts.shape != (len(PATCHES), len(TOKENS)):
        raise ValueError(f"expected counts of shape {(len(PATCHES), len(TOKENS))}, got {counts.shape}")
    rows: list[list[int]] = counts.tolist()
    return rows


def _largest_first(row: list[int]) -> list[int]:
    """The class ids that are present, most pixels first; equal counts by id."""
    return [index for index in sorted(range(1, len(row)), key=row.__getitem__, reverse=True) if row[index]]


def _worded_patch(tile_id: str, row: int, counts: list[int], least: int, most: int) -> Patch:
    valid = sum(counts) - counts[NO_DATA]
    named = [index for index in _largest_first(counts) if counts[index] >= least][:most]
    return Patch(
        PATCH_NAMES[row],
        valid > 0,
        tuple(Share(CLASS_NAMES[index], _in_words(tile_id, row, index, counts[index], valid)) for index in named),
    )


def _in_words(tile_id: str, row: int, index: int, part: int, whole: int) -> str:
    # The tile's ID comes last: it is the only one of the three that can hold any character.
    digest = hashlib.sha256(f"{PATCHES[row]}/{TOKENS[index]}/{tile_id}".encode()).digest()
    noun = SIZE_NOUNS[int.from_bytes(digest[:8], "big") % len(SIZE_NOUNS)]
    return f"{_size_with_article(whole_percent(part, whole))} {noun}"


@cache
def _size_with_article(percent: int) -> str:
    size = lexicon().size(percent).name
    return f"{'an' if size[0] in 'aeiou' else 'a'} {size}"


def _decimal_patch(row: int, counts: list[int]) -> Patch:
    pixels = sum(counts)
    shares = tuple(Share(CLASS_NAMES[index], _decimals(counts[index], pixels)) for index in _largest_first(counts))
    return Patch(PATCH_NAMES[row], bool(shares), shares)


def _decimals(part: int, whole: int) -> str:
    percent = whole_percent(part, whole)
    return f"{percent // 100}.{percent % 100:02d}"
