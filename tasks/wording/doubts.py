"""The other places that a class may be read to be in.

A sentence with several places can often be read in more than one way. Beside the place that `placing` prefers for a
class, the nearest places of its clause, before it and behind it, are noted; unless its words bind it to one place
surely, as in "trees are found in the north".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.wording.marks import Mark
from tasks.wording.phrasing import Phrasing
from tasks.wording.regions import VAGUE, Extent, Region
from tasks.wording.tokens import Tokens
from tasks.wording.vocabulary import JOINS, Kind, grammar

_RELATES = frozenset({"that", "who", "whom", "as", "than", "like", "whose"})
_AMONG = frozenset({"between", "among", "amongst", "amid", "amidst"})
_NEXT_TO = frozenset({"next", "to", "beside", "near", "alongside", "close", "adjacent"})
_STOPS = frozenset(".!?")
_PLAIN = frozenset({"most", "much", "not", "beside", "alongside", "accompanying", "joining"})


def read_otherwise(tokens: Tokens, marks: Sequence[Mark]) -> None:
    """Notes for each placed class of a sentence the other places that it could be in."""
    several = len([mark for mark in marks if mark.kind is Kind.REGION]) > 1
    phrasing = Phrasing(tokens, marks)
    for at, mark in enumerate(marks):
        mention = mark.mention
        if mention is None or mention.surely or mention.of_whole or mention.bracketed or mention.regions[0].adjective:
            continue
        if (
            _ends(tokens, marks, at)
            or _has_its_own_end(tokens, marks, at)
            or _is_next_to_what_is_there(tokens, marks, at)
        ):
            mention.regions = [VAGUE]
        if mention.regions == [VAGUE]:
            continue
        if not several or _is_the_only_subject(marks, at, mention.regions[-1]):
            continue
        if _goes_on_elsewhere(phrasing, at):
            continue
        bound = _bound(tokens, marks, at)
        if bound:
            mention.regions = [region for region in mention.regions if region in bound] or mention.regions
            continue
        if _is_sure(phrasing, at):
            continue
        claimed = {claim for region in mention.regions for claim in region.claims}
        for other in (*_before(phrasing, at), *_behind(phrasing, at)):
            if len(mention.regions) > 1 or not claimed.issuperset(other.claims):
                mention.otherwise.append(other)


def _ends(tokens: Tokens, marks: Sequence[Mark], at: int) -> bool:
    """Whether a class is said to end: "towards the north the trees come to an end"."""
    return grammar().partings.begins(tokens.words, marks[at].last + 1) is True


def _has_its_own_end(tokens: Tokens, marks: Sequence[Mark], at: int) -> bool:
    """Whether a class describes an end of the scene that is no phrase for a region: "a wooded north"."""
    after = marks[at].last + 1
    named = at + 1 < len(marks) and marks[at + 1].first == after
    return not named and not {"north", "south", "east", "west"}.isdisjoint(tokens.words[after : after + 1])


def _is_next_to_what_is_there(tokens: Tokens, marks: Sequence[Mark], at: int) -> bool:
    """Whether the next place is that of something beside a class: "fields, together with the village in the south"."""
    added = False
    for place in range(at + 1, len(marks) - 1):
        mark = marks[place]
        if mark.kind is Kind.ADDING and tokens.words[mark.first - 1] == ",":
            added = True
        elif mark.mention is not None:
            if not (added or mark.mention.beside) or marks[place + 1].kind is not Kind.REGION:
                return False
            if not added and _goes_along(tokens, marks[place - 1], mark):
                return False
            if not _AMONG.isdisjoint(tokens.words[marks[place - 1].last + 1 : mark.first]):
                return False
            gap = tokens.words[mark.last + 1 : marks[place + 1].first]
            gap = gap[1:] if gap[:1] and gap[0] not in _RELATES and gap[0].isalpha() else gap
            return grammar().opening.issuperset(gap) and marks[place + 1].region in marks[at].mention_regions
        elif mark.kind not in (Kind.VERB, Kind.SIZE, Kind.COMMA):
            return False
        else:
            added = added or tokens.words[marks[at].last + 1] == "that"
    return False


def _goes_along(tokens: Tokens, verb: Mark, mark: Mark) -> bool:
    """Whether a class is the object of a verb that does not go round it: "houses hug the shore in the south"."""
    gap = [word for word in tokens.words[verb.last + 1 : mark.first] if word not in _NEXT_TO]
    return verb.is_a_verb and tokens.words[verb.first] not in grammar().around and grammar().determiners.issuperset(gap)


def _is_the_only_subject(marks: Sequence[Mark], at: int, last: Region) -> bool:
    """Whether a class, the first of its clause, comes to its last place with no other class between."""
    for mark in reversed(marks[:at]):
        if mark.kind is Kind.BREAK:
            break
        if mark.mention is not None or mark.kind in (Kind.RELATIVE, Kind.REGION):
            return False
    for mark in marks[at + 1 :]:
        if mark.mention is not None or mark.kind in (Kind.BREAK, Kind.RELATIVE):
            return False
        if mark.region == last:
            return True
    return False


def _goes_on_elsewhere(phrasing: Phrasing, at: int) -> bool:
    """Whether a class with a place has one more: "fields in the south, with a few more plots in the west"."""
    marks = phrasing.marks
    for place in range(at + 1, len(marks)):
        if marks[place].kind is Kind.WITH and phrasing.tells_more_of_the_same(place):
            return marks[at].mention in phrasing.subjects(place)
        if marks[place].kind is Kind.BREAK:
            return False
    return False


def _bound(tokens: Tokens, marks: Sequence[Mark], at: int) -> list[Region]:
    """The places right behind a class, with nothing between but a verb, prepositions and the like.

    Where it is the subject of a verb, these are also the places behind further verbs.
    """
    found: list[Region] = []
    since, verb = marks[at].last + 1, False
    for mark in marks[at + 1 :]:
        if mark.kind is Kind.REGION:
            gap = tokens.words[since : mark.first]
            if not found and not verb and gap and gap[0].isalpha() and gap[0] not in _RELATES:
                gap = gap[1:]  # "grassy slopes in the south"
            if not verb and not all(_is_plain(word) or (found and word in {",", "and"}) for word in gap):
                break
            if mark.region is not None:
                found.append(mark.region)
            since = mark.last + 1
        elif mark.is_a_verb:
            if found and not verb:
                break
            if not found and not all(_is_plain(word) for word in tokens.words[since : mark.first]):
                break
            verb = verb or not found
            since = mark.last + 1
        elif mark.kind not in (Kind.SIZE, Kind.LEADS) and not (found and mark.kind in JOINS):
            break
    return found


def _is_sure(phrasing: Phrasing, at: int) -> bool:
    """Whether the nearest of a class's places is its own: hardly a caption means another one with such words.

    Neither a comma nor "and" stands between, but for the comma right behind a place in front, and there no other class
    does; of several places behind it, the first one may come after a comma and a verb, if the sentence ends.
    """
    tokens, marks = phrasing.tokens, phrasing.marks
    regions = marks[at].mention_regions
    _, end = tokens.sentence(marks[at].first)
    several = len(regions) > 1
    if several and tokens.words[end - 1] not in _STOPS:
        return False
    verb = join = named = False
    for place, mark in enumerate(marks[at + 1 :], at + 1):
        if mark.kind is Kind.REGION and mark.region in regions:
            if several and phrasing.is_on_a_way(place):
                return False
            of_another = named and "that" in tokens.words[marks[at].last + 1 : mark.first]
            return not of_another and (not join or (several and verb and not named))
        join = join or mark.kind in (*JOINS, Kind.BREAK)
        verb = verb or mark.is_a_verb
        named = named or mark.mention is not None
    comma: Mark | None = None
    for mark in reversed(marks[:at]):
        if mark.kind is Kind.REGION and mark.region in regions:
            return comma is None or comma.first == mark.last + 1
        parts = mark.kind in (Kind.AND, Kind.BREAK, Kind.WITH, Kind.ADDING)
        if parts or mark.mention is not None or comma is not None:
            return False
        comma = mark if mark.kind is Kind.COMMA else None
    return False


def _is_plain(word: str) -> bool:
    """Whether a word between a class and its place leaves no doubt that they belong together."""
    known = grammar()
    return word.endswith("ly") or any(word in words for words in (known.opening, known.shares, known.it, _PLAIN))


def _before(phrasing: Phrasing, at: int) -> Iterator[Region]:
    """The nearest place before a class, and one joined to it by "and"; up to a break or the start of its own clause."""
    marks = phrasing.marks
    before = next((mark for mark in reversed(marks[:at]) if mark.kind is not Kind.SIZE), None)
    if before is not None and before.kind in JOINS and _is_subject(marks, at) and _has_a_place_behind(marks, at):
        return
    found = joined = False
    for mark in reversed(marks[:at]):
        if mark.kind is Kind.BREAK or (found and mark.mention is not None):
            return
        joined = joined or (found and mark.kind is Kind.AND)
        region = mark.region
        if region is None or region.extent is not Extent.PLACED:
            continue
        if not phrasing.is_compared(mark) and not phrasing.is_left_out(mark):
            if joined or not found:
                yield region
            if found:
                return
            found = True


def _behind(phrasing: Phrasing, at: int) -> Iterator[Region]:
    """The nearest place behind a class, up to a break, "with", or a place in front of something new."""
    tokens, marks = phrasing.tokens, phrasing.marks
    join: Mark | None = None
    for place in range(at + 1, len(marks)):
        mark = marks[place]
        if mark.kind in (Kind.BREAK, Kind.WITH):
            return
        if mark.kind in JOINS:
            join = mark
            if not grammar().it.isdisjoint(tokens.words[mark.last + 1 : mark.last + 2]):
                return
        elif mark.kind is Kind.REGION:
            region = mark.region
            if region is None or region.extent is not Extent.PLACED:
                return
            if join is not None and _begins(tokens, marks, join, place):
                return
            if phrasing.preposition(mark.first) not in {"towards", "toward"}:
                yield region
            rest = marks[place + 1 : place + 3]
            if len(rest) < 2 or rest[0].kind not in JOINS or not rest[1].is_a_verb:
                return
        elif mark.mention is not None and join is not None and _begins_with(marks, place, join):
            return


def _begins_with(marks: Sequence[Mark], at: int, join: Mark) -> bool:
    """Whether something new begins with a class after a comma or "and": it has a verb, or is only beside something."""
    mention = marks[at].mention
    return _is_subject(marks, at) or (mention is not None and mention.beside and join.kind is Kind.COMMA)


def _begins(tokens: Tokens, marks: Sequence[Mark], join: Mark, place: int) -> bool:
    """Whether a place right after a comma or "and" stands in front of something new."""
    if not grammar().opening.issuperset(tokens.words[join.last + 1 : marks[place].first]):
        return False
    for mark in marks[place + 1 :]:
        if mark.mention is not None or mark.is_a_verb:
            return True
        if mark.kind in (Kind.BREAK, Kind.REGION):
            return False
    return False


def _has_a_place_behind(marks: Sequence[Mark], at: int) -> bool:
    """Whether a place comes behind a class and its verb in one clause."""
    for mark in marks[at + 1 :]:
        if mark.kind in (Kind.BREAK, Kind.RELATIVE, Kind.COMMA, Kind.AND):
            return False
        if mark.kind is Kind.REGION:
            return True
    return False


def _is_subject(marks: Sequence[Mark], at: int) -> bool:
    """Whether a verb follows a class: a clause of its own begins there."""
    follows = next((mark for mark in marks[at + 1 :] if mark.kind is not Kind.SIZE), None)
    return follows is not None and follows.is_a_verb
