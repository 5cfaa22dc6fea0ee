"""A caption as words: where each stands, where sentences end, and where phrases of a vocabulary are."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")

# A hyphen within a word separates its parts and is no token itself; every other sign is one. "3rd" is a word.
_TOKEN = re.compile(
    r"[^\W\d_]+(?:['’][^\W\d_]+)?|\d+(?:(?i:st|nd|rd|th)(?![^\W_])|(?:[.,]\d+)*)|(?!(?<=\w)[-‐‑](?=\w))[^\w\s]|_"
)
_ENDS = frozenset(".!?…。！？")
_ARTICLES = frozenset({"the", "its", "this"})
_CLOSES = frozenset("\"'”’)]*_")
_ALTERNATIVES = re.compile(r"\(([^)]*)\)")


@dataclass(frozen=True, slots=True)
class Tokens:
    """The words and signs of a text.

    Attributes:
        text: the text.
        words: in lower case, without "'s"; "isn't" is two of them, "is" and "not".
        starts: where each begins in the text.
        ends: where each ends.
        sentences: first token of each sentence, and the one after its last.
    """

    text: str
    words: list[str]
    starts: list[int]
    ends: list[int]
    sentences: list[tuple[int, int]]

    def glued(self, index: int) -> bool:
        """Whether a hyphen joins a word to the one before."""
        return (
            0 < index < len(self.words)
            and self.starts[index] == self.ends[index - 1] + 1
            and self.text[self.ends[index - 1]] in "-‐‑"
        )

    def sentence(self, at: int) -> tuple[int, int]:
        """The first token of the sentence that a token stands in, and the one after its last."""
        return next((first, end) for first, end in self.sentences if first <= at < end)

    def span(self, first: int, last: int) -> tuple[int, int]:
        """Where the words from first to last stand in the text."""
        return self.starts[first], self.ends[last]


def tokenise(text: str) -> Tokens:
    """The words and signs of a text, and its sentences."""
    spans = [match.span() for match in _TOKEN.finditer(text)]
    lower = text.lower()
    if len(lower) != len(text):  # letters that are two in lower case
        lower = "".join(letter.lower()[:1] for letter in text)
    words = [lower[start:end] for start, end in spans]
    if "'" in text or "’" in text or "cannot" in lower:
        words, spans = _without_contractions(words, spans)
    starts = [start for start, _ in spans]
    ends = [end for _, end in spans]
    stops = [at for at, word in enumerate(words) if word in _ENDS]
    if "\n" in text:
        stops += (at for at in range(len(words) - 1) if "\n" in text[ends[at] : starts[at + 1]])
        stops = sorted(set(stops))
    return Tokens(text, words, starts, ends, list(_sentences(text, words, starts, ends, stops)))


def _without_contractions(words: list[str], spans: list[tuple[int, int]]) -> tuple[list[str], list[tuple[int, int]]]:
    """Words and their places with "isn't" as two words, and without "'s"."""
    parted: list[str] = []
    places: list[tuple[int, int]] = []
    for word, span in zip(words, spans, strict=True):
        stem, rest = (
            _contraction(word) if len(word) > 1 and ("'" in word or "’" in word or word == "cannot") else ("", word)
        )
        if stem:
            parted.append(stem)
            places.append(span)
        parted.append(rest)
        places.append(span)
    return parted, places


def _contraction(word: str) -> tuple[str, str]:
    """What stands before "not" in a word, if it ends in it, and the word; "'s" is left out."""
    if word == "cannot":
        return "can", "not"
    word = word.replace("’", "'")
    if word.endswith("n't"):
        return word[:-3], "not"
    return "", word.removesuffix("'s")


def _sentences(
    text: str, words: list[str], starts: list[int], ends: list[int], stops: list[int]
) -> Iterator[tuple[int, int]]:
    """Sentences, which end at a stop, with the quotes and brackets that close after it."""
    first = 0
    count = len(words)
    for stop in stops:
        last = stop
        while words[stop] in _ENDS and last + 1 < count and words[last + 1] in _CLOSES | _ENDS:
            if starts[last + 1] > ends[last]:
                break  # it opens what follows: ". **Top right:**"
            last += 1
        follows = starts[last + 1] if last + 1 < count else None
        # "approx. half" goes on in lower case.
        goes_on = follows is not None and words[stop] in _ENDS and (follows == ends[last] or text[follows].islower())
        if stop >= first and not goes_on:
            yield first, last + 1
            first = last + 1
    if first < count:
        yield first, count


def expand(pattern: str) -> Iterator[str]:
    """The phrases of a pattern: ``(a|b|) c`` is "a c", "b c" and "c"."""
    pieces = _ALTERNATIVES.split(pattern)
    options = [piece.split("|") if at % 2 else [piece] for at, piece in enumerate(pieces)]
    for chosen in itertools.product(*options):
        yield " ".join("".join(chosen).split())


def plural(noun: str) -> str:
    """The regular plural of a noun, or of the last word of several."""
    if noun.endswith(("s", "x", "ch", "sh")):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"


class Phrases(Generic[_T]):
    """A vocabulary of phrases, each with its meaning. Of two that begin at one word, the longer is meant."""

    def __init__(self) -> None:
        self._root: dict[str, Any] = {}

    def add(self, phrases: Iterable[str], meaning: _T) -> None:
        """Adds phrases, given as patterns (see `expand`); one that is there gets the new meaning."""
        for pattern in phrases:
            for phrase in expand(pattern):
                node = self._root
                for word in phrase.replace("-", " ").split():
                    node = node.setdefault(word, {})
                node[""] = meaning

    @property
    def first_words(self) -> frozenset[str]:
        """The words that phrases begin with."""
        return frozenset(self._root)

    def begins(self, words: list[str], at: int) -> _T | None:
        """What the longest phrase that begins at a word means; None where none does."""
        node = self._root.get(words[at]) if at < len(words) else None
        return None if node is None else _longest(node, words, at, len(words))[1]

    def found(self, words: list[str], first: int = 0, end: int | None = None) -> Iterator[tuple[int, int, _T]]:
        """The phrases among words from first to before end: first and last word, and what is meant."""
        end = len(words) if end is None else end
        root = self._root
        begins = [at for at, word in enumerate(words[first:end], first) if word in root]
        free = first
        for at in begins:
            if at < free:
                continue
            node = root[words[at]]
            if "" not in node and (at + 1 == end or words[at + 1] not in node):
                continue
            start = at
            last, meaning = _longest(node, words, at, end)
            if at + 1 < end and words[at] in _ARTICLES and (node := root.get(words[at + 1])) is not None:
                # Of "the top" and "top left" in "the top left" the second is meant.
                later, other = _longest(node, words, at + 1, end)
                if later > last:
                    start, last, meaning = at + 1, later, other
            if last >= start:
                yield start, last, meaning
                free = last + 1


def _longest(node: dict[str, Any] | None, words: list[str], at: int, end: int) -> tuple[int, Any]:
    """The last word of the longest phrase that begins with a node, before `at` where none does, and its meaning."""
    last, meaning = at - 1, None
    while node is not None:
        if "" in node:
            last, meaning = at, node[""]
        at += 1
        node = node.get(words[at]) if at < end else None
    return last, meaning
