"""Where a sentence places the classes that it names.

A region stands in front of what it holds ("The top left holds trees and water"), or behind it ("Trees cover the top
left, with water in the south"). What is behind takes the classes before it, back to the last comma, "and" or "with" at
which something new began; what is in front takes all that follow, up to the next region, whatever stands behind them
apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tasks.wording.asides import place_additions, without_brackets
from tasks.wording.company import place_company
from tasks.wording.doubts import read_otherwise
from tasks.wording.marks import Mark, Mention
from tasks.wording.pairing import pair, with_ordinals
from tasks.wording.phrasing import Phrasing
from tasks.wording.regions import VAGUE, Extent, Region
from tasks.wording.tokens import Tokens
from tasks.wording.vocabulary import JOINS, Kind, grammar

_CORNERS = frozenset({"corner", "quarter", "quadrant"})


@dataclass(slots=True)
class Placing:
    """Places the classes of one sentence after another.

    Attributes:
        tokens: those of the caption.
        before: the place that the sentence before ended in.
        last: the last place of all sentences before.
    """

    tokens: Tokens
    before: Region | None = None
    last: Region | None = None

    def place(self, marks: Sequence[Mark], first: int) -> None:
        """Places the classes of the sentence that begins at a token."""
        regions = [mark for mark in marks if mark.kind is Kind.REGION]
        word = self.tokens.words[first]
        pronoun = word in grammar().it or (word == "there" and Phrasing(self.tokens, marks).begins_there(first))
        it = pronoun and self.before is not None and self.before.extent is Extent.PLACED
        if not regions and not it:
            self.before = None if marks else self.before
            return
        rest = with_ordinals(self.tokens, without_brackets(self.tokens, marks))
        sentence = _Sentence(
            self.tokens, rest, Phrasing(self.tokens, rest), self.before, self.last, VAGUE if it else None, first
        )
        sentence.place()
        place_additions(self.tokens, rest)
        place_company(self.tokens, rest)
        read_otherwise(self.tokens, rest)
        pair(self.tokens, rest)
        self.before = sentence.topic or sentence.latest
        self.last = self.before or self.last


@dataclass(slots=True)
class _Sentence:
    """One sentence while it is read.

    Attributes:
        tokens: those of the caption.
        marks: its phrases.
        phrasing: how they stand to each other.
        before: the place of the sentence before.
        last: the last place of all sentences before.
        front: the place that stands in front of what is read.
        since: the first word of the sentence, then after the last class or region.
        open: classes that a place to come may stand behind.
        closed: the same before the last comma, for a place that comes as an afterthought.
        placed: the classes that the last place stood behind.
        latest: the last place.
        topic: the last place that no other is held against.
        corner: the last quarter.
        verb: whether a verb has come since the open classes began.
        verbs: how many open classes stand before each of the verbs.
        fresh: whether nothing but commas and "and" has come since the last place.
        behind: whether the last place stood behind its classes.
        adding: whether the open classes came after "with".
        negated: whether "not" has come since the last class.
        inner: whether what is read stands after "where".
        outer: the place in front of the clause that this stands in.
        left_out: patches that the sentence has made an exception of.
        resumed: whether a second verb has come for the same subject: "trees ring the lake and are densest ...".
        named: whether the sentence has named a class.
        late: whether it had done so when the place in front came.
        lining: placed classes that a second verb has line what is named next: they are where that is.
        near: classes that others are next to: they are there as well, where the place stands in front.
    """

    tokens: Tokens
    marks: Sequence[Mark]
    phrasing: Phrasing
    before: Region | None
    last: Region | None
    front: Region | None
    since: int
    open: list[Mention] = field(default_factory=list)
    closed: list[Mention] = field(default_factory=list)
    placed: list[Mention] = field(default_factory=list)
    latest: Region | None = None
    topic: Region | None = None
    corner: Region | None = None
    verb: bool = False
    verbs: list[int] = field(default_factory=list)
    fresh: bool = False
    behind: bool = False
    adding: bool = False
    negated: bool = False
    inner: bool = False
    outer: Region | None = None
    left_out: frozenset[int] = frozenset()
    resumed: bool = False
    named: bool = False
    late: bool = False
    lining: list[Mention] = field(default_factory=list)
    near: list[Mention] = field(default_factory=list)

    def place(self) -> None:
        """Places all classes of the sentence."""
        adjective: Region | None = None
        for at, mark in enumerate(self.marks):
            if mark.mention is not None:
                self._name(at, mark, mark.mention, adjective)
                adjective = None
            elif mark.kind is Kind.REGION and mark.region is not None:
                follows = self.marks[at + 1] if at + 1 < len(self.marks) else None
                if mark.region.adjective and follows and follows.mention and follows.first == mark.last + 1:
                    adjective = mark.region
                else:
                    self._region(at, mark, mark.region)
            else:
                self._join(at, mark)
                continue
            self.since = mark.last + 1

    def _name(self, at: int, mark: Mark, mention: Mention, adjective: Region | None) -> None:
        before = self.marks[at - 1] if at else None
        of = before is not None and self.tokens.words[before.last + 1 : mark.first] in (["of", "the"], ["of", "a"])
        front = self.front
        placed = front is not None and front.extent is Extent.PLACED
        of_one = before.mention if of and before else None
        beside = self.phrasing.beside(mark)
        if beside or self.phrasing.is_an_exception(at) or (of_one and of_one.beside):
            mention.beside = True
        elif self.behind and self.phrasing.is_next_to_something_new(self.since, mark.first):
            front = self.latest  # "lawns in the north, beside a pond"
        elif beside is False or of_one in self.near:
            self.near.append(mention)
            mention.beside = mention.beside or not placed or self.phrasing.is_the_subject_beside(at)
        self.named = True
        parting = self.phrasing.parting(self.since, mark)
        if parting:
            for open in self.open:
                open.regions = [VAGUE]
        if parting is not None or (self.open and self.phrasing.has_a_place_of_its_own(self.since, mark.first)):
            self._begin([])
        if adjective:
            mention.regions = [adjective]
            return
        if not mention.bracketed:
            mention.regions = [front] if front else []
            self.open.append(mention)
        self.placed, self.fresh, self.negated = [], False, False

    def _join(self, at: int, mark: Mark) -> None:
        """Goes on after a mark that is neither a class nor a region."""
        if mark.is_a_verb:
            self._do(at)
        elif mark.kind in (Kind.DENIES, Kind.DENIES_BEFORE):
            self.negated = True
            if self.open and self.tokens.words[mark.last] == "not" and self.marks[at - 1].mention is self.open[-1]:
                self.open[-1].regions = [VAGUE]  # "the trees do not reach that far"
        elif mark.kind is Kind.BREAK:
            if self.behind and self.late:
                self.front = None  # "the middle is shrub, grass leads in the south, while water is scarce"
            if self.latest and self.tokens.words[mark.last + 1 : mark.last + 3] == ["there", ","]:
                self._stand_in_front(_any_of(self.latest))
            elif self.phrasing.next(at) is not Kind.REGION or not self.phrasing.is_left_out(self.marks[at + 1]):
                self._begin([])
                self.placed, self.fresh, self.negated, self.adding = [], False, False, False
        elif mark.kind is Kind.WITH:
            self._add(at)
        elif mark.kind in (Kind.ADDING, Kind.RELATIVE):
            self._relate(at, mark)
        elif mark.kind in JOINS:
            self._list(at, mark)

    def _do(self, at: int) -> None:
        """Goes on after a verb."""
        if self.verb and self.phrasing.is_of_the_class_before(at):
            self._begin(self._behind_the_verb())  # "trees fringe the lake that fills ..."
        self.verb, self.fresh = True, False
        self.verbs.append(len(self.open))

    def _add(self, at: int) -> None:
        """Goes on after "with"."""
        if self.open and not self.verb and self.phrasing.is_of_a_noun(at):
            return  # "a lake with straight banks lies ..."
        if self.behind and self.placed and self.phrasing.tells_more_of_the_same(at):
            self.placed = self.phrasing.subjects(at) or self.placed
            return
        self._begin([])
        self.fresh, self.adding = False, True
        if self.phrasing.next(at) is not Kind.REGION or not self.phrasing.is_left_out(self.marks[at + 1]):
            self.placed = []

    def _begin(self, closed: list[Mention]) -> None:
        """Something new begins."""
        self.open, self.closed, self.verb, self.verbs, self.resumed, self.lining = [], closed, False, [], False, []

    def _relate(self, at: int, mark: Mark) -> None:
        """What follows is said of the last place, or of what stands before."""
        in_which = mark.kind is Kind.RELATIVE and mark.last > mark.first
        if in_which and self.tokens.words[mark.first] in grammar().aside:
            self._stand_in_front(VAGUE)  # "..., beyond which ..."
        elif in_which and (at == 0 or not self.phrasing.is_right_behind_a_region(at)):
            self._begin([])  # "a landscape in which ..."
        elif in_which or self.tokens.words[mark.first] in {"where", "wherein"}:
            self.outer = self.outer if self.inner else self.front
            self.front, self.inner, self.fresh = _any_of(self.latest), True, False
            self._begin([])
        elif mark.kind is Kind.ADDING and self.phrasing.next(at) is Kind.REGION and self.phrasing.is_next_to(at):
            pass  # "in the top left as well as in the south"
        elif self.latest and (
            self.phrasing.is_of_the_region(at) or (self.fresh and mark.kind is Kind.ADDING and self.behind)
        ):
            self._stand_in_front(self.latest)
        elif mark.kind is Kind.ADDING:
            self.verbs = []

    def _list(self, at: int, mark: Mark) -> None:
        """After a comma or "and" a list goes on, or something new begins."""
        follows = self.tokens.words[mark.last + 1 : mark.last + 2]
        if follows in (["it"], ["they"], ["those"], ["then"]):
            goes_on = mark.kind is not Kind.AND or (follows == ["it"] and self.phrasing.is_said_of_the_place(at))
            self._stand_in_front(self.front if goes_on else VAGUE)
            self.fresh = False
        elif self.inner and mark.kind is Kind.COMMA and self.phrasing.is_left(at):
            self._stand_in_front(self.outer)
            self.inner, self.behind, self.fresh = False, self.outer is None, False
        elif self.inner and mark.kind is Kind.COMMA and self.phrasing.speaks_of_the_scene(at):
            self._stand_in_front(None)  # "except in the middle, where a lake lies, the scene is forest"
            self.inner = False
        elif self.adding and self.phrasing.begins_anew(at):
            self._begin([])
            self.adding = False
        elif mark.kind is Kind.AND and self.phrasing.next(at) in (Kind.VERB, Kind.LEADS):
            self.resumed = self.marks[at + 1].first == mark.last + 1
            if self.resumed and self.tokens.words[self.marks[at + 1].first] in grammar().touching:
                self.lining = list(self.placed)
        elif self.verb and (before := self.phrasing.insertion(at)) is not None:
            subjects = self._subjects() if self.marks[before].mention else []
            self._begin([])
            self.open, self.inner = subjects, False
        elif self.verb and self.phrasing.next(at) is Kind.RELATIVE:
            self._begin(self._behind_the_verb() or self.open)  # "the lake is ringed by trees, which ..."
        elif self.verb:
            self._begin(self._subjects())

    def _region(self, at: int, mark: Mark, region: Region) -> None:
        """Goes on after a region."""
        region = self._the_same(mark) if region.extent is Extent.SAME else self._on_side(mark, region)
        has_front = self.front is not None and self.front.extent is Extent.PLACED
        if (
            region.extent is Extent.SAME
            or self.phrasing.meets_another(at)
            or (region.extent is Extent.WHOLE and self.open and self.phrasing.is_the_only_one(at))
            or (has_front and "its" in self.tokens.words[mark.first - 1 : mark.first + 1])
            or (at and self.marks[at - 1].kind is Kind.REGION and self.marks[at - 1].last + 1 == mark.first)
            or self.phrasing.is_of_a_class(at, mark, region)
            or (has_front and self.open and self.phrasing.is_on_a_way(at))
        ):
            return
        if has_front and self.phrasing.is_the_rest(mark):
            self.open = [] if self.open and not self.verb else self.open  # "and shrubs the rest"
            return
        if self.phrasing.is_left_out(mark):
            self._leave_out(region)
            return
        if self.phrasing.is_without(at):
            self._begin([])
            return
        if region.extent is Extent.WHOLE and self.open:
            for mention in self.open:
                mention.regions = [region]  # a closer place may follow: "the only lake in the scene lies in the north"
            self.fresh = False
            return
        if self.phrasing.is_compared(mark):
            self.latest, self.fresh = region, False
            return
        self.latest = self.topic = region
        self.corner = region if region.is_a_corner else self.corner
        if self.open and (has_front or not self.verb) and "from" in self.tokens.words[self.since : mark.first + 1]:
            region = VAGUE  # "... and buildings from the south": what is said of them was said before
        if len(self.open) > 1 and self.phrasing.is_the_beginning_of_a_way(at):
            region = VAGUE  # "trees and grass alternate from west to east"
        region = (
            VAGUE
            if self.negated or self.phrasing.is_headed_for(at) or self.phrasing.parting(self.since, mark) is not None
            else self._without(region)
        )
        preposition = self.phrasing.has_preposition(mark.first)
        if self.tokens.words[mark.first - 1] == "whose" or self.phrasing.is_the_end_of_a_tour(at):
            # "A forest whose southern part is cleared", "from the north, where trees grow, to the south, where ..."
            self._stand_in_front(region)
        elif self.fresh:
            self._further_region(at, mark, region, preposition)
        else:
            self._new_region(at, mark, region, preposition)
        self.fresh, self.verb, self.resumed = True, False, False

    def _the_same(self, mark: Mark) -> Region:
        """The place that "here", "this part" or "the same corner" speaks of."""
        noun = self.tokens.words[mark.last]
        if self.tokens.words[mark.last + 1 : mark.last + 2] == ["of"]:
            return VAGUE  # "apart from that corner of cropland": whichever it was
        if noun in _CORNERS:
            told = (self.latest, self.corner, self.before, self.last)
            return next((place for place in told if place is not None and place.is_a_corner), VAGUE)
        return self.topic or self.latest or self.before or (mark.region if noun == "here" else self.last) or VAGUE

    def _on_side(self, mark: Mark, region: Region) -> Region:
        """The quarter that "the upper part" is in a sentence on "the left side"; it is the mark's from then on."""
        if self.front is not None and self.tokens.words[mark.last + 1 : mark.last + 2] != ["of"]:
            mark.region = region = region.on_side(self.front)
        return region

    def _new_region(self, at: int, mark: Mark, region: Region, preposition: bool) -> None:
        """Tells whether a region stands behind classes, and which, or in front of what follows."""
        if not preposition and at and self.phrasing.is_described_before(at):
            self._stand_behind(self.open or self.closed, region)  # "mostly covered by trees, the north ..."
            self._stand_in_front(region)
        elif (self.open or self.closed) and self.phrasing.has_a_noun_of_its_own(self.since, mark.first):
            self._begin([])  # "trees and shrubs, and human use is limited to the south"
            self.behind, self.placed = True, []
        elif self.open and not self._begins(at, mark, preposition):
            objects = self._objects(at, self.phrasing.preposition(mark.first))
            if len(objects) > 1 and (self.phrasing.sums_up() or self.phrasing.is_after_a_comma(at, objects[-1])):
                for other in objects[:-1]:
                    other.regions = [VAGUE]  # "scrub, a bare stretch in the north"
                objects = objects[-1:]
            one = mark.region == VAGUE and self.tokens.words[mark.first] == "one"  # "along one side": of the front
            self._stand_behind(objects, self.front if one and self.front else region)
            self.open, self.verbs = [], []
        elif self.tokens.words[mark.last + 1 : mark.last + 2] == ["that"] and self.phrasing.starts_with_a_pronoun(
            self.marks[0].first
        ):
            self._stand_in_front(region)  # "it is in the north that trees ..."
        elif self._has_another_subject(at, mark, preposition):
            self.behind, self.placed = True, []
        elif self.verb and self.behind and preposition and self.placed:
            # "lies in the south and reaches into the middle"
            for mention in self.placed:
                mention.regions += [region] if region.extent is Extent.PLACED else []
        elif self.closed and self._is_an_afterthought(at, mark, preposition):
            unplaced = [mention for mention in self.closed if mention.of_whole]
            self._stand_behind(unplaced, region)
            for mention in unplaced:
                mention.aside = True
            self.closed = []
        else:
            self._stand_in_front(region)

    def _further_region(self, at: int, mark: Mark, region: Region, preposition: bool) -> None:
        """One more region after another, as in "in the top left and the top right"."""
        follows = "".join(self.tokens.words[mark.last + 1 : mark.last + 2])
        is_for = preposition and self.phrasing.preposition(mark.first) == "for" and self.phrasing.next(at) is Kind.VERB
        if is_for or (preposition and (follows in grammar().it or follows == "there")):
            self._stand_in_front(region)  # "..., for the south is all trees", "..., and in the south it meets trees"
        elif not self.behind:
            front = self.front
            if not preposition and self.phrasing.is_the_subject(at):
                front = None  # "of the lower quarters, the left one holds ..."
            both = front is not None and front.extent is region.extent is Extent.PLACED
            together = front.together_with(region) if front is not None and both else region
            if self.phrasing.is_the_end_of_a_way(at):
                together = VAGUE
            self._stand_in_front(together)
        elif self.phrasing.preposition(mark.first) in {"toward", "towards"} or self.phrasing.is_of_other_land(at):
            pass  # how far it goes is not said, or what is there
        elif not self.phrasing.is_the_end_of_a_way(at) and self.phrasing.holds_what_follows(at, preposition):
            self._stand_in_front(region)
        else:
            for mention in self.placed:
                mention.regions = [*mention.regions, region]

    def _stand_in_front(self, region: Region | None) -> None:
        self._begin([])
        self.front, self.behind, self.placed, self.late = region, False, [], self.named

    def _stand_behind(self, mentions: list[Mention], region: Region) -> None:
        for mention in mentions:
            mention.regions = [region]
            mention.beside = mention.beside or mention in self.near
        for mention in self.lining:
            mention.regions, mention.surely = [*mention.regions, region], True
        self.placed, self.behind, self.lining = mentions, True, []

    def _begins(self, at: int, mark: Mark, preposition: bool) -> bool:
        """Whether a region stands in front of something new, right after a comma or "and".

        Without a preposition it is a subject: ", and the south holds crops". With one it goes on in the manner of the
        region in front: "In the north lie fields, and in the south woods".
        """
        before = self.marks[at - 1] if at else None
        if before is not None and before.kind not in (*JOINS, Kind.BREAK):
            return False
        gap = self.tokens.words[before.last + 1 if before else 0 : mark.first]
        if preposition:
            return (
                (self.front is not None or self.behind)
                and self.phrasing.names_more(at)
                and grammar().opening.issuperset(gap)
            )
        return grammar().determiners.issuperset(gap[-3:])

    def _is_an_afterthought(self, at: int, mark: Mark, preposition: bool) -> bool:
        """Whether a region says where the classes before the last comma are."""
        if not preposition:
            return self.marks[at - 1].kind is not Kind.AND and self.phrasing.next(at) in (None, Kind.BREAK)
        return not self.phrasing.names_more(at) or self.phrasing.is_an_aside(at, mark)

    def _objects(self, at: int, preposition: str) -> list[Mention]:
        """The open classes that a place behind them is said of: all, or those next to it.

        Args:
            at: number of the place's mark.
            preposition: what joins the place. "Of" joins it to what stands after any verb ("crops replace the woods of
                the north"), and "to" after a noun to the last class ("a town, and a lake to the south").
        """
        if self.phrasing.is_of_an_object(at):
            return self._behind_the_verb()
        if self.resumed and self.verbs and 0 < self.verbs[0] < len(self.open):
            return self._behind_the_verb() if self.verbs[-1] < len(self.open) else self._subjects()
        if preposition == "from":
            return self._subjects()
        if preposition == "to" and (not self.verbs or self.phrasing.is_right_behind_a_class(at)):
            return self.open[-1:]
        between = [count for count in sorted(set(self.verbs)) if 0 < count < len(self.open)] if self.verb else []
        of_one = preposition == "of" and not self.phrasing.is_of_what_holds_another(at)
        after = self.open[max(between) :] if len(between) > (0 if of_one else 1) else self.open
        return after if any(not mention.beside for mention in after) else self.open

    def _behind_the_verb(self) -> list[Mention]:
        """The open classes behind the last verb; all, where none is."""
        return self.open[max(self.verbs, default=0) :]

    def _subjects(self) -> list[Mention]:
        """The open classes before the first verb; all, where none is."""
        return self.open[: self.verbs[0]] if self.verbs and self.verbs[0] else self.open

    def _leave_out(self, region: Region) -> None:
        """Takes a region out of what the last place claims, and those to come."""
        self.left_out |= {row for rows in region.claims for row in rows}
        for mention in self.placed:
            mention.regions = [self._without(placed) for placed in mention.regions]
        if self.front is not None:
            self.front = self._without(self.front)
        self.latest = region

    def _without(self, region: Region) -> Region:
        """A region without the exceptions, where it claims several places: "every quarter"."""
        if len(region.claims) < 2 or not self.left_out:
            return region
        claims = tuple(rows for rows in region.claims if not self.left_out.issuperset(rows))
        return Region(Extent.PLACED, claims) if claims else VAGUE

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
            return (before is self.marks[0] and self.phrasing.starts_with_a_pronoun(start)) or not self.phrasing.opens(
                at
            )
        return not (before.first == start and self.tokens.words[start].endswith("ing"))


def _any_of(region: Region | None) -> Region:
    """Several places as one, of which any will do: "in the centre and the south, where crops are found"."""
    if region is None:
        return VAGUE
    if len(region.claims) < 2:
        return region
    rows = tuple(sorted({row for claim in region.claims for row in claim}))
    return Region(region.extent, (rows,), region.adjective)
