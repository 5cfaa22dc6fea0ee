"""What is said in passing: places in brackets, and classes that are added to a place at the end of a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.wording.marks import Mark
from tasks.wording.regions import Extent
from tasks.wording.tokens import Tokens
from tasks.wording.vocabulary import Kind, grammar

_TAIL = frozenset({"as", "well", "too", "also", "."})
_ADDED = (Kind.CLASS, Kind.SIZE, Kind.COMMA, Kind.AND)


def without_brackets(tokens: Tokens, marks: Sequence[Mark]) -> Sequence[Mark]:
    """The marks without brackets that say where the class before them is: "water (in the north)"."""
    if "(" not in tokens.text:
        return marks
    rest: list[Mark] = []
    at = 0
    while at < len(marks):
        end = at + 1
        if tokens.words[marks[at].first] == "(" and rest and (mention := rest[-1].mention):
            while end < len(marks) and tokens.words[marks[end].first] != ")":
                end += 1
            inside = marks[at + 1 : end]
            regions = [mark.region for mark in inside if mark.region]
            if regions and not any(mark.mention for mark in inside):
                mention.regions = [region for region in regions if region.extent is not Extent.SAME]
                mention.bracketed = True
                at = end + 1
                continue
            end = at + 1
        rest += marks[at:end]
        at = end
    return rest


def place_additions(tokens: Tokens, marks: Sequence[Mark]) -> None:
    """Places what a sentence adds to its last place: "trees cover the north, with some grass"."""
    if not marks or marks[-1].mention is None:
        return
    at = next((at for at in range(len(marks) - 1, -1, -1) if marks[at].kind is Kind.REGION), -1)
    region = marks[at].region if at >= 0 else None
    rest = marks[at + 1 :]
    added = [mark for mark in rest if mark.mention is not None]
    if (
        region is None
        or region.adjective
        or region.extent is not Extent.PLACED
        or not added
        or rest[-1] is not added[-1]
    ):
        return
    _, end = tokens.sentence(marks[at].first)
    gap = [word for word in tokens.words[marks[at].last + 1 : added[0].first] if word not in {",", "is", "are"}]
    if gap[:1] != ["with"] and not (gap[1:2] == ["with"] and gap[0] in grammar().mixed):
        return
    plain = all(mark.kind in _ADDED or mark.first < added[0].first for mark in rest)
    if not plain or not grammar().placing.isdisjoint(tokens.words[marks[at].last + 1 : end]):
        return
    if _TAIL.issuperset(tokens.words[added[-1].last + 1 : end]):
        for mark in added:
            if mark.mention is not None and not mark.mention.regions:
                mark.mention.regions = [region]
