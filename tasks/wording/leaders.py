"""Which classes a sentence calls dominant in the whole tile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tasks.wording.lexicon import lexicon
from tasks.wording.marks import Mark, Mention
from tasks.wording.phrasing import Phrasing
from tasks.wording.regions import Extent
from tasks.wording.tokens import Tokens
from tasks.wording.vocabulary import Kind, grammar

_BACK = 3
"""Words before a leading word among which one may take its lead away."""

_THROUGH = 1
"""Words that are not in `how_through` and may still stand between "mostly" and its class."""

_CLOSING = 6
"""From a leading word on, so many words in which a part of the scene may be spoken of."""

_THAT = frozenset({"that", "which"})
_NONE = frozenset({"no", "nothing", "none"})
_FAR = 6
"""Words before the first phrase of a sentence among which it may be said that nothing equals a class."""

_OTHERS = frozenset({"other", "others", "another", "several", "various"})
_THEME = frozenset({"this", "scene", "image", "tile", "here", "therefore", "thus", "then", "clearly"})
"""What may stand between "main theme" and its class beside the words of grammar.yaml."""
_LIVES = frozenset({"living", "life", "lifestyle"})


@dataclass(frozen=True, slots=True)
class Leading:
    """Classes that are called dominant in the whole tile, one or several together.

    Attributes:
        mentions: the classes.
        span: where this is said.
        on_land: whether it is only said of the land, of which water is no part.
    """

    mentions: tuple[Mention, ...]
    span: tuple[int, int]
    on_land: bool = False


def leaders(tokens: Tokens, marks: Sequence[Mark]) -> Iterator[Leading]:
    """What one sentence, whose classes are placed, calls dominant in the whole tile."""
    for at, mark in enumerate(marks):
        if mark.kind is not Kind.LEADS or _is_taken_away(tokens, marks, at):
            continue
        how = mark.meaning.how
        if how == "partitive" and not _is_of_the_scene(tokens, mark):
            continue
        group = _group(tokens, marks, at, how)
        if (
            group
            and not any(mention.denied for mention in group)
            and (
                all(mention.of_whole or mention.aside for mention in group)
                or _is_said_at_first(tokens, marks, at)
                or (_names_the_scene(tokens, mark) and not _stands_in_a_place(marks, group))
            )
            and not _is_local(marks, at)
            and not _is_where(marks, at)
            and (_is_of_the_land(tokens, mark) or not _is_of_a_part(tokens, marks, at))
        ):
            yield Leading(tuple(group), tokens.span(mark.first, mark.last), _is_of_the_land(tokens, mark))
    yield from _unequalled(tokens, marks)


def _unequalled(tokens: Tokens, marks: Sequence[Mark]) -> Iterator[Leading]:
    """What no other class equals: "no class claims more of this view than the lake"."""
    words = tokens.words
    if not marks or _NONE.isdisjoint(words[max(marks[0].first - _FAR, 0) : marks[-1].first]):
        return
    start, _ = tokens.sentence(marks[0].first)
    for at, mark in enumerate(marks):
        if mark.kind is Kind.REGION:
            return
        if mark.mention is None:
            start = mark.last + 1 if mark.kind in (Kind.BREAK, Kind.COMMA) else start
            continue
        gap = words[start : mark.first]
        none = next((place for place, word in enumerate(gap) if word in _NONE), None)
        if (
            none is not None
            and {"than", "as"} & set(gap[-4:])
            and not grammar().more.isdisjoint(gap)
            and (gap[none] == "nothing" or not grammar().class_nouns.isdisjoint(gap[none : none + 4]))
        ):
            mark.mention.denied = False
            if (mark.mention.of_whole or mark.mention.beside) and not _is_local(marks, at):
                yield Leading((mark.mention,), (tokens.starts[start], tokens.ends[mark.last]))
        return


def _stands_in_a_place(marks: Sequence[Mark], group: Sequence[Mention]) -> bool:
    """Whether a place comes before the first of some classes: "in the north, trees ..."."""
    for mark in marks:
        if mark.kind is Kind.REGION and mark.region and mark.region.extent is not Extent.WHOLE:
            return True
        if mark.mention in group:
            return False
    return False


def _is_said_at_first(tokens: Tokens, marks: Sequence[Mark], at: int) -> bool:
    """Whether places only come in what is added: "snow is the dominant class, found in the north"."""
    if tokens.words[marks[0].first - 1 : marks[0].first] and tokens.words[marks[0].first - 1] in grammar().it:
        return False
    if any(mark.kind is Kind.REGION for mark in marks[:at]):
        return False
    added = False
    phrasing = Phrasing(tokens, marks)
    for place, mark in enumerate(marks[at + 1 :], start=at + 1):
        if mark.kind is Kind.REGION:
            return added and (phrasing.has_preposition(mark.first) or not phrasing.is_described_before(place))
        follows = marks[place + 1] if place + 1 < len(marks) else None
        verb = follows is not None and follows.is_a_verb and follows.first == mark.last + 1
        region = follows is not None and follows.kind is Kind.REGION and mark.kind is Kind.COMMA
        added = added or mark.kind is Kind.BREAK or (mark.kind in (Kind.COMMA, Kind.AND) and (verb or region))
    return True


def _names_the_scene(tokens: Tokens, mark: Mark) -> bool:
    """Whether the scene comes right after a lead: "the dominant class of this tile", "dominate the scene"."""
    if mark.meaning.how == "verbs":
        begins = mark.last + 2
        the = tokens.words[mark.last + 1 : begins] in (["the"], ["this"])
        return the and any(first == begins for first, _, _ in grammar().scene.found(tokens.words, begins, begins + 1))
    rest = tokens.words[mark.last + 1 : mark.last + 7]
    if mark.meaning.how != "named" or "of" not in rest:
        return False
    if not grammar().class_nouns.issuperset(rest[: rest.index("of")]):
        return False
    begins = rest.index("of") + 2
    return any(first == begins for first, _, _ in grammar().scene.found(rest, begins))


def _is_of_the_land(tokens: Tokens, mark: Mark) -> bool:
    """Whether it is a lead in the land: "most of the land is wooded"."""
    rest = [word for word in tokens.words[mark.last + 1 : mark.last + 4] if word not in {"of", "the", "dry"}]
    return mark.meaning.how == "partitive" and rest[:1] == ["land"]


def _is_taken_away(tokens: Tokens, marks: Sequence[Mark], at: int) -> bool:
    """Whether a word before it says that it does not lead: "the second most common"."""
    first = marks[at].first
    start = max(first - _BACK, marks[at - 1].last + 1 if at and marks[at - 1].kind is not Kind.DENIES else 0)
    return not grammar().leads_not.isdisjoint(tokens.words[start:first])


def _is_of_the_scene(tokens: Tokens, mark: Mark) -> bool:
    """Whether the scene comes after "most of", or nothing: "trees take the largest share"."""
    words = tokens.words
    at = mark.last + 1
    if at < len(words) and words[at] == "of":
        at += 1
    while at < len(words) and words[at] in {"the", "this", "its", "entire", "whole", "all"}:
        at += 1
    if words[at - 1 : at + 1] == ["this", "land"]:
        return False
    if any(first == at for first, _, _ in grammar().scene.found(words, at, min(at + 3, len(words)))):
        return True
    if words[at : at + 1] in (["classes"], ["covers"]):
        return True
    return at == mark.last + 1 and words[mark.last] != "of"


def _is_local(marks: Sequence[Mark], at: int) -> bool:
    """Whether the lead itself is placed: "trees dominate in the south", "where trees dominate"."""
    for mark in marks[at + 1 : at + 3]:
        if mark.kind is Kind.REGION and mark.region is not None:
            return mark.region.extent not in (Extent.WHOLE, Extent.SAME)
        if mark.kind in (Kind.COMMA, Kind.BREAK, Kind.WITH, Kind.AND):
            return False
    return False


def _is_where(marks: Sequence[Mark], at: int) -> bool:
    """Whether a lead stands in a clause about a place: "the north, in which grass holds the largest part"."""
    relative = False
    for mark in reversed(marks[:at]):
        if mark.kind is Kind.BREAK:
            return False
        relative = relative or (mark.kind is Kind.RELATIVE and mark.last > mark.first)
        if relative and mark.region is not None and mark.region.extent is Extent.PLACED:
            return True
    return False


def _is_of_a_part(tokens: Tokens, marks: Sequence[Mark], at: int) -> bool:
    """Whether it is not the scene that is led: "on land, trees dominate", "trees dominate the shore"."""
    mark = marks[at]
    start = next((other.last + 1 for other in reversed(marks[:at]) if other.kind is Kind.BREAK), None)
    if start is None:
        start, _ = tokens.sentence(mark.first)
    end = min(mark.last + _CLOSING, len(tokens.words))
    if any(True for _ in grammar().leads_part.found(tokens.words, start, end)):
        return True
    if tokens.words[start : start + 1] == ["there"] and tokens.words[start + 1 : start + 2] not in (["is"], ["are"]):
        return True  # "..., but there grass is the main cover"
    follows = marks[at + 1] if at + 1 < len(marks) else None
    if mark.meaning.how != "verbs" or follows is None or follows.mention is None:
        return False
    gap = tokens.words[mark.last + 1 : follows.first]
    rest = tokens.words[follows.last + 1 : follows.last + 2]
    named = any(True for _ in grammar().scene.found(rest))
    return bool(gap) and grammar().determiners.issuperset(gap) and not named


def _group(tokens: Tokens, marks: Sequence[Mark], at: int, how: str) -> list[Mention]:
    """The classes that lead by the leading word at a place among the marks."""
    if how == "by":
        return [] if _has_subject(marks, at) or _has_a_part_as_subject(tokens, marks, at) else _after(tokens, marks, at)
    if how == "how":
        return _of_the_whole(tokens, marks, at)
    if how == "theme":
        return _as_theme(tokens, marks, at)
    before = _before(tokens, marks, at)
    if how == "verbs":
        return before or (_after(tokens, marks, at) if tokens.words[marks[at].first].endswith("ing") else [])
    if _is_said_of_the_next(marks, at, how) or _says_which(tokens, marks, at):
        return _after(tokens, marks, at)
    return before or _after(tokens, marks, at)


def _is_said_of_the_next(marks: Sequence[Mark], at: int, how: str) -> bool:
    """Whether a leading word is the adjective of a class: "the dominant tree cover"."""
    follows = marks[at + 1] if at + 1 < len(marks) else None
    return how == "named" and follows is not None and bool(follows.mention) and follows.first <= marks[at].last + 2


def _as_theme(tokens: Tokens, marks: Sequence[Mark], at: int) -> list[Mention]:
    """The only class after "the main theme is", where hardly anything stands between."""
    rest = [mark for mark in marks[at + 1 :] if mark.mention]
    known = grammar().how_through | grammar().fillers | _THEME
    plain = len(rest) == 1 and known.issuperset(tokens.words[marks[at].last + 1 : rest[0].first])
    no_scene = grammar().part_nouns | lexicon().shores | _LIVES
    follows = tokens.words[rest[0].last : rest[0].last + 2] if rest else []
    if not no_scene.isdisjoint(follows):
        return []  # "a cultivated corner in a dry land", "a mangrove coast", "suburban living"
    return [mark.mention for mark in rest if mark.mention] if plain else []


def _has_subject(marks: Sequence[Mark], at: int) -> bool:
    """Whether it is a class that "is dominated by": the coast is, and not the scene."""
    if at < 2 or marks[at - 1].kind is not Kind.VERB:
        return False
    # "The coast is": in "the coastal marsh landscape is" the landscape is the subject.
    return marks[at - 2].mention is not None and marks[at - 2].last + 1 == marks[at - 1].first


def _has_a_part_as_subject(tokens: Tokens, marks: Sequence[Mark], at: int) -> bool:
    """Whether the noun before the verb is a part of the scene: "the headland is mostly forest"."""
    verb = marks[at - 1] if at else None
    if verb is None or verb.kind is not Kind.VERB or verb.last + 1 != marks[at].first or verb.first == 0:
        return False
    return tokens.words[verb.first - 1] in grammar().part_nouns


def _says_which(tokens: Tokens, marks: Sequence[Mark], at: int) -> bool:
    """Whether a class comes after a verb that follows at once: "the dominant class here is trees"."""
    rest = marks[at + 1 : at + 3]
    if len(rest) < 2 or rest[0].kind is not Kind.VERB or rest[1].mention is None:
        return False
    return not {",", "and"} & set(tokens.words[marks[at].last + 1 : rest[1].first])


def _after(tokens: Tokens, marks: Sequence[Mark], at: int) -> list[Mention]:
    """The next class, and those listed with it."""
    group: list[Mention] = []
    end = 0
    for place, mark in enumerate(marks[at + 1 :], start=at + 1):
        if group and mark.mention is not None and [one.is_a_verb for one in marks[place + 1 : place + 2]] == [True]:
            break  # "..., and grass is found in the south"
        if mark.mention is None:
            if mark.kind in (Kind.BREAK, Kind.WITH, Kind.DENIES, Kind.LEADS) or (
                group and mark.kind in (Kind.VERB, Kind.REGION)
            ):
                break
            continue
        if group and not _is_listed(tokens, end, mark.first):
            break
        if not group and not _OTHERS.isdisjoint(tokens.words[marks[at].last + 1 : mark.first]):
            break  # "most of the scene belongs to other classes, such as"
        group.append(mark.mention)
        end = mark.last
    return group


def _before(tokens: Tokens, marks: Sequence[Mark], at: int) -> list[Mention]:
    """The class before, and those listed with it."""
    group: list[Mention] = []
    start = 0
    resumed = False
    for place in range(at - 1, -1, -1):
        mark = marks[place]
        if mark.mention is None:
            resumed = resumed or mark.kind is Kind.AND
            if mark.kind in (Kind.BREAK, Kind.DENIES) or (group and mark.kind in (Kind.VERB, Kind.REGION, Kind.WITH)):
                break
            if not group and mark.kind is Kind.REGION and _is_in_passing(marks, at, mark):
                continue
            if not group and (mark.kind is Kind.REGION or (mark.kind is Kind.AND and not _goes_on(marks, at, mark))):
                break
            if not group and mark.kind is Kind.WITH and mark.last + _BACK < marks[at].first:
                break  # but "shrubs, with more than half of the scene"
            continue
        if group and not _is_listed(tokens, mark.last, start):
            break
        if not group and resumed and _is_an_object(marks, place):
            continue  # "trees surround the lake and cover most of the scene"
        group.insert(0, mark.mention)
        start = mark.first
    return _without_what_it_is_with(tokens, marks, at, group)


def _is_an_object(marks: Sequence[Mark], place: int) -> bool:
    """Whether a class is the object of a verb of which another class is the subject."""
    before = [mark for mark in marks[:place] if mark.kind is not Kind.SIZE][-2:]
    return len(before) == 2 and before[1].is_a_verb and before[0].mention is not None


def _without_what_it_is_with(tokens: Tokens, marks: Sequence[Mark], at: int, group: list[Mention]) -> list[Mention]:
    """The subject before "with", where a group comes after it: "a forest dotted with villages dominates the scene"."""
    first = next((place for place, mark in enumerate(marks[:at]) if mark.mention in group), 0)
    verbs = [tokens.words[mark.first] for mark in marks[first : at + 1] if mark.is_a_verb]
    if not first or all(verb.endswith("ing") for verb in verbs):
        return group  # "with trees dominating", "with trees as the largest class"
    subject = next((mark for mark in reversed(marks[:first]) if mark.mention or mark.kind is Kind.BREAK), None)
    last = next(mark.last for mark in reversed(marks[:at]) if mark.mention in group)
    behind = tokens.words[last + 1 : marks[at].first]
    if subject is None or subject.mention is None or not _THAT.isdisjoint(behind):
        return group  # "with trees that dominate"
    gap = tokens.words[subject.last + 1 : marks[first].first]
    with_it = "with" in gap and _THAT.isdisjoint(gap) and ("," not in gap or "," in behind)
    return [subject.mention] if with_it else group


def _is_in_passing(marks: Sequence[Mark], at: int, region: Mark) -> bool:
    """Whether a place stands between commas, before the verb: "trees, found in the north, dominate the scene"."""
    between = [mark for mark in marks[:at] if mark.first > region.last]
    return [mark.kind for mark in between[:1]] == [Kind.COMMA] and all(mark.is_a_verb for mark in between[1:])


def _goes_on(marks: Sequence[Mark], at: int, join: Mark) -> bool:
    """Whether "and" joins a leading verb to another of its subject: "trees surround it and dominate"."""
    between = [mark for mark in marks[:at] if mark.first > join.last]
    if between and between[0].first == join.last + 1 and all(mark.is_a_verb for mark in between):
        return True
    return join.last + 1 == marks[at].first and sum(mark.mention is not None for mark in marks[:at]) == 1


def _of_the_whole(tokens: Tokens, marks: Sequence[Mark], at: int) -> list[Mention]:
    """The class after "mostly", where it is the scene that consists of it."""
    if _has_a_part_as_subject(tokens, marks, at) or _follows_a_class(marks[:at]):
        return []
    follows = next((mark for mark in marks[at + 1 :] if mark.kind is not Kind.VERB), None)
    if follows is None or follows.mention is None:
        return []
    gap = tokens.words[marks[at].last + 1 : follows.first]
    if sum(word not in grammar().how_through for word in gap) > _THROUGH or "," in gap:
        return []
    beside = grammar().beside.intersection((*tokens.words[marks[at].first - 1 : marks[at].first], *gap))
    if beside and not (beside == {"in"} and grammar().clad.intersection(gap)):
        return []
    return _after(tokens, marks, at)


def _follows_a_class(marks: Sequence[Mark]) -> bool:
    """Whether a class stands before in the clause, or "with" behind one."""
    for mark in reversed(marks):
        if mark.kind is Kind.BREAK:
            return False
        if mark.mention or mark.kind is Kind.WITH:
            return any(other.mention for other in marks)
    return False


def _is_listed(tokens: Tokens, end: int, start: int) -> bool:
    """Whether nothing but a list's own words lies between two classes."""
    gap = tokens.words[end + 1 : start]
    return any(word in {",", "and", "or", "&"} for word in gap) and all(
        word in {",", "and", "or", "&", "a", "an", "the", "some", "of", "both"} or word in grammar().fillers
        for word in gap
    )
