"""How the classes and verbs of a sentence stand to each other: what comes next, and what lies between two of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tasks.wording.marks import Mark, Mention
from tasks.wording.regions import Extent
from tasks.wording.tokens import Tokens
from tasks.wording.vocabulary import JOINS, Grammar, Kind, grammar

_ENDS_A_PHRASE = frozenset({"and", "or", "is", "are", "of", "with"})

_ADJECTIVES = 3
"""Words that may stand between "along the" and its class."""


@dataclass(frozen=True, slots=True)
class Clauses:
    """The phrases of one sentence. They are asked for by their number among the marks (`at`).

    Attributes:
        tokens: those of the caption.
        marks: the phrases, in order.
        known: the words that they are told by.
    """

    tokens: Tokens
    marks: Sequence[Mark]
    known: Grammar = field(default_factory=grammar)

    def next(self, at: int) -> str | None:
        """What the mark after one does; None after the last."""
        return self.marks[at + 1].kind if at + 1 < len(self.marks) else None

    def is_next_to(self, at: int) -> bool:
        """Whether nothing but prepositions and articles stand between a mark and the next one."""
        gap = self.tokens.words[self.marks[at].last + 1 : self.marks[at + 1].first]
        return self.known.opening.issuperset(gap)

    def names_more(self, at: int) -> bool:
        """Whether a class follows before the next region or break."""
        for mark in self.marks[at + 1 :]:
            if mark.kind in (Kind.REGION, Kind.BREAK):
                return False
            if mark.mention:
                return True
        return False

    def preposition(self, first: int) -> str:
        """The word before a region and its articles; empty where there is none."""
        at = first - 1
        while at >= 0 and self.tokens.words[at] in self.known.determiners:
            at -= 1
        return self.tokens.words[at] if at >= 0 else ""

    def has_preposition(self, first: int) -> bool:
        """Whether a preposition stands before a region, or begins it."""
        return self.preposition(first) in self.known.places or self.tokens.words[first] in self.known.places

    def is_an_exception(self, at: int) -> bool:
        """Whether a class is in the list of exceptions that a sentence begins with: "except for snow and moss, ..."."""
        if self.marks[0].kind is not Kind.WITH or self.tokens.words[self.marks[0].last] not in {"for", "from"}:
            return False
        listed = all(mark.kind in (Kind.CLASS, Kind.COMMA, Kind.AND, Kind.SIZE) for mark in self.marks[1:at])
        return listed and self.next(at) is not Kind.REGION

    def begins_there(self, first: int) -> bool:
        """Whether "there", first in a sentence, is a place: "There, trees take the lead", but not "There are"."""
        follows = self.marks[0] if self.marks else None
        is_verb = follows is not None and follows.is_a_verb and follows.first == first + 1
        return not is_verb

    def is_of_the_class_before(self, at: int) -> bool:
        """Whether "that" stands between a class and a verb: "trees line the stream that crosses the south"."""
        words = self.tokens.words[self.marks[at - 1].last + 1 : self.marks[at].first]
        return self.marks[at - 1].mention is not None and words == ["that"]

    def insertion(self, at: int) -> int | None:
        """The mark before what a comma ends that stands after "which", where the verb of its subject follows.

        As in "trees, which are the largest class, fill the north"; None where a comma ends no such thing.
        """
        follows = self.marks[at + 1] if at + 1 < len(self.marks) else None
        if self.marks[at].kind is not Kind.COMMA or follows is None or not follows.is_a_verb:
            return None
        word = self.tokens.words[follows.first]
        if follows.first != self.marks[at].last + 1 or word.endswith(("ing", "ed")):
            return None
        for place in range(at - 1, 1, -1):
            if self.marks[place].kind in (Kind.BREAK, Kind.REGION):
                return None
            if self.marks[place].kind is Kind.RELATIVE and self.marks[place - 1].kind is Kind.COMMA:
                return place - 2
        return None

    def tells_more_of_the_same(self, at: int) -> bool:
        """Whether "with" adds a place to the classes of the one before: "with a few more in the south"."""
        follows = next((mark for mark in self.marks[at + 1 :] if mark.kind is not Kind.COMMA), None)
        return (
            follows is not None
            and follows.kind is Kind.REGION
            and not self.known.of_the_same.isdisjoint(self.tokens.words[self.marks[at].last + 1 : follows.first])
        )

    def subjects(self, at: int) -> list[Mention]:
        """The classes before the first verb of the clause that a mark stands in; none where it has no verb."""
        found: list[Mention] = []
        subjects: list[Mention] = []
        for place, mark in enumerate(self.marks[:at]):
            if mark.kind is Kind.BREAK or (mark.kind in JOINS and self.begins_anew(place)):
                found, subjects = [], []
            elif mark.mention is not None:
                found.append(mark.mention)
            elif mark.is_a_verb:
                subjects = subjects or list(found)
        return subjects

    def is_left(self, at: int) -> bool:
        """Whether a comma ends what stands after "where": a place follows, or a class and its verb."""
        rest = self.marks[at + 1 : at + 3]
        if rest and rest[0].kind is Kind.AND:
            rest = rest[1:]
        return (bool(rest) and rest[0].kind is Kind.REGION) or self.begins_anew(at)

    def begins_anew(self, at: int) -> bool:
        """Whether a class and its verb come next: "..., and bare land lines the shore"."""
        rest = self.marks[at + 1 : at + 4]
        if rest and rest[0].kind is Kind.AND:
            rest = rest[1:]
        return (
            len(rest) > 1
            and rest[0].mention is not None
            and rest[1].kind is Kind.VERB
            and not self.tokens.words[rest[1].first].endswith(("ed", "ing"))
        )

    def speaks_of_the_scene(self, at: int) -> bool:
        """Whether the scene itself is the subject right behind a mark: ", the landscape is ..."."""
        words, start = self.tokens.words, self.marks[at].last + 1
        return words[start : start + 1] in (["the"], ["this"]) and self.known.scene.begins(words, start + 1) is not None

    def is_of_a_noun(self, at: int) -> bool:
        """Whether what comes after "with" only describes what stands before: a verb comes before any class."""
        follows = next((mark for mark in self.marks[at + 1 :] if mark.kind not in (Kind.SIZE, *JOINS)), None)
        return self.marks[at - 1].kind is not Kind.COMMA and follows is not None and follows.is_a_verb

    def has_a_place_of_its_own(self, since: int, first: int) -> bool:
        """Whether a class has a place of its own before a list goes on: "snow on top and trees in the south"."""
        gap = self.tokens.words[since:first]
        joins = [at for at, word in enumerate(gap) if word in {"and", ","}]
        if not joins:
            return False
        on_its_way = {"to", "through", "into", "past", "via"}.intersection(gap[joins[-1] :])
        return bool(on_its_way) or gap[0] in self.known.aside or any(w in self.known.placing for w in gap[: joins[-1]])

    def has_a_noun_of_its_own(self, since: int, first: int) -> bool:
        """Whether a noun that is no class, and its verb, stand between the last class and a region.

        As in "trees and shrubs, and human use is limited to the south".
        """
        gap = self.tokens.words[since:first]
        joins = [at for at, word in enumerate(gap) if word == "and"]
        begins = since + joins[-1] + 1 if joins else first
        verb = next((mark.first for mark in self.marks if mark.is_a_verb and begins <= mark.first < first), begins)
        known = (self.known.it, self.known.shares, self.known.opening, self.known.no_subjects)
        subject = self.tokens.words[begins:verb]
        return bool(subject) and not any(
            word.endswith("ly") or any(word in words for words in known) for word in subject
        )

    def is_said_of_the_place(self, at: int) -> bool:
        """Whether "it" means the place that is the subject: "the north is all trees, and it also contains water"."""
        first = next((mark for mark in self.marks if mark.kind is not Kind.COMMA), self.marks[0])
        follows = self.marks[at + 1 : at + 2]
        words = self.tokens.words
        return (
            first.kind is Kind.REGION
            and not self.has_preposition(first.first)
            and bool(follows)
            and follows[0].is_a_verb
            and words[follows[0].first] in self.known.containing
        )

    def is_next_to_something_new(self, since: int, first: int) -> bool:
        """Whether a class is brought in beside what a region holds: "lawns in the north, next to a small pond"."""
        if not any(mark.kind is Kind.REGION and mark.last + 1 == since for mark in self.marks):
            return False
        gap = self.tokens.words[since:first]
        at = next((at for at, word in enumerate(gap) if word in {"a", "an", "some"}), 0)
        known = self.known.beside_class
        return at > 0 and (known.get(gap[at - 1]) is False or known.get(" ".join(gap[at - 2 : at])) is False)

    def starts_with_a_pronoun(self, verb: int) -> bool:
        """Whether the word before a verb is "it", or the like."""
        return verb > 0 and self.tokens.words[verb - 1] in self.known.it

    def sums_up(self) -> bool:
        """Whether the sentence speaks of the whole at its beginning: "overall", "the main theme is".

        What it lists then is the scene's, and a place behind that is the last one's: "overall, a grassland with shrubs
        and a few fields in the south".
        """
        first = self.marks[0]
        region = first.region
        if region is not None and region.extent == Extent.WHOLE:
            return True
        return any(mark.meaning.how == "theme" for mark in self.marks[:3])

    def is_after_a_comma(self, at: int, mention: Mention) -> bool:
        """Whether a class before a mark is told from those before it by nothing but a comma."""
        before = [mark for mark in self.marks[:at] if mark.kind != Kind.SIZE]
        place = next(number for number, mark in enumerate(before) if mark.mention is mention)
        return place > 0 and before[place - 1].kind == Kind.COMMA

    def parting(self, since: int, mark: Mark) -> bool | None:
        """Whether what stands before a class or region ends there: "trees give way to grass".

        Args:
            since: first word after the class or region before.
            mark: of the class or region.

        Returns:
            False where both are only apart, as in "between trees and grass"; None where neither is said.
        """
        if self.known.parting_words.isdisjoint(self.tokens.words[since : mark.first]) or self._is_among(since, mark):
            return None
        return next((ends for _, _, ends in self.known.partings.found(self.tokens.words, since, mark.first)), None)

    def beside(self, mark: Mark) -> bool | None:
        """Whether a class is named to say where another one is, and is not there itself.

        Returns:
            True where it may be elsewhere, though a place stands in front; False where it is next to the other one;
            None where it is not named for that.
        """
        words, known, last = self.tokens.words, self.known.beside_class, self.known.beside_last
        for at in range(mark.first - 1, max(mark.first - 2 - _ADJECTIVES, -1), -1):
            word = words[at]
            if word == "between" and self._is_among(at, mark):
                return False
            if word in last and not self._is_no_place(at, mark.first):
                found = known.get(f"{words[at - 1]} {word}" if at else word, known.get(word))
                if found is not None:
                    return found
            if word in _ENDS_A_PHRASE or not word.isalpha():
                return None
        return None

    def _is_among(self, since: int, mark: Mark) -> bool:
        """Whether something is among the parts of one class and not between two: "strips between the fields"."""
        between = "between" in self.tokens.words[since : mark.first]
        return between and mark.mention is not None and self.tokens.words[mark.last + 1 : mark.last + 2] != ["and"]

    def _is_no_place(self, at: int, first: int) -> bool:
        """Whether a preposition tells something else: "divided between trees and grass", "more than half water"."""
        words = self.tokens.words
        if words[at] == "between":
            return not self.known.shared.isdisjoint(words[max(at - 3, 0) : at])
        return words[at] in {"than", "over"} and at + 1 < first and words[at + 1] not in {"the", "a", "an"}
