"""What is said in passing: places in brackets, and classes that are added to a place at the end of a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.wording.marks import Mark
from tasks.wording.regions import Extent
from tasks.wording.tokens import Tokens
from tasks.wording.vocabulary import JOINS, Kind, grammar

_TAIL = frozenset({"as", "well", "too", "also", "."})
_COMPANY = frozenset(
    {
        "with",
        "by",
        "next",
        "beside",
        "alongside",
        "apart",
        "save",
        "except",
        "amid",
        "among",
        "besides",
        "aside",
        "near",
    }
)
"""Of the words between a place and what shares it, one is of these."""
_BESIDE_IT = frozenset({"beside", "next", "to", "near", "alongside", "around", "by", "it", "them", "."})
_ADDED = (Kind.CLASS, Kind.SIZE, Kind.COMMA, Kind.AND)
_LISTING = (Kind.SIZE, *JOINS)


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


def place_company(tokens: Tokens, marks: Sequence[Mark]) -> None:
    """Places what shares a place, where a sentence goes on to another: "in the south, by a pond, and in the north"."""
    for at, mark in enumerate(marks):
        region = mark.region
        if region is None or region.adjective or region.extent is not Extent.PLACED:
            continue
        if at > 1 and marks[at - 1].kind in JOINS and marks[at - 2].kind is Kind.REGION:
            continue  # of two places, which one it is in is not said
        company = _company(tokens, marks, at + 1)
        gap = tokens.words[mark.last + 1 : company[0].first] if company else []
        if _COMPANY.isdisjoint(gap) and not any(word.endswith("ing") for word in gap):
            continue
        for other in company:
            if other.mention is not None:
                other.mention.regions, other.mention.surely = [region], True


def _company(tokens: Tokens, marks: Sequence[Mark], at: int) -> list[Mark]:
    """The classes of a list that begins at a mark and ends where the sentence goes on; or none."""
    listed: list[Mark] = []
    for place in range(at, len(marks)):
        mark = marks[place]
        if mark.mention is not None:
            listed.append(mark)
        elif listed and _ends_the_list(tokens, marks, place) and _goes_on(marks, place):
            return listed
        elif mark.kind not in (_LISTING if listed else (*_LISTING, Kind.WITH, Kind.ADDING, Kind.VERB)):
            described = mark.kind is Kind.WITH and place + 1 < len(marks) and marks[place + 1].kind in JOINS
            if not described:  # "a pond with a compact outline"
                return []
    return listed if listed and _is_the_end(tokens, listed[-1]) else []


def _is_the_end(tokens: Tokens, last: Mark) -> bool:
    """Whether a sentence ends with a class and what it is next to: ", with trees beside it"."""
    _, end = tokens.sentence(last.first)
    rest = tokens.words[last.last + 1 : end]
    return len(rest) > 1 and _BESIDE_IT.issuperset(rest)


def _ends_the_list(tokens: Tokens, marks: Sequence[Mark], at: int) -> bool:
    """Whether a mark is "and", or a comma before a participle: ", ranking third in the south"."""
    follows = "".join(tokens.words[marks[at].last + 1 : marks[at].last + 2])
    return marks[at].kind is Kind.AND or (marks[at].kind is Kind.COMMA and follows.endswith("ing"))


def _goes_on(marks: Sequence[Mark], at: int) -> bool:
    """Whether a place comes before any class, or, behind a comma, a class and its verb."""
    for place in range(at + 1, len(marks)):
        mark = marks[place]
        if mark.kind is Kind.REGION:
            return True
        if mark.mention is not None:
            return marks[at - 1].kind is Kind.COMMA and place + 1 < len(marks) and marks[place + 1].is_a_verb
        if mark.kind not in (Kind.VERB, Kind.SIZE, Kind.ADDING, Kind.LEADS):
            return False
    return False
