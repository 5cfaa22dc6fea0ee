"""Classes that a sentence says are not there: "no visible water", "free of snow or ice", "moss is absent"."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.wording.marks import Mark
from tasks.wording.tokens import Tokens
from tasks.wording.vocabulary import Kind, grammar

_ENDS_A_LIST = (Kind.VERB, Kind.LEADS)
_AS_WELL = [[",", word, verb] for word in ("as", "so") for verb in ("is", "are")]
"""After a denial these go on with it: "water is absent, as are trees"."""
_MOST_STRANGE = 1
"""Words that are no fillers and may still stand between a denial and its class, or before the last of several."""

_LIST_END = 7
"""Words after a class within which the last of a list is looked for."""

_STOPS = (Kind.VERB, Kind.BREAK, Kind.REGION, Kind.LEADS, Kind.WITH, Kind.DENIES)


def deny(tokens: Tokens, marks: Sequence[Mark]) -> None:
    """Marks the classes of one sentence that it denies."""
    for at, mark in enumerate(marks):
        if mark.kind is Kind.DENIES:
            _deny_after(tokens, marks, at)
        elif mark.kind is Kind.DENIES_BEFORE:
            rest = tokens.words[mark.last + 1 : mark.last + 4]
            if not _deny_before(tokens, marks, at):
                _deny_after(tokens, marks, at)
            elif rest in _AS_WELL:
                _deny_after(tokens, marks, at + 2)


def _deny_after(tokens: Tokens, marks: Sequence[Mark], at: int) -> None:
    """Denies the classes that follow a denial, as a list."""
    strict = marks[at].meaning.how == "strict"
    is_noun = not {"absence", "lack"}.isdisjoint(tokens.words[marks[at].first : marks[at].last + 1])
    chain: list[Mark] = []
    end = marks[at].last
    for place in range(at + 1, len(marks)):
        mark = marks[place]
        if mark.mention is None:
            if mark.kind in _STOPS and not (mark.kind is Kind.VERB and _is_turned_round(tokens, marks[at], mark)):
                break
            continue
        gap = tokens.words[end + 1 : mark.first]
        if not chain:
            if _strange(gap) > (0 if strict else _MOST_STRANGE):
                return
        elif _strange(gap) > _MOST_STRANGE or not (is_noun or _goes_on(tokens, gap, marks, place)):
            break
        chain.append(mark)
        end = mark.last
    follows = next((mark for mark in marks[at + 1 :] if mark.first > end), None)
    if tokens.words[marks[at].first] in {"neither", "nor"} and follows is not None and follows.kind is Kind.LEADS:
        return  # "neither the trees nor the grass dominates": both are there
    for mark in chain:
        if mark.mention:
            mark.mention.denied = True


def _is_turned_round(tokens: Tokens, denial: Mark, verb: Mark) -> bool:
    """Whether a verb stands before its denied subject: "nor is any town to be seen"."""
    return tokens.words[denial.first] == "nor" and verb.first == denial.last + 1


def _goes_on(tokens: Tokens, gap: Sequence[str], marks: Sequence[Mark], place: int) -> bool:
    """Whether a list of denied classes goes on to a class, or something new begins there."""
    follows = marks[place + 1].kind if place + 1 < len(marks) else None
    if "or" in gap or "nor" in gap:
        return True
    if _strange(gap):
        # "no buildings, vehicles, trees or water": the end of the list tells that it is one.
        return gap[0] == gap[-1] == "," and "or" in tokens.words[marks[place].last + 1 : marks[place].last + _LIST_END]
    if "and" in gap:
        return follows not in _ENDS_A_LIST
    return "," not in gap or follows in (Kind.COMMA, Kind.AND)


def _deny_before(tokens: Tokens, marks: Sequence[Mark], at: int) -> bool:
    """Denies the classes before a denial, as a list; says whether there are any."""
    start = marks[at].first
    found = False
    for mark in reversed(marks[:at]):
        gap = tokens.words[mark.last + 1 : start]
        if mark.mention is None:
            if mark.kind is Kind.VERB and not found and len(gap) <= 2:
                start = mark.first
            elif mark.kind in _STOPS and tokens.words[mark.first] != ")":
                break
            continue
        if found and _strange(gap):
            break
        if not found and len(gap) > 3:
            break
        mark.mention.denied = found = True
        start = mark.first
    return found


def _strange(gap: Sequence[str]) -> int:
    """How many words are no fillers."""
    fillers = grammar().fillers
    return sum(word not in fillers for word in gap)
