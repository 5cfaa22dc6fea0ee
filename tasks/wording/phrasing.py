"""How the regions of a sentence stand to its other phrases."""

from __future__ import annotations

from tasks.wording.clauses import Clauses
from tasks.wording.marks import Mark
from tasks.wording.regions import Extent, Region
from tasks.wording.vocabulary import JOINS, Kind

_IN = frozenset({"in", "into", "within", "inside", "among", "amid"})
_HELD_AGAINST = frozenset({"with", "so", "one", "ones", "those"})
"""What may stand between "than" and its region: "higher than the one in the north"."""


class Phrasing(Clauses):
    """The phrases of one sentence, with what its regions are said of."""

    __slots__ = ()

    def is_of_the_region(self, at: int) -> bool:
        """Whether "which" comes right after a region and a comma."""
        return at > 1 and self.marks[at - 1].kind is Kind.COMMA and self.marks[at - 2].kind is Kind.REGION

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
        start, _ = self.tokens.sentence(first.first)
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
        return join.kind in JOINS and any(word not in self.known.opening for word in gap)

    def is_of_other_land(self, at: int) -> bool:
        """Whether it is no class of which a region is told after "and": "water in the west and land in the east"."""
        gap = self.tokens.words[self.marks[at - 1].last + 1 : self.marks[at].first]
        return self.marks[at - 1].kind in JOINS and not self.known.other_land.isdisjoint(gap)

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

    def is_the_only_one(self, at: int) -> bool:
        """Whether a region says after a comma of what there is but one: ", the only ones in the scene"."""
        before = self.marks[at - 1]
        return before.kind is Kind.COMMA and "only" in self.tokens.words[before.last + 1 : self.marks[at].first]

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

    def is_beside(self, at: int, mark: Mark) -> bool:
        """Whether a region is next to a class that follows: "in the south, next to a few of the trees"."""
        gap = self.tokens.words[self.marks[at].last + 1 : mark.first]
        gap = gap[1:] if gap[:1] == [","] else gap
        known = self.known.beside_class
        return any(known.get(" ".join(gap[:count])) is False for count in (1, 2))

    def is_of_what_holds_another(self, at: int) -> bool:
        """Whether a region is of a class that the one before lies in: "fields are cut into the forest of the south"."""
        verb, holder = self.marks[max(at - 2, 0)], self.marks[at - 1]
        gap = self.tokens.words[verb.last + 1 : holder.first]
        return at > 1 and verb.is_a_verb and holder.mention is not None and not _IN.isdisjoint(gap)

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

    def holds_what_follows(self, at: int, preposition: bool) -> bool:
        """Whether a further region begins something new: "and in the south, crops", "and the south has crops"."""
        if not preposition or self.has_another_noun(at):
            return self.next(at) in (Kind.VERB, Kind.LEADS)
        for mark in self.marks[at + 1 :]:
            if mark.mention:
                rest = self.marks[self.marks.index(mark) + 1 :]
                return not (self.is_beside(at, mark) or (rest and rest[0].kind is Kind.REGION))
            if mark.is_a_verb and not self.tokens.words[mark.first].endswith("ing"):
                return self.names_more(at)
            if mark.kind is not Kind.COMMA:
                return False
        return False
