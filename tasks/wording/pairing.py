"""Two lists that are told off against each other: "trees and grass in the north and the south, respectively"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.wording.marks import Mark, Mention
from tasks.wording.regions import VAGUE, Extent, Region
from tasks.wording.tokens import Tokens
from tasks.wording.vocabulary import JOINS, Kind, Meaning, grammar

_ORDINALS = (("first", "former"), ("second", "latter"))
_ORDINAL_WORDS = frozenset(word for words in _ORDINALS for word in words)
_PAIRING = frozenset({"respectively", "each"})


def pair(tokens: Tokens, marks: Sequence[Mark]) -> None:
    """Places the classes of a sentence with "respectively"; where the lists are not of one length, nowhere.

    Nor are those of "snow and moss each lie in one corner, the upper left and the upper right".
    """
    if not marks or _PAIRING.isdisjoint(tokens.words):
        return
    if any(mark.mention and tokens.words[mark.last + 1 : mark.last + 2] == ["each"] for mark in marks):
        if any(len(places) > 1 for places in _lists(tokens, marks)):
            for mark in marks:
                _place_nowhere(mark.mention)
        return
    within = range(marks[0].first, marks[-1].last + 4)
    at = next((at for at in within if tokens.words[at : at + 1] == ["respectively"]), None)
    if at is None:
        return
    lists = [places for places in _lists(tokens, marks) if len(places) > 1]
    placed = [mark for mark in marks if mark.mention and any(r.extent is Extent.PLACED for r in mark.mention.regions)]
    before = [mark.mention for mark in marks if mark.mention and mark.last < at]
    after = [mark.mention for mark in marks if mark.mention and mark.first > at]
    for places in lists[-1:]:
        count = len(places)
        paired = before[-count:] if len(before) >= count else after[:count] if not before else []
        if len(lists) == 1 and len(paired) == count:
            for mention, region in zip(paired, places, strict=True):
                mention.regions, mention.otherwise = [region], []
            return
        for mark in placed:
            _place_nowhere(mark.mention)


def with_ordinals(tokens: Tokens, marks: Sequence[Mark]) -> list[Mark]:
    """The marks with "the first" and "the second" as the regions that they stand for: a list of two before."""
    rest = list(marks)
    if not marks or _ORDINAL_WORDS.isdisjoint(tokens.words[marks[0].last : marks[-1].last + 1]):
        return rest
    pairs = [places for places in _lists(tokens, marks) if len(places) == 2]
    if not pairs:
        return rest
    for region, names in zip(pairs[0], _ORDINALS, strict=True):
        for at, mark in enumerate(rest[:-1]):
            start = mark.last + 1
            if mark.kind not in (Kind.BREAK, *JOINS) or tokens.words[start] != "the":
                continue
            if tokens.words[start + 1] not in names or rest[at + 1].kind in (Kind.LEADS,):
                continue
            if rest[at + 1].first == start:
                del rest[at + 1]
            rest.insert(at + 1, Mark(start, start + 1, Meaning(Kind.REGION, region=region), Kind.REGION, region=region))
            break
        else:
            return list(marks)
    return rest


def _lists(tokens: Tokens, marks: Sequence[Mark]) -> Iterator[list[Region]]:
    """Regions of which one claim each follows the other in one list."""
    run: list[Region] = []
    end = -1
    for mark in marks:
        region = mark.region
        if mark.kind is Kind.REGION and region is not None and region.extent is Extent.PLACED:
            gap = tokens.words[end + 1 : mark.first] if run else []
            if not all(word in grammar().opening or word in {",", "and"} for word in gap):
                yield run
                run = []
            run += (Region(Extent.PLACED, (claim,)) for claim in region.claims)
            end = mark.last
        elif mark.kind not in JOINS and run:
            yield run
            run = []
    if run:
        yield run


def _place_nowhere(mention: Mention | None) -> None:
    if mention is not None:
        mention.regions = [VAGUE]
