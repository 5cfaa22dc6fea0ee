"""Classes that a sentence says are not there: "no visible water", "free of snow or ice", "moss is absent".

A denial takes the list that follows it, or, as a predicate, the list that is its subject. Where it stands apart from a
class ("nothing interrupts the forest"), that class is in doubt: neither there nor not.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tasks.wording.marks import Mark
from tasks.wording.regions import VAGUE
from tasks.wording.tokens import Tokens
from tasks.wording.vocabulary import Kind, grammar

_MOST_STRANGE = 1
"""Words that are no fillers and may still stand between a denial and its class, or before the last of several."""

_LIST_END = 7
"""Words after a class within which the last of a list is looked for."""

_LEADS_ON = frozenset({":", "—", "–"})
_EXCEPT = (["save", "for"], ["except", "for"], ["but", "for"], ["apart", "from"], ["aside", "from"])
_EXCEPTING = frozenset(first for first, _ in _EXCEPT)
_ALL = frozenset({"all", "every", "each", "everything", "both"})
_CLASSES = frozenset(
    {"classes", "covers", "class", "cover", "these", "those", "them", "others", "elements", "everything"}
)
_CLAUSE = 12
"""Words before an exception among which it may be said that it is one among classes."""

_EXAMPLES = frozenset(
    {("such", "as"), ("be", "it"), ("be", "they"), (",", "like"), (",", "including"), (",", "whether")}
)
"""What joins a denied noun to the classes that it stands for: "no vegetation, be it trees or grass"."""

_NOUNS = frozenset({"absence", "lack", "sign", "signs", "trace", "traces", "evidence", "hint", "presence"})
_SUBJECTS = frozenset({"no", "none", "nothing", "nowhere", "neither", "nor", "not"})
"""First words of denials that may be, or belong to, the subject of a verb: "no quarter has trees"."""

_STOPS = (Kind.VERB, Kind.BREAK, Kind.REGION, Kind.LEADS, Kind.WITH, Kind.DENIES)
_DENIALS = (Kind.DENIES, Kind.DENIES_BEFORE)


def deny(tokens: Tokens, marks: Sequence[Mark], first: int, end: int) -> None:
    """Marks the classes that a sentence, from its first token to before its end, denies or puts in doubt."""
    if any(mark.kind in _DENIALS for mark in marks):
        _deny_lists(tokens, marks)
        _deny_examples(tokens, marks)
    _doubt_exceptions(tokens, marks)
    if marks and not grammar().denial.isdisjoint(tokens.words[first:end]):
        _note_denials(tokens, marks, first, end)


def _deny_lists(tokens: Tokens, marks: Sequence[Mark]) -> None:
    """Denies the classes that are listed behind a denial or, as its subject, before it."""
    at = 0
    while at < len(marks):
        mark = marks[at]
        if mark.kind is Kind.DENIES_BEFORE:
            if not _deny_before(tokens, marks, at):
                _deny_after(tokens, marks, at)
        elif mark.kind is Kind.DENIES and (
            mark.meaning.how != "again" or any(other.mention and other.mention.denied for other in marks[:at])
        ):
            at = _deny_after(tokens, marks, at)
        at += 1


def _doubt_exceptions(tokens: Tokens, marks: Sequence[Mark]) -> None:
    """Puts in doubt what is an exception among classes: "nearly all of these covers come together, save for water"."""
    words = tokens.words
    if not marks or _EXCEPTING.isdisjoint(words[marks[0].first - 1 : marks[-1].last]):
        return
    for mark in marks:
        if mark.mention is None or words[mark.first - 2 : mark.first] not in _EXCEPT:
            continue
        clause = words[max(mark.first - _CLAUSE, 0) : mark.first - 2]
        if not _ALL.isdisjoint(clause) and not _CLASSES.isdisjoint(clause):
            mark.mention.doubted = True


def _note_denials(tokens: Tokens, marks: Sequence[Mark], start: int, end: int) -> None:
    """Notes which classes stand in one clause with a denial of any kind, however it is put."""
    words = tokens.words
    denying = {at for at in range(start, end) if words[at] in grammar().denial}
    for first, last, _ in grammar().affirming.found(words, start, end):
        if words[first : first + 2] != ["no", "other"]:
            denying.difference_update(range(first, last + 1))  # "not only trees"
    begins = [mark.first for place, mark in enumerate(marks) if _begins_a_clause(marks, place)]
    for begin, stop in pairwise((start, *begins, end)):
        if not denying.isdisjoint(range(begin, stop)):
            for mark in marks:
                if mark.mention and begin <= mark.first < stop:
                    mark.mention.by_a_denial = True


def _begins_a_clause(marks: Sequence[Mark], place: int) -> bool:
    """Whether a clause begins at a mark: a break, or a comma before a class and its verb."""
    if marks[place].kind is not Kind.COMMA:
        return marks[place].kind is Kind.BREAK
    rest = [one for one in marks[place + 1 :] if one.kind not in (Kind.SIZE, Kind.AND)][:2]
    return len(rest) == 2 and rest[0].mention is not None and rest[1].is_a_verb


def _deny_examples(tokens: Tokens, marks: Sequence[Mark]) -> None:
    """Denies what is listed of a denied noun that is no class: "vegetation is lacking, be it trees or grass"."""
    denied = False
    for place, mark in enumerate(marks):
        before = marks[place - 1].last if place else mark.first
        gap = tokens.words[before + 1 : mark.first]
        if mark.kind is Kind.BREAK or (mark.mention and not denied):
            return
        if mark.mention and (not _EXAMPLES.isdisjoint(pairwise(("", *gap))) or "whether" in gap):
            for listed in marks[place:]:
                if listed.kind in _STOPS:
                    return
                if listed.mention:
                    listed.mention.denied = True
            return
        if mark.mention:
            return
        denied = denied or mark.kind in _DENIALS


def _deny_after(tokens: Tokens, marks: Sequence[Mark], at: int) -> int:
    """Denies the classes that follow a denial, as a list; returns the last denial that is done with."""
    start = _object(tokens, marks, at)
    if start < 0:
        return _doubt(tokens, marks, at)
    strict = marks[at].meaning.how == "strict" and start == at
    is_noun = marks[at].meaning.how == "doubts" or not _NOUNS.isdisjoint(
        tokens.words[marks[at].first : marks[at].last + 1]
    )
    chain: list[Mark] = []
    end = marks[start].last
    for place in range(start + 1, len(marks)):
        mark = marks[place]
        if mark.mention is None:
            if mark.kind in _STOPS:
                break
            continue
        gap = tokens.words[end + 1 : mark.first]
        if not chain:
            if _strange(gap) > (0 if strict else _MOST_STRANGE) and _EXAMPLES.isdisjoint(pairwise(gap)):
                return _doubt(tokens, marks, at)
        elif "any" not in gap and (
            _strange(gap) > _MOST_STRANGE
            or not (is_noun or _goes_on(tokens, gap, marks, place) or (gap == ["and"] and _begins(marks, start, at)))
        ):
            break
        chain.append(mark)
        end = mark.last
    if tokens.words[marks[at].first] in {"neither", "nor"}:
        follows = next((mark for mark in marks[at + 1 :] if mark.kind not in (Kind.CLASS, Kind.DENIES)), None)
        if follows is not None and follows.kind is Kind.LEADS:
            chain = []  # "neither the trees nor the grass dominates": both are there
    for mark in chain:
        if mark.mention:
            mark.mention.denied = marks[at].meaning.how != "doubts"
            mark.mention.doubted = not mark.mention.denied
    return at


def _object(tokens: Tokens, marks: Sequence[Mark], at: int) -> int:
    """The mark after which the classes that a denial is about begin: itself, or the verb whose subject it denies.

    Returns:
        Below 0 where it denies something else: "no gap breaks the forest", "no quarter is without trees".
    """
    start = at
    for place in range(at + 1, len(marks)):
        mark = marks[place]
        if mark.mention is not None or mark.kind in (Kind.BREAK, Kind.WITH):
            break
        if mark.kind in _DENIALS:
            return -1
        if mark.kind is Kind.VERB:
            subject = tokens.words[marks[at].first] in _SUBJECTS
            if not subject or not grammar().holding.intersection(tokens.words[mark.first : mark.last + 1]):
                return -1
            start = place
        elif mark.kind is Kind.REGION:
            start = place
        elif mark.kind in (Kind.COMMA, Kind.LEADS) and start > at:
            return -1
    return start


def _doubt(tokens: Tokens, marks: Sequence[Mark], at: int) -> int:
    """Puts in doubt what follows a denial of something else in its clause; returns the last denial in there.

    What nothing parts is there: "no border divides trees and grass".
    """
    done = at
    for place in range(at + 1, len(marks)):
        mark = marks[place]
        if mark.kind in (Kind.BREAK, Kind.WITH) or (mark.kind is Kind.COMMA and not _is_in_a_list(marks, place)):
            break
        if mark.kind in _DENIALS:
            done = place
        elif mark.mention is not None:
            mark.mention.doubted = not any(grammar().partings.found(tokens.words, marks[at].last, mark.first))
    return done


def _begins(marks: Sequence[Mark], start: int, at: int) -> bool:
    """Whether a denial is part of the subject of its sentence: "no trees and crops are found"."""
    return start == at and not any(mark.is_a_verb for mark in marks[:at])


def _is_in_a_list(marks: Sequence[Mark], comma: int) -> bool:
    """Whether a comma stands between two classes of which the second is no subject of a verb."""
    rest = [mark for mark in marks[comma + 1 :] if mark.kind is not Kind.SIZE][:2]
    return (
        marks[comma - 1].mention is not None
        and bool(rest)
        and rest[0].mention is not None
        and not (len(rest) > 1 and rest[1].is_a_verb)
    )


def _goes_on(tokens: Tokens, gap: Sequence[str], marks: Sequence[Mark], place: int) -> bool:
    """Whether a list of denied classes goes on to a class, or something new begins there."""
    next_mark = marks[place + 1] if place + 1 < len(marks) else None
    follows = next_mark.kind if next_mark else None
    if "or" in gap or "nor" in gap:
        return True
    if _strange(gap):
        # "no buildings, vehicles, trees or water": the end of the list tells that it is one.
        return gap[0] == gap[-1] == "," and "or" in tokens.words[marks[place].last + 1 : marks[place].last + _LIST_END]
    if "and" in gap:
        return next_mark is None or not next_mark.is_a_verb
    return "," not in gap or follows in (Kind.COMMA, Kind.AND, Kind.ADDING)


def _deny_before(tokens: Tokens, marks: Sequence[Mark], at: int) -> bool:
    """Denies the classes that are the subject of a denial, as a list; says whether there are any.

    What stands before the verb of another clause ends the list; of that clause's own list ("the north holds trees, and
    water is absent") only what follows its last "and" is the subject.
    """
    chain: list[Mark] = []
    joins: list[Mark] = []
    of_them = tokens.words[marks[at].first] == "none"
    for mark in reversed(marks[:at]):
        if mark.mention is not None:
            chain.append(mark)
        elif of_them and tokens.words[mark.first] in _LEADS_ON:
            continue  # "trees, grass, crops: none of them occur"
        elif mark.kind in (Kind.AND, Kind.COMMA):
            joins.append(mark)
        elif mark.kind is Kind.VERB and not chain:
            joins = []
        elif mark.kind in _STOPS and tokens.words[mark.first] != ")" and mark.region != VAGUE:
            apart = mark.kind is Kind.WITH and _is_bare(tokens, marks[at])
            apart = apart or tokens.words[mark.first] == "including"
            if mark.kind not in (Kind.BREAK, Kind.REGION) and not apart:
                chain = [one for one in chain if one.first > _beginning(chain, joins)]
            break
    for mark in chain:
        if mark.mention:
            mark.mention.denied = True
    return bool(chain)


def _beginning(chain: Sequence[Mark], joins: Sequence[Mark]) -> int:
    """The last token before the subject of a denial, of the classes and joins behind another verb, the nearest first.

    It begins at the first "and" that has a comma before it, or no class before it ("growth is rare and trees, crops and
    snow are absent"); at the last one where there is none like this.
    """
    commas = {join.last for join in joins if join.kind is Kind.COMMA}
    ands = [join for join in joins if join.kind is Kind.AND]
    for join in reversed(ands):
        if join.first - 1 in commas or all(one.first > join.last for one in chain):
            return join.last
    return ands[0].last if ands else -1


def _is_bare(tokens: Tokens, denial: Mark) -> bool:
    """Whether a denial has no verb: "with trees and crops both missing"."""
    return {"is", "are", "was", "were", "being"}.isdisjoint(tokens.words[denial.first - 1 : denial.last + 1])


def _strange(gap: Sequence[str]) -> int:
    """How many words are no fillers."""
    fillers = grammar().fillers
    return sum(word not in fillers for word in gap)
