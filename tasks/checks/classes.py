"""Checks of what a caption says of classes, against the tile's counts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from tasks.checks.facts import Facts
from tasks.checks.flags import Flag
from tasks.checks.settings import Settings
from tasks.landcover.classes import ID_OF_TOKEN, N_IDS
from tasks.wording.marks import Mention
from tasks.wording.reading import Reading
from tasks.wording.regions import Extent, Region

_TREE = ID_OF_TOKEN["tree"]
_MANGROVES = ID_OF_TOKEN["mangroves"]
_SIGN = re.compile(r"[;.!?]")
_LISTING = frozenset({"and", "or", "with", "alongside", "besides", "plus", "while", "whereas", ";", "."})


Named: TypeAlias = Sequence[tuple[Mention, int]]
"""The classes that a caption names as there: where it does, and the id that is meant."""


def named(reading: Reading, facts: Facts) -> Named:
    """The classes that a caption names as there. "Trees" that are the mangroves of their sentence are mangroves."""
    found = [(mention, facts.meant(mention.classes)) for mention in reading.mentions if not mention.denied]
    if facts.has(_TREE) or not facts.has(_MANGROVES):
        return found
    mangroves = [mention for mention, class_id in found if class_id == _MANGROVES]
    return [
        (mention, _MANGROVES if class_id == _TREE and _is_one_of(mention, mangroves, reading.tokens.text) else class_id)
        for mention, class_id in found
    ]


def absent_classes(said: Named, facts: Facts) -> Iterator[Flag]:
    """Classes that are named as there, in a clause that denies nothing, and have no pixel in the tile."""
    for mention, class_id in said:
        if not (mention.doubted or mention.by_a_denial or facts.has(class_id)):
            yield Flag("absent-class", *mention.span, class_id)


def empty_regions(said: Named, facts: Facts) -> Iterator[Flag]:
    """Classes that are placed in a region in all of whose patches they have no pixel."""
    for mention, class_id in said:
        if facts.is_somewhere_only(class_id) and _is_misplaced(mention, class_id, facts):
            yield Flag("region-empty", *mention.span, class_id)


def wrong_dominants(reading: Reading, facts: Facts, settings: Settings) -> Iterator[Flag]:
    """Classes that are called dominant and trail the largest clearly; of several together, one that leads is enough."""
    for leading in reading.leading:
        may_lead = [class_id for mention in leading.mentions for class_id in mention.classes if facts.has(class_id)]
        if all(facts.trails(class_id, settings.dominant_trails, leading.on_land) for class_id in may_lead):
            for class_id in (facts.meant(mention.classes) for mention in leading.mentions):
                if facts.has(class_id):
                    yield Flag("wrong-dominant", *leading.span, class_id)


def missing_classes(reading: Reading, said: Named, facts: Facts, settings: Settings) -> Iterator[Flag]:
    """The dominant class, and every other of a share that must be named, where it is not named.

    What is denied in one region only is named: it is somewhere else.
    """
    text = reading.tokens.text
    there = {class_id for _, class_id in said}
    if all(class_id in there for class_id in range(1, N_IDS) if facts.has(class_id)):
        return
    there |= reading.hints()
    there |= {facts.meant(mention.classes) for mention in reading.mentions if mention.denied and not mention.of_whole}
    for class_id in range(1, N_IDS):
        if class_id in there or not facts.has(class_id):
            continue
        if class_id == facts.dominant:
            yield Flag("dominant-missing", 0, len(text), class_id)
        elif facts.is_at_least(class_id, settings.must_be_named):
            yield Flag("class-missing", 0, len(text), class_id)


def wrong_sizes(said: Named, facts: Facts, settings: Settings) -> Iterator[Flag]:
    """Sizes that are out of step with the share of their class, wherever it could be read to be placed."""
    for mention, class_id in said:
        if mention.size is None or not facts.has(class_id) or _is_misplaced(mention, class_id, facts):
            continue
        percents = [percent for rows in _rows(mention) for percent in facts.percents(class_id, rows)]
        least, most = settings.sizes[mention.size]
        if percents and not any(least <= percent <= most for percent in percents):
            yield Flag("size-word", *mention.size_span, class_id)


def _is_misplaced(mention: Mention, class_id: int, facts: Facts) -> bool:
    """Whether a class has no pixel in a place where it is said to be, and in none where it could be said to be."""
    if mention.beside or mention.doubted or mention.in_closing:
        return False
    for region in mention.regions:
        if region.extent is Extent.PLACED and not _is_in(region, class_id, facts):
            return not any(_is_in(other, class_id, facts) for other in mention.otherwise)
    return False


def _is_in(region: Region, class_id: int, facts: Facts) -> bool:
    """Whether a class has pixels in each place that a region claims."""
    return all(facts.in_any(class_id, rows) for rows in region.claims)


def _rows(mention: Mention) -> Sequence[tuple[int, ...]]:
    """The places that a mention could be read to be in; the whole where it is in none, nothing where that is vague."""
    if mention.of_whole:
        return [(0,)]
    if any(region.extent is not Extent.PLACED for region in mention.regions):
        return []
    whole = [(0,)] if mention.in_closing else []
    return whole + [rows for region in (*mention.regions, *mention.otherwise) for rows in region.claims]


def _is_one_of(tree: Mention, mangroves: Sequence[Mention], text: str) -> bool:
    """Whether "trees" speaks of mangroves: of one sentence, and not listed beside them."""
    for other in mangroves:
        (_, end), (start, _) = sorted((other.span, tree.span))
        between = _SIGN.sub(r" \g<0> ", text[end:start].lower()).split()
        if between and between != [","] and _LISTING.isdisjoint(between):
            return True
    return False
