"""The phrases of a sentence that matter, and the classes that it names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tasks.wording.lexicon import lexicon
from tasks.wording.regions import Extent, Region
from tasks.wording.tokens import Tokens
from tasks.wording.vocabulary import Kind, Meaning, grammar

_NO_CLASS_BEFORE = frozenset(
    {"like", "lined", "lining", "loving", "rich", "poor", "themed", "shaped", "sized", "dominated"}
)
"""Joined to a class by a hyphen, these make another thing of it; a dominated part is told by its own words."""


_VERBS_TOO = frozenset({"house", "houses", "harbour", "harbours", "harbor", "harbors"})
_ARTICLES = frozenset({"a", "an", "the", "any", "some", "every", "no"})
_ADJECTIVES = 5
_AFTER_ADJECTIVES = _ARTICLES | {
    "and",
    "or",
    "with",
    "which",
    "where",
    "while",
    "but",
    "in",
    "its",
    "it",
    "that",
    "as",
    "so",
}
_NO_NOUNS = frozenset({"is", "are", "was", "were", "be", "has", "have", "consist", "consists", "made", "found"})


@dataclass(slots=True, eq=False)
class Mention:
    """A class named in a caption.

    Attributes:
        classes: ids that the word may stand for, the likeliest first.
        span: where it stands in the text.
        denied: whether it is said not to be there.
        doubted: whether it may be said not to be there, so that nothing is claimed of it.
        by_a_denial: whether its clause denies something, so that it may be a part of that.
        in_closing: whether it stands in the words that sum a caption up, which are no rulers of places.
        beside: whether it only says where another class is ("along the river").
        regions: where it is placed; none where nothing is said of that.
        surely: whether it is there beyond doubt.
        otherwise: places of its clause that it could also be read to be in.
        aside: whether that is added after a comma, so that what is said before is said of the whole.
        bracketed: whether its place stands in brackets behind it.
        size: number of the band that its share is said to be in; None where none is said.
        size_span: where that is said.
    """

    classes: tuple[int, ...]
    span: tuple[int, int]
    denied: bool = False
    doubted: bool = False
    by_a_denial: bool = False
    in_closing: bool = False
    beside: bool = False
    regions: list[Region] = field(default_factory=list)
    surely: bool = False
    otherwise: list[Region] = field(default_factory=list)
    aside: bool = False
    bracketed: bool = False
    size: int | None = None
    size_span: tuple[int, int] = (0, 0)

    @property
    def of_whole(self) -> bool:
        """Whether what is said of it is said of the whole tile."""
        return all(region.extent is Extent.WHOLE for region in self.regions)


@dataclass(slots=True, eq=False)
class Mark:
    """A phrase of the vocabulary in a sentence.

    Attributes:
        first: its first token.
        last: its last token.
        meaning: what it means.
        kind: what it does, as `meaning` has it.
        mention: the class that it names, if it names one.
        region: the place that it names, if it names one.
    """

    first: int
    last: int
    meaning: Meaning
    kind: str
    mention: Mention | None = None
    region: Region | None = None

    @property
    def mention_regions(self) -> Sequence[Region]:
        """Where the class that it names is placed."""
        return self.mention.regions if self.mention else ()

    @property
    def is_a_verb(self) -> bool:
        """Whether it is the verb of a clause."""
        return self.kind is Kind.VERB or (self.kind is Kind.LEADS and self.meaning.how in {"by", "verbs"})


def marks(tokens: Tokens, first: int, end: int) -> Iterator[Mark]:
    """The phrases of a sentence, from its first token to before its end."""
    words, known = tokens.words, grammar()
    before = noun = -1
    previous: Mark | None = None
    for start, last, meaning in known.vocabulary.found(words, first, end):
        kind = meaning.kind
        is_size, before = before == start - 1, last if kind is Kind.SIZE else -1
        if kind is Kind.COMMA and _joins_adjectives(words, start, end, noun):
            continue
        if kind is not Kind.SIZE:
            noun = last
        if kind is Kind.PLAIN or (kind is Kind.VERB and _is_a_noun(words, start, end, is_size)):
            continue
        if meaning.region is not None and meaning.region.adjective and known.scene.begins(words, last + 1):
            continue  # "a northern landscape"
        if kind not in (Kind.CLASS, Kind.DENIED_CLASS):
            previous = Mark(start, last, meaning, kind, region=meaning.region)
            yield previous
            continue
        after_region = previous is not None and previous.kind is Kind.REGION and start <= previous.last + 2
        if after_region and words[start] in _VERBS_TOO:
            continue  # "the top left houses trees"
        joined = words[last + 1] if last + 1 < end and tokens.glued(last + 1) else ""
        if joined in _NO_CLASS_BEFORE and joined != "dominated":
            continue
        non = start > first and words[start - 1] == "non"
        mention = Mention(meaning.classes, (tokens.starts[start], tokens.ends[last]))
        describes = last + 1 < end and words[last + 1] in known.scenery
        mention.beside = describes or words[last] in lexicon().shores
        mention.denied = kind is Kind.DENIED_CLASS or joined == "free" or non
        if previous is not None and previous.mention and previous.last + 1 == start and not tokens.glued(start):
            previous.mention.beside = True  # "a harbour city" is no harbour
        previous = Mark(start, last, meaning, Kind.CLASS, mention)
        yield previous


def _joins_adjectives(words: list[str], comma: int, end: int, since: int) -> bool:
    """Whether a comma stands between adjectives of one noun: "a small, compact village"."""
    begins = max(since + 1, comma - _ADJECTIVES)
    if {"a", "an"}.isdisjoint(words[begins:comma]) or comma + 1 >= end:
        return False
    follows = words[comma + 1]
    is_a_verb = follows.endswith("s") and not follows.endswith(("ss", "ous"))  # "..., forms a small part, leads to ..."
    joins = follows in _AFTER_ADJECTIVES or follows in grammar().places
    return follows.isalpha() and not (joins or is_a_verb)


def _is_a_noun(words: list[str], at: int, end: int, after_size: bool) -> bool:
    """Whether a word that may be a verb is a noun: "a small share", "the cover", "a line of trees"."""
    if words[at].endswith(("ed", "ing")) or words[at] in _NO_NOUNS:
        return False
    return after_size or (at > 0 and words[at - 1] in _ARTICLES) or (at + 1 < end and words[at + 1] == "of")
