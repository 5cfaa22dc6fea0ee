"""All phrases by which captions are read, from `lexicon.yaml` and `grammar.yaml`, as one vocabulary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

import yaml

from tasks.landcover.classes import TOKENS
from tasks.wording.lexicon import lexicon
from tasks.wording.regions import Region, region_phrases
from tasks.wording.tokens import Phrases, expand, plural


class Kind:
    """What a phrase does in a sentence. Plain names: they are looked up at each word, where an Enum is slow."""

    CLASS: Final = "class"
    DENIED_CLASS: Final = "denied_class"
    REGION: Final = "region"
    LEADS: Final = "leads"
    DENIES: Final = "denies"
    DENIES_BEFORE: Final = "denies_before"
    SIZE: Final = "size"
    VERB: Final = "verb"
    BREAK: Final = "break"
    WITH: Final = "with"
    ADDING: Final = "adding"
    COMMA: Final = "comma"
    AND: Final = "and"
    RELATIVE: Final = "relative"
    PLAIN: Final = "plain"


JOINS: Final = (Kind.COMMA, Kind.AND)
"""Between the items of a list, and between clauses."""


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

    kind: str
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
        affirming: phrases that look like a denial and are none: "not only".
        hints: phrases that may name one of several classes, by id.
        closing: words of a last sentence that sums up.
        denial: words of denial.
        holding: verbs whose object is denied with their subject: "no quarter has trees".
        of_the_same: nouns that stand for the classes before "with".
        no_subjects: words before a verb that speak of the classes before.
        other_land: what is no class, though a place is told of it.
        not_finite: verbs behind a comma that tell more of what stands before it.
        containing: verbs whose subject is a place that holds their object.
        mixed: words before "with" that put one class among another.
        staying: verbs after which "towards" a place is where something is.
        shared: words before "between" that make it tell what shares a place.
        aside: words right behind a class that say where it is, though no region.
        scenery: nouns that a class only describes: "a river landscape".
        places: prepositions that place what stands before them.
        placing: those of them that only ever do so, unlike "of".
        beside_class: phrases that speak of a class to say where another one is; True where it may be elsewhere, though
            a place stands in front.
        beside_last: their last words.
        determiners: what may stand between a preposition and its region.
        scene: what the tile is called.
        how_through: what may stand between "mostly" and its class.
        leads_not: what takes a lead away.
        leads_part: what makes a lead that of a part.
        around: forms of verbs whose object has the place behind it: "trees surround a clearing in the south".
        touching: forms of verbs whose subject is where their object is: "trees line the fields in the south".
        broken: verbs whose agent has the place behind it: "interrupted by a lake in the south".
        beside: what makes of "mostly trees" what is beside something.
        clad: what "in" stands behind where it means "by".
        class_nouns: what a class is called, where it is compared with others.
        more: words of such comparing.
        part_nouns: what is a part of the scene, and no region.
        shares: nouns of shares.
        it: pronouns that may mean the place of the sentence before.
        exceptions: words before a region that is left out of what was claimed.
        rims: nouns of what lies around a place or a class.
        opening: what may stand between a comma and a region in front of something new.
        comparing: words before a region that another one is only held against.
        partings: what stands between classes, or a class and a region, that are not in one place: whether what stands
            before ends there.
        parting_words: their first words.
    """

    vocabulary: Phrases[Meaning]
    fillers: frozenset[str]
    hints: Phrases[tuple[int, ...]]
    affirming: Phrases[bool]
    closing: frozenset[str]
    denial: frozenset[str]
    holding: frozenset[str]
    of_the_same: frozenset[str]
    no_subjects: frozenset[str]
    other_land: frozenset[str]
    not_finite: frozenset[str]
    containing: frozenset[str]
    mixed: frozenset[str]
    staying: frozenset[str]
    shared: frozenset[str]
    aside: frozenset[str]
    scenery: frozenset[str]
    places: frozenset[str]
    placing: frozenset[str]
    beside_class: Mapping[str, bool]
    beside_last: frozenset[str]
    determiners: frozenset[str]
    scene: Phrases[bool]
    how_through: frozenset[str]
    leads_not: frozenset[str]
    leads_part: Phrases[bool]
    beside: frozenset[str]
    around: frozenset[str]
    touching: frozenset[str]
    broken: frozenset[str]
    clad: frozenset[str]
    class_nouns: frozenset[str]
    more: frozenset[str]
    part_nouns: frozenset[str]
    shares: frozenset[str]
    it: frozenset[str]
    exceptions: frozenset[str]
    rims: frozenset[str]
    opening: frozenset[str]
    comparing: frozenset[str]
    partings: Phrases[bool]
    parting_words: frozenset[str]


_WORDS = (
    *("fillers", "closing", "denial", "containing", "mixed", "staying", "shared", "aside", "scenery", "places"),
    *("determiners", "how_through", "leads_not", "of_the_same", "no_subjects", "other_land", "not_finite", "broken"),
    *("beside", "clad", "class_nouns", "more", "it", "exceptions", "comparing"),
)
"""Lists of words that the grammar takes as they are."""

_NOUNS = ("part_nouns", "shares", "rims")
"""Lists of nouns, of which it takes the plurals too."""


@cache
def grammar() -> Grammar:
    """The grammar that ships with earthscribe."""
    content: Mapping[str, Any] = yaml.safe_load(files("tasks.wording").joinpath("grammar.yaml").read_text("utf-8"))
    phrases: Phrases[Meaning] = Phrases()
    scene: Phrases[bool] = Phrases()
    scene.add(content["scene"], True)
    leads_part: Phrases[bool] = Phrases()
    leads_part.add(content["leads_part"], True)
    partings: Phrases[bool] = Phrases()
    partings.add(content["apart"], False)
    partings.add([*content["ends"], *(form for verb in content["fading"] for form in _forms(verb))], True)
    hints: Phrases[tuple[int, ...]] = Phrases()
    for ambiguous in lexicon().hinting:
        hints.add(ambiguous.words, ambiguous.classes)
    affirming: Phrases[bool] = Phrases()
    affirming.add(content["no_denials"], True)
    _add_frame(phrases, content)
    _add_regions(phrases, content)
    _add_leads(phrases, content)
    _add_classes(phrases)
    _add_denials(phrases, content)
    for number, size in enumerate(lexicon().sizes):
        phrases.add(size.words, Meaning(Kind.SIZE, size=number))
    forms = {name: frozenset(form for noun in content[name] for form in (noun, plural(noun))) for name in _NOUNS}
    places, determiners = frozenset(content["places"]), frozenset(content["determiners"])
    return Grammar(
        vocabulary=phrases,
        hints=hints,
        affirming=affirming,
        scene=scene,
        leads_part=leads_part,
        partings=partings,
        parting_words=partings.first_words,
        holding=frozenset((*content["being"], *(form for verb in content["denied_verbs"] for form in _forms(verb)))),
        placing=places - frozenset(content["no_places"]),
        around=frozenset(form for verb in content["around"] for form in _forms(verb)),
        touching=frozenset(form for verb in content["touching"] for form in _forms(verb)),
        opening=places | determiners | frozenset(content["moves"]),
        beside_class={**dict.fromkeys(content["next_to"], False), **dict.fromkeys(content["away"], True)},
        beside_last=frozenset(phrase.split()[-1] for phrase in (*content["next_to"], *content["away"])),
        **{name: frozenset(content[name]) for name in _WORDS},
        **forms,
    )


def _add_frame(phrases: Phrases[Meaning], content: Mapping[str, Any]) -> None:
    verbs = [form for verb in content["regular_verbs"] for form in _forms(verb)]
    phrases.add([*content["verbs"], *verbs], Meaning(Kind.VERB))
    phrases.add([*content["boundaries"], ";", ":", "—", "–", "(", ")"], Meaning(Kind.BREAK))
    phrases.add(["with", "plus", "besides", "except for", "apart from", "aside from"], Meaning(Kind.WITH))
    phrases.add(content["joined_with"], Meaning(Kind.PLAIN))
    phrases.add([","], Meaning(Kind.COMMA))
    phrases.add(content["adding"], Meaning(Kind.ADDING))
    phrases.add(["and", "or", "&", "nor", "but also"], Meaning(Kind.AND))
    phrases.add(content["relatives"], Meaning(Kind.RELATIVE))


def _forms(verb: str) -> Iterator[str]:
    """The regular forms of a verb."""
    stem = verb[:-1] if verb.endswith("e") else verb
    third = plural(verb)
    short = stem[:-1] + "i" if stem.endswith("y") and stem[-2] not in "aeiou" else stem
    yield from (verb, third, f"{stem}ing", f"{short}ed", f"{stem}{stem[-1]}ing", f"{stem}{stem[-1]}ed")


def _add_classes(phrases: Phrases[Meaning]) -> None:
    words = lexicon()
    for ambiguous in words.hinting:
        phrases.add(ambiguous.words, Meaning(Kind.PLAIN))
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
    phrases.add(content["doubts"], Meaning(Kind.DENIES, how="doubts"))
    phrases.add(content["denies_again"], Meaning(Kind.DENIES, how="again"))
    phrases.add(content["no_denials"], Meaning(Kind.PLAIN))


def _add_leads(phrases: Phrases[Meaning], content: Mapping[str, Any]) -> None:
    for how, patterns in content["leads"].items():
        phrases.add(patterns, Meaning(Kind.LEADS, how=how))
    phrases.add(content["partitive"], Meaning(Kind.LEADS, how="partitive"))
    phrases.add(content["no_leads"], Meaning(Kind.PLAIN))


def _add_regions(phrases: Phrases[Meaning], content: Mapping[str, Any]) -> None:
    for region, patterns in region_phrases(content):
        phrases.add(patterns, Meaning(Kind.REGION, region=region))
    phrases.add(content["no_regions"], Meaning(Kind.PLAIN))
