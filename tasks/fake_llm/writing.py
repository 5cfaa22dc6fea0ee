"""Captions that fit their tiles: sentences that name a tile's classes where the prompt says that they are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import product

from tasks.fake_llm.questions import Patch, Tile
from tasks.wording.lexicon import lexicon
from tasks.wording.prose import Draws

_MOST_OF_A_PATCH = 3

_OPENINGS = (
    "The scene is dominated by {first}.",
    "The most widespread class of the scene is {first}.",
    "The largest part of the scene belongs to {first}.",
)
_OTHERS = ("It also holds {others}.", "Beside it the land has {others}.", "To this it adds {others}.")
_PATCHES = (
    "The {patch} holds {amounts}.",
    "In the {patch} one finds {amounts}.",
    "The {patch} is made up of {amounts}.",
    "Towards the {patch} the land has {amounts}.",
)
_MIDDLES = (
    "The middle of the scene holds {amounts}.",
    "At the heart of it the middle shows {amounts}.",
)
_CLOSINGS = (
    "Overall, the scene reads as a landscape of {first}.",
    "Taken together, its main theme is the wide presence of {first}.",
    "As a whole, the land is marked above all by {first}.",
)
BLANK = "The scene holds no land cover of note, and nothing in it can be told apart from the rest of the ground."

Sentences = tuple[str, ...]
"""A caption as its sentences: the first names the leading class and the others, the last the leading class again."""


def describe(tile: Tile, draws: Draws) -> Sentences:
    """A caption that says what the prompt says of a tile."""
    if not tile.classes:
        return (BLANK,)
    patches = (_patch(patch, draws) for patch in tile.patches)
    return opening(tile.classes, draws), *patches, closing(tile.classes[0], draws)


def opening(classes: Sequence[int], draws: Draws) -> str:
    """Says which class leads and which others there are, largest first."""
    said = draws.of(_OPENINGS).format(first=name(classes[0], draws))
    others = [name(class_id, draws) for class_id in classes[1:]]
    return f"{said} {draws.of(_OTHERS).format(others=listed(others))}" if others else said


def closing(leader: int, draws: Draws) -> str:
    """Says which class leads, once more."""
    return draws.of(_CLOSINGS).format(first=name(leader, draws))


def name(class_id: int, draws: Draws) -> str:
    """One of the plain names of a class."""
    return draws.of(_names(class_id))


def listed(names: Sequence[str]) -> str:
    """Names in a row: a, b and c."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _patch(patch: Patch, draws: Draws) -> str:
    amounts = [draws.of(_amounts(class_id, percent)) for class_id, percent in patch.shares[:_MOST_OF_A_PATCH]]
    frames = _MIDDLES if patch.name == "middle" else _PATCHES
    return draws.of(frames).format(patch=patch.name, amounts=listed(amounts))


@cache
def _names(class_id: int) -> tuple[str, ...]:
    return tuple(noun.text for noun in lexicon().nouns(class_id).names if noun.number != "amount")


@cache
def _amounts(class_id: int, percent: int) -> tuple[str, ...]:
    """All that a share of a class can be called."""
    words = lexicon()
    names = [noun.text for noun in words.nouns(class_id).names if noun.number != "plural"]
    if percent < words.traces.below:
        return tuple(f"{trace} {noun}" for trace, noun in product(words.traces.phrases, names))
    sizes = words.size(percent).spoken
    return tuple(f"a {size} {portion} of {noun}" for size, portion, noun in product(sizes, words.portions, names))
