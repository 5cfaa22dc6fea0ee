"""Classes that share a place with what the sentence speaks of, before it goes on to another place, or ends.

"Grass lies in the south, next to a pond, and in the north" has the pond in the south alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from tasks.wording.marks import Mark
from tasks.wording.regions import Extent
from tasks.wording.tokens import Tokens
from tasks.wording.vocabulary import JOINS, Kind

_COMPANY = frozenset({"with", "by", "next", "beside", "alongside", "apart", "save", "except", "amid", "among", "near"})
"""Of the words between a place and what shares it, one is of these."""
_LISTING = (Kind.SIZE, *JOINS)
_BESIDE_IT = frozenset({"beside", "next", "to", "near", "alongside", "around", "by", "it", "them", "."})


def place_company(tokens: Tokens, marks: Sequence[Mark]) -> None:
    """Places what stands right behind a place, by words such as "with" or "next to"."""
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
    """The classes of a list that begins at a mark, where the sentence goes on behind it or ends; otherwise none."""
    listed: list[Mark] = []
    for place in range(at, len(marks)):
        mark = marks[place]
        if mark.mention is not None and not mark.mention.beside:
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
