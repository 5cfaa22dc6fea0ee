"""What a caption says: which classes it names or denies, where it places them, which it calls dominant, and how large.

A reader of simple prose, made for captions of land cover. It goes by the words alone (`lexicon.yaml`, `grammar.yaml`);
no statistics are needed. Where a sentence can be read in two ways, it takes the one that claims less.
"""

from __future__ import annotations

from dataclasses import dataclass

from tasks.wording.denials import deny
from tasks.wording.leaders import Leading, leaders
from tasks.wording.marks import Mention, marks
from tasks.wording.placing import Placing
from tasks.wording.sizes import size
from tasks.wording.tokens import Tokens, tokenise
from tasks.wording.vocabulary import grammar

_DENYING = frozenset({"no", "not", "nor", "neither", "without", "any"})


@dataclass(frozen=True, slots=True)
class Reading:
    """What a caption says.

    Attributes:
        tokens: its words.
        mentions: the classes that it names or denies, in order.
        leading: what it calls dominant in the whole tile.
    """

    tokens: Tokens
    mentions: tuple[Mention, ...]
    leading: tuple[Leading, ...]

    def hints(self) -> frozenset[int]:
        """Classes that words may name that may also mean something else, where they are not denied."""
        words = self.tokens.words
        return frozenset(
            class_id
            for first, _, classes in grammar().hints.found(words)
            if _DENYING.isdisjoint(words[max(first - 4, 0) : first])
            for class_id in classes
        )


def read(text: str) -> Reading:
    """What a caption says."""
    tokens = tokenise(text)
    mentions: list[Mention] = []
    leading: list[Leading] = []
    placing = Placing(tokens)
    for first, end in tokens.sentences:
        found = list(marks(tokens, first, end))
        placing.place(found, first)
        deny(tokens, found, first, end)
        size(tokens, found)
        leading += leaders(tokens, found)
        named = [mark.mention for mark in found if mark.mention is not None]
        if _sums_up(tokens, first, end):
            for mention in named:
                mention.in_closing = True
        mentions += named
    return Reading(tokens, tuple(mentions), tuple(leading))


def _sums_up(tokens: Tokens, first: int, end: int) -> bool:
    """Whether a sentence is the last of several, and speaks of the scene: "the theme is", "this landscape is"."""
    if first == 0 or end < len(tokens.words):
        return False
    words = tokens.words
    speaks_of_it = words[first] in {"the", "this"} and grammar().scene.begins(words, first + 1) is not None
    return speaks_of_it or not grammar().closing.isdisjoint(words[first:end])


def named_classes(text: str) -> frozenset[int]:
    """Ids of the classes that a text names beyond doubt, but for those that it says are not there."""
    return frozenset(
        mention.classes[0]
        for mention in read(text).mentions
        if not mention.denied and not mention.doubted and len(mention.classes) == 1
    )
