"""What classes, sizes and regions are called: the words that captions are written with, and checked with.

The words are data (`lexicon.yaml`); this module gives them types and refuses a file that does not fit the classes and
patches of the project.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from tasks.landcover.classes import ID_OF_TOKEN, TOKENS
from tasks.statistics.patches import PATCHES


@dataclass(frozen=True)
class Noun:
    """A word or two for a class.

    Attributes:
        text: as it stands within a sentence.
        number: ``singular``, ``plural``, or ``amount``: a singular that stands only after an amount, as in "a share of
            developed area". After an amount there are no plurals.
    """

    text: str
    number: str

    @property
    def plural(self) -> bool:
        """Whether verbs that follow it stand in the plural."""
        return self.number == "plural"


@dataclass(frozen=True)
class ClassWords:
    """What one class is called.

    Attributes:
        names: safe on their own; the first mention of a class in a caption is one of them.
        synonyms: understood anywhere, written only once a name has been.
        understood: further nouns and adjectives that mean it, never written.
    """

    names: tuple[Noun, ...]
    synonyms: tuple[Noun, ...]
    understood: tuple[str, ...]


@dataclass(frozen=True)
class Size:
    """A band of shares.

    Attributes:
        name: as the published prompts call it.
        start: its least share in whole percent; it ends where the next band starts.
        words: all adjectives that mean it.
        spoken: those of them that captions write.
    """

    name: str
    start: int
    words: tuple[str, ...]
    spoken: tuple[str, ...]


@dataclass(frozen=True)
class Traces:
    """What shares too slight for a size are called.

    Attributes:
        below: all such shares are less than this, in percent.
        phrases: what stands before the class.
    """

    below: int
    phrases: tuple[str, ...]


@dataclass(frozen=True)
class Region:
    """A part of a tile that has a name.

    Attributes:
        key: its name in `Lexicon.regions`.
        patches: names of the patches that it is made of.
        phrases: what it is called, by manner of speaking (``compass``, ``frame``).
    """

    key: str
    patches: tuple[str, ...]
    phrases: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Ambiguous:
    """Words that several classes may be called by.

    Attributes:
        classes: their ids, the likeliest first.
        words: the words.
    """

    classes: tuple[int, ...]
    words: tuple[str, ...]


@dataclass(frozen=True)
class Lexicon:
    """All words of captions.

    Attributes:
        classes: by class id; None at id 0, which is no data.
        either: words that stand for one of several classes.
        hinting: the same, where they may also mean something else.
        shores: words of classes that place nothing.
        ignored: phrases that only sound like a class.
        denying: by class id, single words that deny it.
        sizes: bands in ascending order, the first from 0.
        portions: nouns that a size is said of, in the singular.
        traces: what stands in for a size where there is next to nothing.
        regions: by key, single quarters, halves and the middle.
    """

    classes: tuple[ClassWords | None, ...]
    either: tuple[Ambiguous, ...]
    hinting: tuple[Ambiguous, ...]
    shores: frozenset[str]
    ignored: tuple[str, ...]
    denying: Mapping[int, tuple[str, ...]]
    sizes: tuple[Size, ...]
    portions: tuple[str, ...]
    traces: Traces
    regions: Mapping[str, Region]

    def nouns(self, class_id: int) -> ClassWords:
        """The words for a class.

        Raises:
            KeyError: the id is that of no class.
        """
        words = self.classes[class_id] if 0 <= class_id < len(self.classes) else None
        if words is None:
            raise KeyError(class_id)
        return words

    def size(self, percent: int) -> Size:
        """The band of a share in whole percent."""
        return next(size for size in reversed(self.sizes) if percent >= size.start)


@cache
def lexicon() -> Lexicon:
    """The lexicon that ships with earthscribe."""
    return parse(yaml.safe_load(files("tasks.wording").joinpath("lexicon.yaml").read_text("utf-8")))


def parse(content: Mapping[str, Any]) -> Lexicon:
    """A lexicon from the content of its file.

    Raises:
        ValueError: a class without a name, a class or patch that does not exist, or bands of sizes that leave a gap.
    """
    classes = content["classes"]
    if set(classes) != set(TOKENS[1:]):
        raise ValueError(f"classes: expected {', '.join(TOKENS[1:])}; got {', '.join(classes)}")
    sizes = tuple(
        Size(size["name"], size["from"], tuple(size["words"]), tuple(size["spoken"])) for size in content["sizes"]
    )
    starts = [size.start for size in sizes]
    if not starts or starts[0] != 0 or starts != sorted(set(starts)):
        raise ValueError(f"sizes: expected bands that start at 0 and ascend; got {starts}")
    for size in sizes:
        if not size.spoken or not set(size.spoken) <= set(size.words):
            raise ValueError(f"sizes.{size.name}.spoken: expected some of {', '.join(size.words)}")
    return Lexicon(
        classes=(None, *(_class_words(token, classes[token]) for token in TOKENS[1:])),
        either=_ambiguous(content["either"]),
        hinting=_ambiguous(content["hinting"]),
        shores=frozenset(content["shores"]),
        ignored=tuple(phrase for phrases in content["ignored"] for phrase in phrases),
        denying={ID_OF_TOKEN[entry["class"]]: tuple(entry["words"]) for entry in content["denying"]},
        sizes=sizes,
        portions=tuple(content["portions"]),
        traces=Traces(content["traces"]["below"], tuple(content["traces"]["phrases"])),
        regions={key: _region(key, region) for key, region in content["regions"].items()},
    )


def _ambiguous(entries: Sequence[Mapping[str, Any]]) -> tuple[Ambiguous, ...]:
    return tuple(
        Ambiguous(tuple(ID_OF_TOKEN[token] for token in entry["classes"]), tuple(entry["words"])) for entry in entries
    )


def _class_words(token: str, content: Mapping[str, Any]) -> ClassWords:
    words = ClassWords(
        names=tuple(_noun(noun) for noun in content.get("names", ())),
        synonyms=tuple(_noun(noun) for noun in content.get("synonyms", ())),
        understood=tuple(content.get("understood", ())),
    )
    numbers = {noun.number for noun in words.names}
    if not numbers & {"singular", "plural"} or not numbers & {"singular", "amount"}:
        raise ValueError(f"classes.{token}.names: expected a name that can be a subject and one that can be an amount")
    return words


def _noun(content: Mapping[str, Any]) -> Noun:
    if content["number"] not in {"singular", "plural", "amount"}:
        raise ValueError(f"{content['text']}: expected number singular, plural or amount; got {content['number']!r}")
    return Noun(content["text"], content["number"])


def _region(key: str, content: Mapping[str, Any]) -> Region:
    patches = tuple(content["patches"])
    if not patches or not set(patches) <= set(PATCHES[1:]):
        raise ValueError(f"regions.{key}.patches: expected some of {', '.join(PATCHES[1:])}; got {', '.join(patches)}")
    return Region(key, patches, {style: tuple(content[style]) for style in ("compass", "frame")})
