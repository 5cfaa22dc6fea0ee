"""Where a sentence places the classes that it names.

A region stands in front of what it holds ("The top left holds trees and water"), or behind it ("Trees cover the top
left, with water in the south"). What is behind takes the classes before it, back to the last comma, "and" or "with" at
which something new began; what is in front takes all that follow, up to the next region, whatever stands behind them
apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tasks.wording.marks import Mark, Mention
from tasks.wording.regions import VAGUE, Extent, Region
from tasks.wording.tokens import Tokens
from tasks.wording.vocabulary import Kind, grammar

_JOINS = (Kind.COMMA, Kind.AND)
_ADJECTIVES = 3
"""Words that may stand between "along the" and its class."""


@dataclass(slots=True)
class Placing:
    """Places the classes of one sentence after another.

    Attributes:
        tokens: those of the caption.
        before: the place that the sentence before ended in.
    """

    tokens: Tokens
    before: Region | None = None

    def place(self, marks: Sequence[Mark], first: int) -> None:
        """Places the classes of the sentence that begins at a token."""
        regions = [mark for mark in marks if mark.kind is Kind.REGION]
        it = (
            self.tokens.words[first] in grammar().it and self.before is not None and self.before.extent is Extent.PLACED
        )
        if not regions and not it:
            self.before = None if marks else self.before
            return
        rest = _without_brackets(self.tokens, marks)
        sentence = _Sentence(self.tokens, rest, self.before, VAGUE if it else None)
        sentence.place()
        if "respectively" in self.tokens.words:
            for mark in marks:
                if mark.mention and len(mark.mention.regions) + sum(len(r.claims) for r in mark.mention.regions) > 2:
                    mark.mention.regions = [VAGUE]
        self.before = sentence.latest


def _without_brackets(tokens: Tokens, marks: Sequence[Mark]) -> Sequence[Mark]:
    """The marks without brackets that say where the class before them is: "water (in the north)"."""
    rest: list[Mark] = []
    at = 0
    while at < len(marks):
        end = at + 1
        if tokens.words[marks[at].first] == "(" and rest and (mention := rest[-1].mention):
            while end < len(marks) and tokens.words[marks[end].first] != ")":
                end += 1
            inside = marks[at + 1 : end]
            regions = [mark.meaning.region for mark in inside if mark.meaning.region]
            if regions and not any(mark.mention for mark in inside):
                mention.regions = [region for region in regions if region.extent is not Extent.SAME]
                mention.bracketed = True
                at = end + 1
                continue
            end = at + 1
        rest += marks[at:end]
        at = end
    return rest


@dataclass(slots=True)
class _Sentence:
    """One sentence while it is read.

    Attributes:
        tokens: those of the caption.
        marks: its phrases.
        before: the place of the sentence before.
        front: the place that stands in front of what is read.
        open: classes that a place to come may stand behind.
        closed: the same before the last comma, for a place that comes as an afterthought.
        placed: the classes that the last place stood behind.
        latest: the last place.
        verb: whether a verb has come since the open classes began.
        verbs: how many open classes stand before each of the verbs.
        fresh: whether nothing but commas and "and" has come since the last place.
        behind: whether the last place stood behind its classes.
        adding: whether the open classes came after "with".
        negated: whether "not" has come since the last class.
    """

    tokens: Tokens
    marks: Sequence[Mark]
    before: Region | None
    front: Region | None
    open: list[Mention] = field(default_factory=list)
    closed: list[Mention] = field(default_factory=list)
    placed: list[Mention] = field(default_factory=list)
    latest: Region | None = None
    verb: bool = False
    verbs: list[int] = field(default_factory=list)
    fresh: bool = False
    behind: bool = False
    adding: bool = False
    negated: bool = False

    def place(self) -> None:
        """Places all classes of the sentence."""
        adjective: Region | None = None
        for at, mark in enumerate(self.marks):
            if mark.mention is not None:
                self._name(at, mark, mark.mention, adjective)
                adjective = None
            elif mark.kind is Kind.REGION and mark.meaning.region is not None:
                follows = self.marks[at + 1] if at + 1 < len(self.marks) else None
                if mark.meaning.region.adjective and follows and follows.mention and follows.first == mark.last + 1:
                    adjective = mark.meaning.region
                else:
                    self._region(at, mark, mark.meaning.region)
            else:
                self._join(at, mark)

    def _name(self, at: int, mark: Mark, mention: Mention, adjective: Region | None) -> None:
        before = self.marks[at - 1] if at else None
        of = before is not None and self.tokens.words[before.last + 1 : mark.first] in (["of", "the"], ["of", "a"])
        mention.beside = _is_beside(self.tokens, mark) or bool(
            of and before and before.mention and before.mention.beside
        )
        if adjective:
            mention.regions = [adjective]
            return
        if not mention.bracketed:
            mention.regions = [self.front] if self.front else []
            self.open.append(mention)
        self.placed = []
        self.fresh = self.negated = False

    def _join(self, at: int, mark: Mark) -> None:
        """Goes on after a mark that is neither a class nor a region."""
        if _is_a_verb(mark):
            self.verb, self.fresh = True, False
            self.verbs.append(len(self.open))
        elif mark.kind in (Kind.DENIES, Kind.DENIES_BEFORE):
            self.negated = True
        elif mark.kind is Kind.BREAK:
            if self._next(at) is not Kind.REGION or not self._is_left_out(self.marks[at + 1]):
                self._begin([])
                self.placed, self.fresh, self.negated = [], False, False
        elif mark.kind is Kind.WITH:
            self._begin([])
            self.fresh, self.adding = False, True
        elif mark.kind in (Kind.ADDING, Kind.RELATIVE):
            self._relate(at, mark)
        elif mark.kind in _JOINS:
            self._list(at, mark)

    def _begin(self, closed: list[Mention]) -> None:
        """Something new begins."""
        self.open, self.closed, self.verb, self.verbs = [], closed, False, []

    def _relate(self, at: int, mark: Mark) -> None:
        """What follows is said of the last place, or of what stands before."""
        if self.tokens.words[mark.first] in {"where", "wherein"}:
            self.front, self.fresh = self.latest or VAGUE, False
            self._begin([])
        elif self.latest and self.fresh and (self._is_of_the_region(at) or (mark.kind is Kind.ADDING and self.behind)):
            self._stand_in_front(self.latest)
        elif mark.kind is Kind.ADDING:
            self.verbs = []

    def _is_of_the_region(self, at: int) -> bool:
        """Whether "which" comes right after a region and a comma."""
        return at > 1 and self.marks[at - 1].kind is Kind.COMMA and self.marks[at - 2].kind is Kind.REGION

    def _list(self, at: int, mark: Mark) -> None:
        """After a comma or "and" a list goes on, or something new begins."""
        if self.adding and self._begins_anew(at):
            self._begin([])
            self.adding = False
        elif self.verb and not (mark.kind is Kind.AND and self._next(at) in (Kind.VERB, Kind.LEADS)):
            self._begin(self.open)

    def _region(self, at: int, mark: Mark, region: Region) -> None:
        """Goes on after a region."""
        if region.extent is Extent.SAME:
            same = self.latest or self.before
            if same is None:
                return
            region = same
        if self._is_of_a_class(at, mark, region):
            return
        if self._is_left_out(mark):
            self._leave_out(region)
            return
        region = VAGUE if self.negated else region
        preposition = self._has_preposition(mark.first)
        if self.fresh:
            self._further_region(at, region, preposition)
        else:
            self._new_region(at, mark, region, preposition)
        self.latest, self.fresh, self.verb = region, True, False

    def _new_region(self, at: int, mark: Mark, region: Region, preposition: bool) -> None:
        """Tells whether a region stands behind classes, and which, or in front of what follows."""
        if self.open and not self._begins(at, mark, preposition):
            self._stand_behind(self._objects(), region)
            self.open = []
        elif self._has_another_subject(at, mark, preposition):
            self.behind, self.placed = True, []
        elif self.verb and self.behind and preposition and self.placed:
            # "lies in the south and reaches into the middle"
            for mention in self.placed:
                mention.regions = [*mention.regions, region]
        elif self.closed and self._is_an_afterthought(at, mark, preposition):
            unplaced = [mention for mention in self.closed if mention.of_whole]
            self._stand_behind(unplaced, region)
            for mention in unplaced:
                mention.aside = True
            self.closed = []
        else:
            self._stand_in_front(region)

    def _further_region(self, at: int, region: Region, preposition: bool) -> None:
        """One more region after another, as in "in the top left and the top right"."""
        if not self.behind:
            front = self.front
            together = _both(front, region) if front is not None and front.extent is Extent.PLACED else region
            if self._is_the_end_of_a_way(at):
                together = VAGUE
            self._stand_in_front(together)
        elif self._holds_what_follows(at) if preposition else self._next(at) in (Kind.VERB, Kind.LEADS):
            self._stand_in_front(region)
        else:
            for mention in self.placed:
                mention.regions = [*mention.regions, region]
        self.latest = region

    def _stand_in_front(self, region: Region) -> None:
        self._begin([])
        self.front, self.behind, self.placed = region, False, []

    def _stand_behind(self, mentions: list[Mention], region: Region) -> None:
        for mention in mentions:
            mention.regions = [region]
        self.placed, self.behind = mentions, True

    def _begins(self, at: int, mark: Mark, preposition: bool) -> bool:
        """Whether a region stands in front of something new, right after a comma or "and".

        Without a preposition it is a subject: ", and the south holds crops". With one it goes on in the manner of the
        region in front: "In the north lie fields, and in the south woods".
        """
        before = self.marks[at - 1] if at else None
        if before is not None and before.kind not in (*_JOINS, Kind.BREAK):
            return False
        gap = self.tokens.words[before.last + 1 if before else 0 : mark.first]
        if preposition:
            return (
                (self.front is not None or self.behind) and self._names_more(at) and grammar().opening.issuperset(gap)
            )
        return grammar().determiners.issuperset(gap[-3:])

    def _begins_anew(self, at: int) -> bool:
        """Whether a class and its verb come next: "..., and bare land lines the shore"."""
        rest = self.marks[at + 1 : at + 4]
        if rest and rest[0].kind is Kind.AND:
            rest = rest[1:]
        return (
            len(rest) > 1
            and rest[0].mention is not None
            and rest[1].kind is Kind.VERB
            and not self.tokens.words[rest[1].first].endswith("ed")
        )

    def _is_an_afterthought(self, at: int, mark: Mark, preposition: bool) -> bool:
        """Whether a region says where the classes before the last comma are."""
        if not preposition:
            return self._next(at) in (None, Kind.BREAK)
        return not self._names_more(at) or self._is_an_aside(at, mark)

    def _is_an_aside(self, at: int, mark: Mark) -> bool:
        """Whether more than a preposition stands before a region after a comma: ", thickest in the south"."""
        before = self.marks[at - 1] if at else None
        if before is None or before.kind is not Kind.COMMA:
            return False
        return any(
            word != "and" and word not in grammar().opening for word in self.tokens.words[before.last + 1 : mark.first]
        )

    def _next(self, at: int) -> Kind | None:
        return self.marks[at + 1].kind if at + 1 < len(self.marks) else None

    def _objects(self) -> list[Mention]:
        """The open classes that a place behind them is said of: all, or those after the last of several verbs."""
        between = [count for count in self.verbs if 0 < count < len(self.open)] if self.verb else []
        after = self.open[max(between) :] if len(between) > 1 else self.open
        return after if any(not mention.beside for mention in after) else self.open

    def _is_left_out(self, mark: Mark) -> bool:
        """Whether a region is an exception: "in every quarter except the top left"."""
        at = mark.first - 1
        known = grammar().determiners | grammar().places
        while at >= 0 and self.tokens.words[at] in known:
            at -= 1
        return at >= 0 and self.tokens.words[at] in grammar().exceptions

    def _leave_out(self, region: Region) -> None:
        """Takes a region out of what the last place claims."""
        left_out = {row for rows in region.claims for row in rows}

        def without(placed: Region) -> Region:
            claims = tuple(rows for rows in placed.claims if not left_out.issuperset(rows))
            return Region(Extent.PLACED, claims) if claims else VAGUE

        for mention in self.placed:
            mention.regions = [without(placed) for placed in mention.regions]
        if self.front is not None:
            self.front = without(self.front)
        self.latest = region

    def _has_another_subject(self, at: int, mark: Mark, preposition: bool) -> bool:
        """Whether a region stands behind a verb whose subject is no class: "it covers the north"."""
        before = self.marks[at - 1] if at else None
        if (
            before is None
            or before.kind not in (Kind.VERB, Kind.LEADS)
            or before.meaning.how in {"named", "how", "partitive"}
        ):
            return False
        if self.behind and before.first > 0 and self.tokens.words[before.first - 1] in grammar().it:
            return True
        if self.closed or (self.behind and self.placed):
            return False
        start = self.marks[0].first
        if preposition:
            return (before is self.marks[0] and self._starts_with_a_pronoun(start)) or not self._opens(at)
        return not (before.first == start and self.tokens.words[start].endswith("ing"))

    def _opens(self, at: int) -> bool:
        """Whether a class, or a verb, follows a region at once or after a comma."""
        rest = self.marks[at + 1 : at + 3]
        if rest and rest[0].kind is Kind.COMMA:
            rest = rest[1:]
        return bool(rest) and rest[0].kind in (Kind.CLASS, Kind.VERB, Kind.LEADS, Kind.SIZE, Kind.REGION)

    def _starts_with_a_pronoun(self, verb: int) -> bool:
        return verb > 0 and self.tokens.words[verb - 1] in grammar().it

    def _is_of_a_class(self, at: int, mark: Mark, region: Region) -> bool:
        """Whether it is the rim of a class and not of the tile: "the edge of the forest"."""
        words = self.tokens.words
        follows = self.marks[at + 1] if at + 1 < len(self.marks) else None
        of = mark.last + 1 < len(words) and words[mark.last + 1] == "of"
        return (
            region.extent is Extent.VAGUE
            and of
            and follows is not None
            and follows.mention is not None
            and follows.first <= mark.last + 4
        )

    def _is_the_end_of_a_way(self, at: int) -> bool:
        """Whether two regions in front are the ends of a way: "moving from the north to the south"."""
        one, other = self.marks[at - 1], self.marks[at]
        words = self.tokens.words
        return "from" in words[max(one.first - 2, 0) : one.first + 1] and "to" in words[one.last + 1 : other.first + 1]

    def _names_more(self, at: int) -> bool:
        """Whether a class follows before the next region or break."""
        for mark in self.marks[at + 1 :]:
            if mark.kind in (Kind.REGION, Kind.BREAK):
                return False
            if mark.mention:
                return True
        return False

    def _holds_what_follows(self, at: int) -> bool:
        """Whether what follows a region has no other place behind it: "and in the south, crops"."""
        for mark in self.marks[at + 1 :]:
            if mark.mention:
                rest = self.marks[self.marks.index(mark) + 1 :]
                return not (rest and rest[0].kind is Kind.REGION)
            if mark.kind is not Kind.COMMA:
                return False
        return False

    def _has_preposition(self, first: int) -> bool:
        words = self.tokens.words
        at = first - 1
        while at >= 0 and words[at] in grammar().determiners:
            at -= 1
        return (at >= 0 and words[at] in grammar().places) or words[first] in grammar().places


def _is_a_verb(mark: Mark) -> bool:
    return mark.kind is Kind.VERB or (mark.kind is Kind.LEADS and mark.meaning.how in {"by", "verbs"})


def _both(one: Region, other: Region) -> Region:
    """Two regions as one that claims both."""
    return Region(Extent.PLACED, one.claims + other.claims)


def _is_beside(tokens: Tokens, mark: Mark) -> bool:
    """Whether a class is named only to say where another one is."""
    beside = grammar().beside
    words = tokens.words
    for back in range(1, _ADJECTIVES + 2):
        at = mark.first - back
        if at < 0 or not words[at].isalpha() or words[at] in {"and", "or", "is", "are", "of"}:
            return False
        if (words[at],) in beside or tuple(words[max(at - 1, 0) : at + 1]) in beside:
            return True
    return False
