"""From facts to sentences: frames are drawn, filled and joined so that a caption reads as one piece.

Which frame and which words are used is drawn from a seed with SHA-256, so that one seed gives one caption on every
machine and under every version of Python.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TypeVar

from tasks.wording.frames import Frame, Slot, frames, links
from tasks.wording.lexicon import Noun, Size, lexicon
from tasks.wording.observations import Extent, View

_T = TypeVar("_T")

_TRIED = 4
"""Frames filled at most to see how they start, before one of them is taken."""


_SAY_WHAT_IS_MAPPED = (Extent.EMPTY, Extent.ONLY_MAPPED)
"""Extents whose frames say themselves what is mapped and what is not."""


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
        """Adds a sentence that says the statement, unlike the sentences before it where that can be helped.

        Raises:
            LookupError: no frame says it.
        """
        filling = _Filling(self, statement)
        fitting = [frame for occasion in statement.occasions for frame in frames()[occasion] if filling.fits(frame)]
        if not fitting:
            raise LookupError(f"frames.yaml: no frame of {', '.join(statement.occasions)} fits {statement}")
        options = [frame for frame in fitting if frame.text not in self._used] or fitting
        first = self.draws.below(len(options))
        tried = (options[first:] + options[:first])[:_TRIED]
        frame, sentence = self._best_start((frame, filling.sentence(frame)) for frame in tried)
        self._used.add(frame.text)
        if frame.slots & {"x", "m"}:
            self.named.update(statement.x)
        if frame.slots & {"y", "s"}:
            self.named.update(statement.y)
        if statement.link and not self._linked and self.draws.below(2):
            self._linked = True
            sentence = self.draws.of(links()[statement.link]) + sentence[0].lower() + sentence[1:]
        self.sentences.append(sentence)

    def class_noun(self, class_id: int, amount: bool, avoid_cover: bool) -> Noun:
        """What a class is called this time: a name at first, and never twice running the same if it has another."""
        words = lexicon().nouns(class_id)
        known = words.names if class_id not in self.named else words.names + words.synonyms
        options = [noun for noun in known if noun.number != ("plural" if amount else "amount")]
        if avoid_cover:
            options = [noun for noun in options if "cover" not in noun.text] or options
        last = self._last.get(class_id)
        noun = self.draws.of([noun for noun in options if noun != last] or options)
        self._last[class_id] = noun
        return noun

    def region_phrase(self, key: str) -> str:
        """What a region is called this time."""
        return self.draws.of(lexicon().regions[key].phrases[self.manner])

    def tile_phrase(self) -> str:
        """What the tile is called here."""
        return f"{'the' if self.sentences else 'this'} {self.noun}"

    def _best_start(self, options: Iterable[tuple[Frame, str]]) -> tuple[Frame, str]:
        """The option that starts least like the sentences before it: the first that starts anew, if there is one."""
        starts = [_start(sentence) for sentence in self.sentences]
        seen: list[tuple[int, tuple[Frame, str]]] = []
        for option in options:
            start = _start(option[1])
            likeness = 2 * bool(starts and start[0] == starts[-1][0]) + (start in starts)
            seen.append((likeness, option))
            if not likeness:
                break
        return min(seen, key=lambda judged: judged[0])[1]


class _Filling:
    """The words that one statement offers to a frame: a slot that it cannot fill truly has no filler."""

    def __init__(self, prose: Prose, statement: Statement) -> None:
        self._prose = prose
        self._view = view = statement.view
        self._others = bool(statement.y)
        mapped = "the mapped part of " if view.sparse and view.extent not in _SAY_WHAT_IS_MAPPED else ""
        fillers: dict[str, Callable[[bool], Noun]] = {
            "tile": lambda _: Noun(mapped + prose.tile_phrase(), "singular"),
            "noun": lambda _: Noun(prose.noun, "singular"),
        }
        if statement.x:
            fillers["x"] = lambda avoid_cover: self._listed(statement.x, amount=False, avoid_cover=avoid_cover)
            fillers["m"] = lambda avoid_cover: self._listed(statement.x, amount=True, avoid_cover=avoid_cover)
        size = view.size(statement.x[0]) if len(statement.x) == 1 else None
        # "A small share, along with a small share" would read badly.
        if size and all(view.size(class_id) != size for class_id in statement.y):
            words = size.spoken
            fillers["size"] = lambda _: Noun(
                f"{prose.draws.of(words)} {prose.draws.of(lexicon().portions)}", "singular"
            )
        if region := statement.region:
            of_region = mapped if region == view.region else ""
            fillers["r"] = lambda _: Noun(of_region + prose.region_phrase(region), "singular")
        if statement.y:
            fillers["y"] = lambda avoid_cover: self._listed(statement.y, amount=False, avoid_cover=avoid_cover)
            sizes = {class_id: band for class_id in statement.y if (band := view.size(class_id))}
            if len(sizes) == len(statement.y):
                fillers["s"] = lambda avoid_cover: self._sized(sizes, avoid_cover)
        self._fillers = fillers

    def fits(self, frame: Frame) -> bool:
        """Whether the frame says what is to be said: all of its slots can be filled, and further classes are named."""
        return frame.slots <= self._fillers.keys() and bool(frame.slots & {"y", "s"}) == self._others

    def sentence(self, frame: Frame) -> str:
        """The frame filled with words."""
        filled = {
            part.name: self._fillers[part.name](frame.says_cover) for part in frame.parts if isinstance(part, Slot)
        }
        words = []
        for part in frame.parts:
            if isinstance(part, str):
                words.append(part)
            elif isinstance(part, Slot):
                words.append(filled[part.name].text)
            else:
                words.append(part.plural if filled[part.slot].plural else part.singular)
        sentence = "".join(words)
        return sentence[0].upper() + sentence[1:]

    def _listed(self, class_ids: Iterable[int], amount: bool, avoid_cover: bool) -> Noun:
        nouns = [self._prose.class_noun(class_id, amount, avoid_cover) for class_id in class_ids]
        return nouns[0] if len(nouns) == 1 else Noun(_and([noun.text for noun in nouns]), "plural")

    def _sized(self, sizes: dict[int, Size], avoid_cover: bool) -> Noun:
        """Classes with their sizes, those of one size together: "a medium share of grass and traces of water"."""
        draws = self._prose.draws
        groups: dict[tuple[str, ...], list[int]] = {}
        for class_id, size in sizes.items():
            groups.setdefault(() if self._view.is_trace(class_id) else size.spoken, []).append(class_id)
        portions = lexicon().portions
        turn = draws.below(len(portions))
        phrases = []
        for index, (adjectives, members) in enumerate(groups.items(), start=turn):
            names = self._listed(members, amount=True, avoid_cover=avoid_cover).text
            portion = portions[index % len(portions)]
            if not adjectives:
                phrases.append(f"{draws.of(lexicon().traces.phrases)} {names}")
            elif len(members) > 1:
                phrases.append(f"{draws.of(adjectives)} {portion}s of {names}")
            else:
                phrases.append(f"a {draws.of(adjectives)} {portion} of {names}")
        several = any(len(members) > 1 for members in groups.values())
        plural = several or len(groups) > 1 or () in groups
        return Noun(_joined_groups(phrases, several), "plural" if plural else "singular")


def _start(sentence: str) -> list[str]:
    return sentence.split(" ", 2)[:2]


def _and(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _joined_groups(phrases: Sequence[str], several: bool) -> str:
    """Joins sized groups so that a list within one of them stays apart from the next."""
    if not several or len(phrases) == 1:
        return _and(phrases)
    if len(phrases) == 2:
        return " as well as ".join(phrases)
    return f"{', '.join(phrases[:-1])}, and {phrases[-1]}"
