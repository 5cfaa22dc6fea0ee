"""From facts to sentences: frames are drawn, filled and joined so that a caption reads as one piece.

A frame is a sentence of `frames.yaml`. Which frame and which words are used is drawn from a seed with SHA-256, so that
one seed gives one caption on every machine and under every version of Python.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from itertools import count
from typing import TypeVar

import yaml

from tasks.captions.lexicon import Lexicon, Noun, lexicon
from tasks.captions.observations import View

_T = TypeVar("_T")

_TRIED = 4
"""Frames filled to see how they start, before one of them is taken."""

_MARK = re.compile(r"\{(\w+)\}|\[(?:(\w+):)?([^|\]]*)\|([^\]]*)\]")


@dataclass(frozen=True)
class Slot:
    """A place in a frame that is filled with words."""

    name: str


@dataclass(frozen=True)
class Verb:
    """A word that agrees with a slot: the one named, else the last one before it that names classes."""

    singular: str
    plural: str
    slot: str


@dataclass(frozen=True)
class Frame:
    """A sentence with slots.

    Attributes:
        text: as written in `frames.yaml`.
        parts: fixed text, slots and verbs in their order.
        slots: names of its slots.
        says_cover: whether its fixed text uses the word "cover", which class nouns then avoid.
    """

    text: str
    parts: tuple[str | Slot | Verb, ...]
    slots: frozenset[str]
    says_cover: bool


@dataclass(frozen=True)
class Statement:
    """One thing to say.

    Attributes:
        occasions: keys of `frames.yaml`; a frame of any of them says it.
        view: the region whose shares give classes their sizes.
        x: ids of the classes that it is about.
        y: ids of further classes, most pixels first; a frame that names them is used exactly if there are any.
        region: key of the region named, if one is.
        link: occasion of a linking word that may stand before it.
    """

    occasions: tuple[str, ...]
    view: View
    x: tuple[int, ...] = ()
    y: tuple[int, ...] = ()
    region: str | None = None
    link: str | None = None


@cache
def frames() -> dict[str, tuple[Frame, ...]]:
    """All frames by occasion, such as ``opening.most``."""
    content = _content()
    return {
        f"{topic}.{fact}": tuple(_frame(text) for text in texts)
        for topic, facts in content.items()
        if topic != "link"
        for fact, texts in facts.items()
    }


@cache
def links() -> dict[str, tuple[str, ...]]:
    """Words that tie a sentence to the one before, by occasion."""
    return {fact: tuple(texts) for fact, texts in _content()["link"].items()}


class Draws:
    """A reproducible stream of choices."""

    def __init__(self, seed: bytes) -> None:
        self._numbers = self._stream(seed)

    @staticmethod
    def _stream(seed: bytes) -> Iterator[int]:
        for block in count():
            digest = hashlib.sha256(seed + block.to_bytes(4, "big")).digest()
            for start in range(0, len(digest), 4):
                yield int.from_bytes(digest[start : start + 4], "big")

    def below(self, limit: int) -> int:
        """A whole number from 0 to below the limit."""
        return next(self._numbers) % limit

    def of(self, options: Sequence[_T]) -> _T:
        """One of the options."""
        return options[self.below(len(options))]


@dataclass
class Prose:
    """A caption as it is being written.

    Attributes:
        draws: where its choices come from.
        manner: how regions are called, ``compass`` or ``frame``.
        noun: what the tile is called.
        sentences: those written so far.
        named: ids of the classes named so far.
    """

    draws: Draws
    manner: str
    noun: str
    sentences: list[str] = field(default_factory=list)
    named: set[int] = field(default_factory=set)
    _lexicon: Lexicon = field(default_factory=lexicon)
    _used: set[str] = field(default_factory=set)
    _last: dict[int, Noun] = field(default_factory=dict)
    _linked: bool = False

    @property
    def words(self) -> int:
        """Words written so far."""
        return sum(sentence.count(" ") + 1 for sentence in self.sentences)

    @property
    def text(self) -> str:
        """The caption: one paragraph."""
        return " ".join(self.sentences)

    def say(self, statement: Statement) -> None:
        """Adds a sentence that says the statement, unlike the sentences before it where that can be helped."""
        filling = _Filling(self, statement)
        candidates = [frame for occasion in statement.occasions for frame in frames()[occasion] if filling.fits(frame)]
        fresh = [frame for frame in candidates if frame.text not in self._used] or candidates
        start = self.draws.below(len(fresh))
        order = fresh[start:] + fresh[:start]
        frame, sentence = self._best_start([(frame, filling.sentence(frame)) for frame in order[:_TRIED]])
        self._used.add(frame.text)
        self.named.update(statement.x if frame.slots & {"x", "m"} else ())
        self.named.update(statement.y if frame.slots & {"y", "s"} else ())
        if statement.link and not self._linked and self.draws.below(2):
            link = self.draws.of(links()[statement.link])
            sentence = link + sentence[0].lower() + sentence[1:]
            self._linked = True
        self.sentences.append(sentence)

    def noun_of(self, class_id: int, amount: bool, avoid_cover: bool) -> Noun:
        """What a class is called this time: a name at first, later another word than the last time."""
        words = self._lexicon.nouns(class_id)
        known = words.names if class_id not in self.named else words.names + words.synonyms
        options = [noun for noun in known if noun.number != ("plural" if amount else "amount")]
        if avoid_cover:
            options = [noun for noun in options if "cover" not in noun.text] or options
        last = self._last.get(class_id)
        noun = self.draws.of([noun for noun in options if noun != last] or options)
        self._last[class_id] = noun
        return noun

    def region(self, key: str) -> str:
        """What a region is called this time."""
        return self.draws.of(self._lexicon.regions[key].phrases[self.manner])

    def _best_start(self, options: Sequence[tuple[Frame, str]]) -> tuple[Frame, str]:
        """The option that starts least like the sentences before it; of equals, the first."""
        starts = [_start(sentence) for sentence in self.sentences]

        def likeness(option: tuple[Frame, str]) -> int:
            start = _start(option[1])
            return 2 * bool(starts and start[0] == starts[-1][0]) + (start in starts)

        return min(options, key=likeness)


class _Filling:
    """The words that one statement offers to a frame."""

    def __init__(self, prose: Prose, statement: Statement) -> None:
        self._prose = prose
        self._statement = statement
        self._view = statement.view
        offered = {"tile", "noun"}
        if statement.x:
            offered |= {"x", "m"}
        if statement.region is not None:
            offered.add("r")
        if len(statement.x) == 1 and self._view.valid and self._view.size(statement.x[0]):
            offered.add("size")
        if statement.y:
            offered.add("y")
            if all(self._view.size(class_id) for class_id in statement.y):
                offered.add("s")
        self._offered = frozenset(offered)

    def fits(self, frame: Frame) -> bool:
        """Whether the frame says what is to be said: all of its slots can be filled, and further classes are named."""
        names_others = bool(frame.slots & {"y", "s"})
        return frame.slots <= self._offered and names_others == bool(self._statement.y)

    def sentence(self, frame: Frame) -> str:
        """The frame filled with words."""
        filled = {part.name: self._words(part.name, frame) for part in frame.parts if isinstance(part, Slot)}
        text = []
        last = "x"
        for part in frame.parts:
            if isinstance(part, str):
                text.append(part)
            elif isinstance(part, Slot):
                text.append(filled[part.name].text)
                last = part.name if part.name in {"x", "m", "y", "s"} else last
            else:
                text.append(part.plural if filled[part.slot or last].plural else part.singular)
        sentence = "".join(text)
        return sentence[0].upper() + sentence[1:]

    def _words(self, slot: str, frame: Frame) -> Noun:
        statement, prose = self._statement, self._prose
        if slot == "x":
            return self._listed(statement.x, amount=False, avoid_cover=frame.says_cover)
        if slot == "m":
            return self._listed(statement.x, amount=True, avoid_cover=frame.says_cover)
        if slot == "y":
            return self._listed(statement.y, amount=False, avoid_cover=frame.says_cover)
        if slot == "s":
            return self._sized(statement.y, frame.says_cover)
        if slot == "size":
            size = self._view.size(statement.x[0])
            assert size is not None  # noqa: S101 - offered only where there is one
            return Noun(f"{prose.draws.of(size.spoken)} {prose.draws.of(lexicon().portions)}", "singular")
        if slot == "r":
            assert statement.region is not None  # noqa: S101 - offered only where there is one
            return Noun(prose.region(statement.region), "singular")
        if slot == "tile":
            return Noun(f"{'the' if prose.sentences else 'this'} {prose.noun}", "singular")
        return Noun(prose.noun, "singular")

    def _listed(self, class_ids: Sequence[int], amount: bool, avoid_cover: bool) -> Noun:
        nouns = [self._prose.noun_of(class_id, amount, avoid_cover) for class_id in class_ids]
        return nouns[0] if len(nouns) == 1 else Noun(_and([noun.text for noun in nouns]), "plural")

    def _sized(self, class_ids: Sequence[int], avoid_cover: bool) -> Noun:
        """Classes with their sizes, those of one size together: "a medium share of grass and traces of water"."""
        groups: dict[str, list[int]] = {}
        for class_id in class_ids:
            groups.setdefault(self._size_name(class_id), []).append(class_id)
        portions = lexicon().portions
        turn = self._prose.draws.below(len(portions))
        phrases = []
        plural = len(groups) > 1
        for index, members in enumerate(groups.values()):
            names = self._listed(members, amount=True, avoid_cover=avoid_cover).text
            size = self._view.size(members[0])
            assert size is not None  # noqa: S101 - the slot is offered only where all have one
            portion = portions[(turn + index) % len(portions)]
            if self._view.is_trace(members[0]):
                phrases.append(f"{self._prose.draws.of(lexicon().traces.phrases)} {names}")
                plural = True
            elif len(members) > 1:
                phrases.append(f"{self._prose.draws.of(size.spoken)} {portion}s of {names}")
                plural = True
            else:
                phrases.append(f"a {self._prose.draws.of(size.spoken)} {portion} of {names}")
        several = any(len(members) > 1 for members in groups.values())
        return Noun(_groups(phrases, several), "plural" if plural else "singular")

    def _size_name(self, class_id: int) -> str:
        size = self._view.size(class_id)
        return "traces" if size is None or self._view.is_trace(class_id) else size.name


def _start(sentence: str) -> list[str]:
    return sentence.split(" ", 2)[:2]


def _and(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _groups(phrases: Sequence[str], several: bool) -> str:
    """Joins sized groups so that a list within one of them stays apart from the next."""
    if not several or len(phrases) == 1:
        return _and(phrases)
    if len(phrases) == 2:
        return " as well as ".join(phrases)
    return f"{', '.join(phrases[:-1])}, and {phrases[-1]}"


def _content() -> dict[str, dict[str, list[str]]]:
    content: dict[str, dict[str, list[str]]] = yaml.safe_load(
        files("tasks.captions").joinpath("frames.yaml").read_text("utf-8")
    )
    return content


def _frame(text: str) -> Frame:
    parts: list[str | Slot | Verb] = []
    fixed = []
    end = 0
    for mark in _MARK.finditer(text):
        fixed.append(text[end : mark.start()])
        if fixed[-1]:
            parts.append(fixed[-1])
        slot, agrees_with, singular, plural = mark.groups()
        parts.append(Slot(slot) if slot else Verb(singular, plural, agrees_with or ""))
        end = mark.end()
    parts.append(text[end:])
    fixed.append(text[end:])
    slots = frozenset(part.name for part in parts if isinstance(part, Slot))
    return Frame(text, tuple(parts), slots, "cover" in " ".join(fixed))
