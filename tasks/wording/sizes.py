"""How large a sentence says that the share of a class is: "a small portion of water"."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.wording.marks import Mark, Mention
from tasks.wording.tokens import Tokens
from tasks.wording.vocabulary import Kind, grammar

_NOT_SO = frozenset({"not", "no", "than", "less", "more", "nor", "fairly", "relatively", "comparatively", "least"})
"""Before a size, these make another one of it, or one that is only relative."""

_TAKES = frozenset(
    {"cover", "covers", "covering", "occupy", "occupies", "occupying", "fill", "fills", "filling", "claim", "claims"}
)
"""After these the share is one that something else has of the class: "grass covers a small area of the sand"."""

_HAS = frozenset({"takes", "take", "holds", "hold", "has", "have", "reduced"})

_PATCHES = frozenset({"patch", "strip", "stand", "pocket", "clump", "bit", "cluster", "speck"})

_GAP = 2
"""Words that may stand between a share and its class."""


def size(tokens: Tokens, marks: Sequence[Mark]) -> None:
    """Notes the sizes that one sentence gives to the shares of its classes."""
    words = tokens.words
    places = any(mark.kind is Kind.REGION for mark in marks)
    for at, mark in enumerate(marks):
        noun = mark.last + 1
        if mark.kind is not Kind.SIZE or (mark.first and words[mark.first - 1] in _NOT_SO) or noun + 1 >= len(words):
            continue
        of_scene = words[noun + 1] == "of" and _is_of_the_scene(words, noun + 2)
        mention = _sized(words, marks, at, of_scene)
        # In a sentence that places others, what is not placed may well be: then its share is not known.
        if mention is not None and mention.size is None and (mention.regions or not places or of_scene):
            mention.size, mention.size_span = mark.meaning.size, tokens.span(mark.first, noun)


def _sized(words: list[str], marks: Sequence[Mark], at: int, of_scene: bool) -> Mention | None:
    """The class whose share has the size at a place among the marks."""
    noun = marks[at].last + 1
    if not _is_a_share(words, marks[at].first, noun):
        mention = _itself(words, marks, at)
    elif words[noun + 1] == "of":
        mention = _of_class(words, marks, at, noun + 1) or _by_subject(marks, at)
        return mention or (_by_agent(words, marks, at) if of_scene else None)
    else:
        mention = _by_subject(marks, at) if _takes(words, marks, at) else None
    return mention if mention and mention.regions else None


def _itself(words: list[str], marks: Sequence[Mark], at: int) -> Mention | None:
    """The class that is so large itself: "a vast forest", not "a small tundra lake", "a small thicket of shrubs"."""
    rest = marks[at + 1 : at + 3]
    if words[marks[at].first - 1] not in {"a", "an"} or not rest or rest[0].first != marks[at].last + 1:
        return None
    behind = rest[0].last + 1
    compound = words[behind : behind + 1] == ["of"] or any(mark.mention and mark.first == behind for mark in rest[1:])
    return None if compound else rest[0].mention


def _of_class(words: list[str], marks: Sequence[Mark], at: int, of: int) -> Mention | None:
    """The class that the share is of."""
    follows = marks[at + 1] if at + 1 < len(marks) else None
    if not _TAKES.isdisjoint(words[max(marks[at].first - 2, 0) : marks[at].first]):
        return None
    if follows is None or follows.first - of > _GAP + 1 or "," in words[of : follows.first]:
        return None
    return follows.mention


def _by_subject(marks: Sequence[Mark], at: int) -> Mention | None:
    """The class that takes up the share: "water covers a small part of the scene"."""
    if at < 2 or marks[at - 1].kind is not Kind.VERB:
        return None
    return marks[at - 2].mention


def _is_a_share(words: list[str], first: int, noun: int) -> bool:
    """Whether a size is that of a share, or of one thing: "small portions", "a small patch", not "small patches"."""
    is_one = words[first - 1] in {"a", "an"}
    return words[noun] in grammar().shares or (is_one and words[noun] in _PATCHES)


def _takes(words: list[str], marks: Sequence[Mark], at: int) -> bool:
    """Whether a share is what the verb before it takes up: "in the north, water covers a small part"."""
    return not (_TAKES | _HAS).isdisjoint(words[marks[at - 1].first : marks[at].first])


def _by_agent(words: list[str], marks: Sequence[Mark], at: int) -> Mention | None:
    """The class that takes up the share: "a small part of the scene is covered by water"."""
    follows = [mark for mark in marks[at + 1 :] if mark.kind is not Kind.VERB][:2]
    mark = next((mark for mark in follows if mark.mention), None)
    return mark.mention if mark is not None and words[mark.first - 1] == "by" else None


def _is_of_the_scene(words: list[str], at: int) -> bool:
    """Whether the share is of the whole: "a small part of the scene"."""
    at += words[at : at + 1] in (["the"], ["this"])
    return any(first == at for first, _, _ in grammar().scene.found(words, at, min(at + 3, len(words))))
