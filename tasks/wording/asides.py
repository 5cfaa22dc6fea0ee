"""What is said in passing: places in brackets, and classes that are added to a place at the end of a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.wording.marks import Mark
from tasks.wording.regions import Extent
from tasks.wording.tokens import Tokens
from tasks.wording.vocabulary import Kind, grammar

_TAIL = frozenset({"as", "well", "too", "also", "."})
_LISTED = (Kind.CLASS, Kind.SIZE, Kind.COMMA, Kind.AND)


def without_brackets(tokens: Tokens, marks: Sequence[Mark]) -> Sequence[Mark]:
    """The marks without brackets that say where the class before them is: "water (in the north)"."""
    rest: list[Mark] = []
    at = 0
    while at < len(marks):
        end = at + 1
        if tokens.words[marks[at].first] == "(" and rest and (mention := rest[-1].mention):
            while end < len(marks) and tokens.words[marks[end].first] != ")":
                end += 1
            inside = marks[at + 1 : end]
            regions = [mark.meaning.region for mark in inside if mark.meaning.region]
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
    """Places what is added to a place by "with" and nothing more: "trees cover the north, with some grass"."""
    at = next((at for at in range(len(marks) - 1, 0, -1) if marks[at].kind not in _LISTED), 0)
    if at == 0 or marks[at].kind is not Kind.WITH or marks[-1].mention is None:
        return
    before = marks[at - 2 if at > 1 and marks[at - 1].kind is Kind.COMMA else at - 1]
    region = before.meaning.region
    start, end = marks[at].first, next(end for first, end in tokens.sentences if first <= marks[at].first < end)
    words = tokens.words[start + 1 : end]
    if (
        region is None
        or region.adjective
        or region.extent is not Extent.PLACED
        or not grammar().placing.isdisjoint(words)
    ):
        return
    if before.last + 2 < start or not _TAIL.issuperset(tokens.words[marks[-1].last + 1 : end]):
        return
    for mark in marks[at:]:
        if mark.mention is not None and not mark.mention.regions:
            mark.mention.regions = [region]
