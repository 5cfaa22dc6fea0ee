"""All phrases by which captions are read, from `lexicon.yaml` and `grammar.yaml`, as one vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache
from importlib.resources import files
from itertools import permutations, product
from typing import Any, TypeAlias

import yaml

from tasks.landcover.classes import TOKENS
from tasks.statistics.patches import PATCHES
from tasks.wording.lexicon import lexicon
from tasks.wording.tokens import Phrases, expand, plural


class Kind(Enum):
    """What a phrase does in a sentence."""

    CLASS = auto()
    DENIED_CLASS = auto()
    REGION = auto()
    LEADS = auto()
    DENIES = auto()
    DENIES_BEFORE = auto()
    SIZE = auto()
    VERB = auto()
    BREAK = auto()
    WITH = auto()
    ADDING = auto()
    COMMA = auto()
    AND = auto()
    RELATIVE = auto()
    PLAIN = auto()


class Extent(Enum):
    """What a phrase for a place claims."""

    PLACED = auto()
    """One of the patches of each of its claims."""
    VAGUE = auto()
    """A place, but none that can be told."""
    WHOLE = auto()
    """The tile as a whole."""
    SAME = auto()
    """The place of the sentence before."""
    IT = auto()
    """The place of the sentence before, or the whole."""


@dataclass(frozen=True, slots=True)
class Region:
    """A phrase for a place.

    Attributes:
        extent: what it claims.
        claims: sets of rows of the counts; what is placed here has pixels in one row of each of them.
        adjective: whether it stands before a noun that it places, as in "the northern forests".
    """

    extent: Extent
    claims: tuple[tuple[int, ...], ...] = ()
    adjective: bool = False


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a phrase means.

    Attributes:
        kind: what it does.
        classes: CLASS: ids that it may stand for, the likeliest first.
        region: REGION: the place.
        how: LEADS: ``by``, ``verbs``, ``named``, ``partitive``, ``theme`` or ``how``; DENIES: ``strict`` where nothing
            but fillers may come between.
        size: SIZE: number of the band of `Lexicon.sizes`.
    """

    kind: Kind
    classes: tuple[int, ...] = ()
    region: Region | None = None
    how: str = ""
    size: int = -1


@dataclass(frozen=True)
class Grammar:
    """The words that hold sentences together.

    Attributes:
        vocabulary: all phrases.
        fillers: what may stand between a denial and its class.
        places: prepositions that place what stands before them.
        beside: phrases that speak of a class to say where another one is, as tuples of words.
        determiners: what may stand between a preposition and its region.
        scene: what the tile is called.
        how_through: what may stand between "mostly" and its class.
        leads_not: what takes a lead away.
        shares: nouns of shares.
        it: pronouns that may mean the place of the sentence before.
        exceptions: words before a region that is left out of what was claimed.
        opening: what may stand between a comma and a region in front of something new.
    """

    vocabulary: Phrases[Meaning]
    fillers: frozenset[str]
    places: frozenset[str]
    beside: frozenset[tuple[str, ...]]
    determiners: frozenset[str]
    scene: Phrases[bool]
    how_through: frozenset[str]
    leads_not: frozenset[str]
    shares: frozenset[str]
    it: frozenset[str]
    exceptions: frozenset[str]
    opening: frozenset[str]


_Add: TypeAlias = Callable[..., None]

_MIDDLE = "middle"
_VAGUE = Meaning(Kind.REGION, region=Region(Extent.VAGUE))


@cache
def grammar() -> Grammar:
    """The grammar that ships with earthscribe."""
    content: Mapping[str, Any] = yaml.safe_load(files("tasks.wording").joinpath("grammar.yaml").read_text("utf-8"))
    phrases: Phrases[Meaning] = Phrases()
    scene: Phrases[bool] = Phrases()
    scene.add(content["scene"], True)
    _add_frame(phrases, content)
    _add_regions(phrases, content)
    _add_leads(phrases, content)
    _add_classes(phrases)
    _add_denials(phrases, content)
    for number, size in enumerate(lexicon().sizes):
        phrases.add(size.words, Meaning(Kind.SIZE, size=number))
    return Grammar(
        phrases,
        frozenset(content["fillers"]),
        frozenset(content["places"]),
        frozenset(tuple(phrase.split()) for phrase in content["beside"]),
        frozenset(content["determiners"]),
        scene,
        frozenset(content["how_through"]),
        frozenset(content["leads_not"]),
        frozenset(form for noun in content["shares"] for form in (noun, plural(noun))),
        frozenset(content["it"]),
        frozenset(content["exceptions"]),
        frozenset(content["places"]) | frozenset(content["determiners"]) | frozenset(content["moves"]),
    )


def _add_frame(phrases: Phrases[Meaning], content: Mapping[str, Any]) -> None:
    verbs = [form for verb in content["regular_verbs"] for form in _forms(verb)]
    phrases.add([*content["verbs"], *verbs], Meaning(Kind.VERB))
    phrases.add([*content["boundaries"], ";", ":", "—", "–", "(", ")"], Meaning(Kind.BREAK))
    phrases.add(["with", "plus", "besides", "except for", "apart from", "aside from"], Meaning(Kind.WITH))
    phrases.add(content["joined_with"], Meaning(Kind.PLAIN))
    phrases.add([","], Meaning(Kind.COMMA))
    phrases.add(content["adding"], Meaning(Kind.ADDING))
    phrases.add(["and", "or", "&", "nor"], Meaning(Kind.AND))
    phrases.add(content["relatives"], Meaning(Kind.RELATIVE))


def _forms(verb: str) -> Iterator[str]:
    """The regular forms of a verb."""
    stem = verb[:-1] if verb.endswith("e") else verb
    third = plural(verb)
    short = stem[:-1] + "i" if stem.endswith("y") and stem[-2] not in "aeiou" else stem
    yield from (verb, third, f"{stem}ing", f"{short}ed", f"{stem}{stem[-1]}ing", f"{stem}{stem[-1]}ed")


def _add_classes(phrases: Phrases[Meaning]) -> None:
    words = lexicon()
    for class_id in range(1, len(TOKENS)):
        own = words.nouns(class_id)
        nouns = [TOKENS[class_id].replace("_", " ")]
        nouns += [noun.text for noun in (*own.names, *own.synonyms)]
        nouns += own.understood
        phrases.add(_with_plurals(nouns), Meaning(Kind.CLASS, (class_id,)))
    for ambiguous in words.either:
        phrases.add(_with_plurals(ambiguous.words), Meaning(Kind.CLASS, ambiguous.classes))
    for class_id, denying in words.denying.items():
        phrases.add(denying, Meaning(Kind.DENIED_CLASS, (class_id,)))
    phrases.add(words.ignored, Meaning(Kind.PLAIN))


def _with_plurals(nouns: Iterable[str]) -> list[str]:
    """The nouns and their plurals; "forest covers" would be a verb."""
    return [
        form
        for pattern in nouns
        for noun in expand(pattern)
        for form in ((noun,) if noun.endswith(" cover") else (noun, plural(noun)))
    ]


def _add_denials(phrases: Phrases[Meaning], content: Mapping[str, Any]) -> None:
    phrases.add(content["denies"], Meaning(Kind.DENIES))
    phrases.add(["not"], Meaning(Kind.DENIES, how="strict"))
    phrases.add([f"not {verb}" for verb in content["denied_verbs"]], Meaning(Kind.DENIES))
    phrases.add(content["denies_before"], Meaning(Kind.DENIES_BEFORE))
    phrases.add(content["no_denials"], Meaning(Kind.PLAIN))


def _add_leads(phrases: Phrases[Meaning], content: Mapping[str, Any]) -> None:
    for how, patterns in content["leads"].items():
        phrases.add(patterns, Meaning(Kind.LEADS, how=how))
    phrases.add(content["partitive"], Meaning(Kind.LEADS, how="partitive"))


def _add_regions(phrases: Phrases[Meaning], content: Mapping[str, Any]) -> None:
    rows = {key: tuple(PATCHES.index(patch) for patch in region.patches) for key, region in lexicon().regions.items()}
    directions: Mapping[str, Sequence[str]] = content["directions"]
    nouns = [form for noun in content["parts"] for form in (noun, plural(noun))] + ["halves", "most part"]
    rims = [form for noun in content["rims"] for form in (noun, plural(noun))]

    def add(wording: Iterable[str], *claims: str) -> None:
        region = Region(Extent.PLACED, tuple(rows[claim] for claim in claims))
        phrases.add(wording, Meaning(Kind.REGION, region=region))

    scene = [
        f" of {article} {noun}"
        for article in ("the", "this")
        for pattern in content["scene"]
        for noun in expand(pattern)
    ]
    for key, words in directions.items():
        for word in words:
            add((f"{word} {most}{noun}" for most in ("", "most ") for noun in nouns), key)
            add((f"the {word}", f"the far {word}", f"the {word} and"), key) if key != _MIDDLE else None
            phrases.add((f"{word} {rim}" for rim in rims), _VAGUE)
            phrases.add((f"{word} of", f"the {word} of"), _VAGUE)
            add((f"{the}{word}{of}" for the in ("", "the ") for of in scene), key)
        adjectives = [word for word in words if word.endswith("ern")]
        placed = Region(Extent.PLACED, (rows[key],), adjective=True)
        phrases.add(adjectives, Meaning(Kind.REGION, region=placed))
    for compass in ("north", "south", "west", "east"):
        key = next(key for key, words in directions.items() if compass in words)
        add(
            (
                f"{before} {compass}"
                for before in ("in", "to", "towards", "toward", "from", "far", "further", "farther", "due")
            ),
            key,
        )
    _add_corners(add, phrases, directions, content, rims)
    _add_pairs(add, directions, nouns)
    add(content["hearts"], _MIDDLE)
    add((f"{heart}{of}" for heart in ("at heart", "heart", "the heart", "core", "the core") for of in scene), _MIDDLE)
    add(("and centre", "and center", "and middle", "and central part", "centrally"), _MIDDLE)
    quarters = tuple(key for key, patches in rows.items() if len(patches) == 1 and key != _MIDDLE)
    add(content["each"], *quarters)
    for half in ("top", "bottom", "left", "right"):
        two = [key for key in quarters if rows[key][0] in rows[half]]
        both = [
            f"{both} {word} {noun}"
            for both in ("both", "both of the", "the two", "both the", "each of the", "each")
            for word in directions[half]
            for noun in ("quarters", "quadrants", "corners", "patches", "quadrant", "quarter", "corner")
        ]
        add(both, *two)
    phrases.add([*content["vague"], *content["not_each"]], _VAGUE)
    phrases.add(content["no_regions"], Meaning(Kind.PLAIN))
    phrases.add(content["whole"], Meaning(Kind.REGION, region=Region(Extent.WHOLE)))
    phrases.add(content["same"], Meaning(Kind.REGION, region=Region(Extent.SAME)))


def _add_corners(
    add: _Add,
    phrases: Phrases[Meaning],
    directions: Mapping[str, Sequence[str]],
    content: Mapping[str, Any],
    rims: Sequence[str],
) -> None:
    """Quarters, and what lies between the middle and a side."""
    for one, other in product(("top", "bottom"), ("left", "right")):
        key = f"{one}_{other}"
        names = [f"{a} {b}" for pair in product(directions[one], directions[other]) for a, b in permutations(pair)]
        names += content["compounds"][key]
        add(names, key)
        phrases.add((f"{name} {rim}" for name in names for rim in rims), _VAGUE)
    for side in ("top", "bottom", "left", "right"):
        for middle, word in product(directions[_MIDDLE], directions[side]):
            add((f"{middle} {word}", f"{word} {middle}", f"{word} of {middle}"), side)


def _add_pairs(add: _Add, directions: Mapping[str, Sequence[str]], nouns: Sequence[str]) -> None:
    """Two sides in one phrase: "the northern and eastern parts", "the top left and right"."""
    for one, other in permutations(("top", "bottom", "left", "right", _MIDDLE), 2):
        for a, b in product(directions[one], directions[other]):
            add((f"{a} and {b} {noun}" for noun in nouns if noun.endswith("s")), one, other)
            add((f"the {a} and {b}", f"both {a} and {b}", f"the {a} and the {b}"), one, other)
    for up, (one, other) in product(("top", "bottom"), permutations(("left", "right"))):
        for a, b, c in product(directions[up], directions[one], directions[other]):
            add((f"{a} {b} and {c}",), f"{up}_{one}", f"{up}_{other}")
