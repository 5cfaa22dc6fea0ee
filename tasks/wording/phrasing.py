"""How the phrases of a sentence stand to each other: what comes next, and what lies between two of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tasks.wording.marks import Mark, Mention
from tasks.wording.regions import Extent, Region
from tasks.wording.tokens import Tokens
from tasks.wording.vocabulary import Grammar, Kind, grammar

_ENDS_A_PHRASE = frozenset({"and", "or", "is", "are", "of", "with"})
_JOINS = (Kind.COMMA, Kind.AND)
_HELD_AGAINST = frozenset({"with", "so", "one", "ones", "those"})
"""What may stand between "than" and its region: "higher than the one in the north"."""

_ADJECTIVES = 3
"""Words that may stand between "along the" and its class."""


@dataclass(frozen=True, slots=True)
class Phrasing:
    """The phrases of one sentence. They are asked for by their number among the marks (`at`).

    Attributes:
        tokens: those of the caption.
        marks: the phrases, in order.
        known: the words that they are told by.
    """

    tokens: Tokens
    marks: Sequence[Mark]
    known: Grammar = field(default_factory=grammar)

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

    def is_of_the_region(self, at: int) -> bool:
        """Whether "which" comes right after a region and a comma."""
        return at > 1 and self.marks[at - 1].kind is Kind.COMMA and self.marks[at - 2].kind is Kind.REGION

    def is_of_the_class_before(self, at: int) -> bool:
        """Whether "that" stands between a class and a verb: "trees line the stream that crosses the south"."""
        words = self.tokens.words[self.marks[at - 1].last + 1 : self.marks[at].first]
        return self.marks[at - 1].mention is not None and words == ["that"]

    def is_of_an_object(self, at: int) -> bool:
        """Whether a region is of what something goes round: "trees surround a clearing in the south"."""
        for mark in reversed(self.marks[:at]):
            if mark.is_a_verb:
                gap = self.tokens.words[mark.last + 1 : self.marks[at].first]
                plain = all(word in self.known.opening or word in self.known.it for word in gap)
                verb = self.tokens.words[mark.first]
                around = verb in self.known.around or (gap[:1] == ["by"] and verb in self.known.broken)
                return around and not plain and "," not in gap
            if mark.kind in (Kind.REGION, Kind.BREAK, Kind.WITH, Kind.AND):
                return False
        return False

    def is_described_before(self, at: int) -> bool:
        """Whether a region is the subject that a sentence begins by describing: "clad in trees, the north"."""
        first, before = self.marks[0], self.marks[at - 1]
        start = next(begin for begin, end in self.tokens.sentences if begin <= first.first < end)
        if first.first > start + 1 or before.kind is not Kind.COMMA:
            return False
        described = next((place for place, mark in enumerate(self.marks[:at]) if mark.mention), at)
        if any(mark.is_a_verb or mark.kind in (Kind.REGION, Kind.BREAK) for mark in self.marks[described:at]):
            return False
        if first.mention is not None:
            return before is self.marks[1] and self.tokens.words[first.last].endswith("ed")
        return first.is_a_verb or first.kind is Kind.LEADS

    def has_another_noun(self, at: int) -> bool:
        """Whether a noun stands between a region and the join before it: ", and the land to the north"."""
        join = self.marks[at - 1]
        gap = self.tokens.words[join.last + 1 : self.marks[at].first]
        return join.kind in _JOINS and any(word not in self.known.opening for word in gap)

    def is_of_other_land(self, at: int) -> bool:
        """Whether it is no class of which a region is told after "and": "water in the west and land in the east"."""
        gap = self.tokens.words[self.marks[at - 1].last + 1 : self.marks[at].first]
        return self.marks[at - 1].kind in _JOINS and not self.known.other_land.isdisjoint(gap)

    def is_right_behind_a_region(self, at: int) -> bool:
        """Whether a region stands before, with at most a comma between."""
        before = self.marks[at - 1]
        if before.kind is Kind.COMMA and at > 1:
            before = self.marks[at - 2]
        return before.kind is Kind.REGION and before.last + 2 >= self.marks[at].first

    def is_right_behind_a_class(self, at: int) -> bool:
        """Whether nothing but a preposition and articles stand between a class and a region: "fields to the west"."""
        before = self.marks[at - 1]
        gap = self.tokens.words[before.last + 1 : self.marks[at].first]
        return before.mention is not None and self.known.opening.issuperset(gap)

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
        if self.next(at) is not Kind.REGION:
            return False
        return not self.known.of_the_same.isdisjoint(
            self.tokens.words[self.marks[at].last + 1 : self.marks[at + 1].first]
        )

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
        follows = next((mark for mark in self.marks[at + 1 :] if mark.kind not in (Kind.SIZE, *_JOINS)), None)
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

    def is_an_aside(self, at: int, mark: Mark) -> bool:
        """Whether more than a preposition stands before a region after a comma: ", thickest in the south"."""
        before = self.marks[at - 1] if at else None
        if at > 1 and self.marks[at - 2].kind is Kind.COMMA and self.marks[at - 2].last + 1 == self.marks[at - 1].first:
            word = self.tokens.words[self.marks[at - 1].first]
            if self.marks[at - 1].kind is Kind.VERB and (word.endswith(("ing", "ed")) or word in self.known.not_finite):
                return True  # ", running through the south", ", present in the south"
        if before is None or before.kind is not Kind.COMMA:
            return False
        return any(
            word != "and" and word not in self.known.opening for word in self.tokens.words[before.last + 1 : mark.first]
        )

    def is_next_to(self, at: int) -> bool:
        """Whether nothing but prepositions and articles stand between a mark and the next one."""
        gap = self.tokens.words[self.marks[at].last + 1 : self.marks[at + 1].first]
        return self.known.opening.issuperset(gap)

    def next(self, at: int) -> str | None:
        """What the mark after one does; None after the last."""
        return self.marks[at + 1].kind if at + 1 < len(self.marks) else None

    def is_left_out(self, mark: Mark) -> bool:
        """Whether a region is an exception: "in every quarter except the top left"."""
        at = mark.first - 1
        words, determiners, places = self.tokens.words, self.known.determiners, self.known.places
        while at >= 0 and (words[at] in determiners or words[at] in places):
            at -= 1
        if at < 0 or self.tokens.words[at] not in self.known.exceptions:
            return False
        follows = next((other for other in self.marks if other.first > mark.last), None)
        is_a_subject = follows is not None and follows.is_a_verb and follows.first <= mark.last + 2
        begins = self.tokens.words[at] == "but" and self.tokens.words[at - 1] == "," and is_a_subject
        return not begins  # ", but the south has ..."

    def is_without(self, at: int) -> bool:
        """Whether what a region lacks stands before it: "a stream that the north lacks"."""
        follows = self.marks[at + 1 : at + 3]
        return (
            bool(follows)
            and follows[0].kind is Kind.DENIES
            and {"do", "does", "did"}.issuperset(self.tokens.words[self.marks[at].last + 1 : follows[0].first])
            and (len(follows) == 1 or follows[1].mention is None)
        )

    def is_the_rest(self, mark: Mark) -> bool:
        """Whether a phrase speaks of the rest of the place in front: "the south is grass, and the rest is water"."""
        words = self.tokens.words
        if words[mark.last] not in {"rest", "remainder"} and words[mark.last - 1 : mark.last + 1] != ["other", "half"]:
            return False
        before = next((other for other in reversed(self.marks) if other.last < mark.first), None)
        broken = before is not None and before.kind is Kind.BREAK and words[before.first] != ";"
        return not broken and words[mark.last + 1 : mark.last + 2] != ["of"]

    def is_headed_for(self, at: int) -> bool:
        """Whether something only heads for a region: "increases towards the south", "runs from north to south"."""
        words = self.tokens.words
        before = self.marks[at - 1] if at else None
        if self.preposition(self.marks[at].first) in {"toward", "towards"}:
            return before is not None and before.kind is Kind.VERB and words[before.last] not in self.known.staying
        return False

    def is_on_a_way(self, at: int) -> bool:
        """Whether a region is one end of a way: "from north to south"."""
        follows, before = self.marks[at + 1 : at + 2], self.marks[max(at - 1, 0) : at]
        if follows and follows[0].kind is Kind.REGION and self.is_the_end_of_a_way(at + 1):
            return True
        return bool(before) and before[0].kind is Kind.REGION and self.is_the_end_of_a_way(at)

    def is_the_beginning_of_a_way(self, at: int) -> bool:
        """Whether a way begins at a region, as in "from west to east"."""
        return self.next(at) is Kind.REGION and self.is_the_end_of_a_way(at + 1)

    def meets_another(self, at: int) -> bool:
        """Whether two regions are only said to meet: "the middle is where the upper and the lower half meet"."""
        behind = self.marks[at].last + 1
        return self.tokens.words[behind : behind + 1] == ["meet"] and not self.has_preposition(self.marks[at].first)

    def is_the_end_of_a_tour(self, at: int) -> bool:
        """Whether "to" a region comes behind a comma, in a sentence that begins with "from" another one."""
        first = self.marks[0]
        return (
            at > 1
            and self.marks[at - 1].kind is Kind.COMMA
            and self.preposition(self.marks[at].first) == "to"
            and first.kind is Kind.REGION
            and self.preposition(first.first) == "from"
        )

    def is_next_to_something_new(self, since: int, first: int) -> bool:
        """Whether a class is brought in beside what a region holds: "lawns in the north, next to a small pond"."""
        if not any(mark.kind is Kind.REGION and mark.last + 1 == since for mark in self.marks):
            return False
        gap = self.tokens.words[since:first]
        at = next((at for at, word in enumerate(gap) if word in {"a", "an", "some"}), 0)
        known = self.known.beside_class
        return at > 0 and (known.get(gap[at - 1]) is False or known.get(" ".join(gap[at - 2 : at])) is False)

    def is_a_participle(self, at: int) -> bool:
        """Whether a mark is a verb that goes on with the subject: ", covering the north"."""
        mark = self.marks[at] if at < len(self.marks) else None
        return mark is not None and mark.kind is Kind.VERB and self.tokens.words[mark.first].endswith("ing")

    def is_compared(self, mark: Mark) -> bool:
        """Whether a region is only what another is held against: "more than in the north", "unlike the south"."""
        words = self.tokens.words
        at = mark.first - 1
        while at >= 0 and (
            words[at] in self.known.determiners or words[at] in self.known.places or words[at] in _HELD_AGAINST
        ):
            at -= 1
        if at < 0 or words[at : at + 2] in (["as", "for"], ["as", "to"]) or (at and words[at - 1] == "well"):
            return False  # "as for the south", "as well as in the south"
        return words[at] in self.known.comparing or (at > 0 and words[at - 1] == "least")

    def is_the_subject(self, at: int) -> bool:
        """Whether a verb follows a region that comes after a comma and a region in front with a preposition."""
        if self.next(at) is not Kind.VERB or at < 2 or self.marks[at - 1].kind is not Kind.COMMA:
            return False
        return self.has_preposition(self.marks[at - 2].first)

    def is_the_subject_beside(self, at: int) -> bool:
        """Whether a region itself is next to the class that follows: "the south is bordered by a lake"."""
        for mark in reversed(self.marks[:at]):
            if mark.kind is Kind.REGION:
                return not self.has_preposition(mark.first)
            is_beside = mark.mention is not None and mark.mention.beside
            if mark.kind not in (Kind.VERB, Kind.COMMA, Kind.AND) and not is_beside:
                return False
        return False

    def opens(self, at: int) -> bool:
        """Whether a class, or a verb, follows a region at once or after a comma, or further regions."""
        rest = self.marks[at + 1 : at + 3]
        if rest and (rest[0].kind is Kind.COMMA or (rest[0].kind is Kind.AND and rest[-1].kind is Kind.REGION)):
            rest = rest[1:]
        return bool(rest) and rest[0].kind in (Kind.CLASS, Kind.VERB, Kind.LEADS, Kind.SIZE, Kind.REGION)

    def starts_with_a_pronoun(self, verb: int) -> bool:
        """Whether the word before a verb is "it", or the like."""
        return verb > 0 and self.tokens.words[verb - 1] in self.known.it

    def is_of_a_class(self, at: int, mark: Mark, region: Region) -> bool:
        """Whether it is the rim of a class and not of the tile: "the edge of the forest", "with straight borders"."""
        if region.extent is not Extent.VAGUE:
            return False
        words = self.tokens.words
        if mark.first == mark.last and words[mark.first] in self.known.rims and not self.has_preposition(mark.first):
            return True
        follows = self.marks[at + 1] if at + 1 < len(self.marks) else None
        of = mark.last + 1 < len(words) and words[mark.last + 1] == "of"
        return of and follows is not None and follows.mention is not None and follows.first <= mark.last + 4

    def is_the_end_of_a_way(self, at: int) -> bool:
        """Whether two regions in front are the ends of a way: "moving from the north to the south"."""
        one, other = self.marks[at - 1], self.marks[at]
        words = self.tokens.words
        return "from" in words[max(one.first - 2, 0) : one.first + 1] and "to" in words[one.last + 1 : other.first + 1]

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

    def names_more(self, at: int) -> bool:
        """Whether a class follows before the next region or break."""
        for mark in self.marks[at + 1 :]:
            if mark.kind in (Kind.REGION, Kind.BREAK):
                return False
            if mark.mention:
                return True
        return False

    def holds_what_follows(self, at: int, preposition: bool) -> bool:
        """Whether a further region begins something new: "and in the south, crops", "and the south has crops"."""
        if not preposition or self.has_another_noun(at):
            return self.next(at) in (Kind.VERB, Kind.LEADS)
        for mark in self.marks[at + 1 :]:
            if mark.mention:
                rest = self.marks[self.marks.index(mark) + 1 :]
                return not (rest and rest[0].kind is Kind.REGION)
            if mark.is_a_verb and not self.tokens.words[mark.first].endswith("ing"):
                return self.names_more(at)
            if mark.kind is not Kind.COMMA:
                return False
        return False

    def has_preposition(self, first: int) -> bool:
        """Whether a preposition stands before a region, or begins it."""
        return self.preposition(first) in self.known.places or self.tokens.words[first] in self.known.places

    def preposition(self, first: int) -> str:
        """The word before a region and its articles; empty where there is none."""
        at = first - 1
        while at >= 0 and self.tokens.words[at] in self.known.determiners:
            at -= 1
        return self.tokens.words[at] if at >= 0 else ""

    def parting(self, since: int, mark: Mark) -> bool | None:
        """Whether what stands before a class or region ends there: "trees give way to grass".

        Args:
            since: first word after the class or region before.
            mark: of the class or region.

        Returns:
            False where both are only apart, as in "between trees and grass"; None where neither is said.
        """
        if self.known.parting_words.isdisjoint(self.tokens.words[since : mark.first]):
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
            if word in last and not self._is_no_place(at, mark.first):
                found = known.get(f"{words[at - 1]} {word}" if at else word, known.get(word))
                if found is not None:
                    return found
            if word in _ENDS_A_PHRASE or not word.isalpha():
                return None
        return None

    def _is_no_place(self, at: int, first: int) -> bool:
        """Whether a preposition tells something else: "divided between trees and grass", "more than half water"."""
        words = self.tokens.words
        if words[at] == "between":
            return not self.known.shared.isdisjoint(words[max(at - 3, 0) : at])
        return words[at] in {"than", "over"} and at + 1 < first and words[at + 1] not in {"the", "a", "an"}
