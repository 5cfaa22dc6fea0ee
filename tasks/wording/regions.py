"""What places in a tile are called, and which patches they claim."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from typing import Any, Final, TypeAlias

from tasks.statistics.patches import PATCHES
from tasks.wording.lexicon import lexicon
from tasks.wording.tokens import expand, plural


class Extent:
    """What a phrase for a place claims."""

    PLACED: Final = "placed"
    """One of the patches of each of its claims."""
    VAGUE: Final = "vague"
    """A place, but none that can be told."""
    WHOLE: Final = "whole"
    """The tile as a whole."""
    SAME: Final = "same"
    """The last place once more."""


@dataclass(frozen=True, slots=True)
class Region:
    """A phrase for a place.

    Attributes:
        extent: what it claims.
        claims: sets of rows of the counts; what is placed here has pixels in one row of each of them.
        adjective: whether it stands before a noun that it places, as in "the northern forests".
    """

    extent: str
    claims: tuple[tuple[int, ...], ...] = ()
    adjective: bool = False

    @property
    def is_a_corner(self) -> bool:
        """Whether it is one of the four quarters."""
        return self.claims in _QUARTERS

    def together_with(self, other: Region) -> Region:
        """A region that claims both."""
        return Region(Extent.PLACED, self.claims + other.claims)

    def on_side(self, side: Region) -> Region:
        """The quarter that an upper or lower part is on the left or right side; otherwise the region itself."""
        if self.claims not in _ENDS or side.claims not in _SIDES:
            return self
        return Region(self.extent, (tuple(row for row in self.claims[0] if row in side.claims[0]),), self.adjective)


VAGUE = Region(Extent.VAGUE)

_MIDDLE = "middle"
_QUARTERS = [((row,),) for row, patch in enumerate(PATCHES) if "_" in patch]
_ENDS = [(tuple(row for row, patch in enumerate(PATCHES) if patch.startswith(end)),) for end in ("top_", "bottom_")]
_SIDES = [(tuple(row for row, patch in enumerate(PATCHES) if patch.endswith(side)),) for side in ("_left", "_right")]
_HALVES = ("top", "bottom", "left", "right")
_Named: TypeAlias = Iterator[tuple[Region, Sequence[str]]]


def region_phrases(content: Mapping[str, Any]) -> _Named:
    """Places with the patterns of what they are called; of two meanings of one phrase the later one holds.

    Args:
        content: of `grammar.yaml`.
    """
    words: Mapping[str, Sequence[str]] = content["directions"]
    parts = [form for noun in content["parts"] for form in (noun, plural(noun))]
    rims = "|".join(form for noun in content["rims"] for form in (noun, plural(noun)))
    scene = "|".join(name for pattern in content["scene"] for name in expand(pattern))
    for key in words:
        yield from _sides(key, words[key], "|".join(parts), rims, scene, content["sides"])
    yield from _corners(words, content["compounds"], rims)
    yield from _pairs(words, "|".join(part for part in parts if part.endswith("s")))
    yield (
        _region(_MIDDLE),
        [
            *content["hearts"],
            f"(at|the|its) (heart|core) of (the|this) ({scene})",
            "and (centre|center|middle|central part)",
            "centrally",
        ],
    )
    quarters = [key for key, region in lexicon().regions.items() if len(region.patches) == 1 and key != _MIDDLE]
    yield _region(*quarters), content["each"]
    for half in _HALVES:
        both = f"(both|both of the|both the|the two|each|each of the) ({'|'.join(words[half])})"
        nouns = "(quarters|quadrants|corners|patches|quarter|quadrant|corner)"
        yield (
            _region(*(key for key in quarters if _rows(key)[0] in _rows(half))),
            [f"{both} {nouns}", f"({'|'.join(words[half])}) two {nouns}"],
        )
    yield VAGUE, [*content["vague"], *content["not_each"]]
    yield Region(Extent.WHOLE), content["whole"]
    yield Region(Extent.SAME), content["same"]


def _rows(key: str) -> tuple[int, ...]:
    return tuple(PATCHES.index(patch) for patch in lexicon().regions[key].patches)


def _region(*keys: str) -> Region:
    return Region(Extent.PLACED, tuple(_rows(key) for key in keys))


def _sides(key: str, words: Sequence[str], parts: str, rims: str, scene: str, sides: Sequence[str]) -> _Named:
    """Halves and the middle: "the upper part", "the north"; and what lies beside something: "north of"."""
    every = f"({'|'.join(words)})"
    yield VAGUE, [f"(the|) {every} of", f"{every} ({rims})", f"(its|their) {every} (bank|shore|side|coast|slope|flank)"]
    yield _region(key), [f"{every} (most|) ({parts})", f"(the|) {every} of (the|this) ({scene})"]
    if own := "|".join(word for word in words if word in sides):
        yield _region(key), [f"the (far|) ({own})"]
    if compass := "|".join(word for word in words if word in {"north", "south", "west", "east"}):
        yield _region(key), [f"(in|to|towards|toward|from|far|further|farther|due) ({compass})"]
    if adjectives := "|".join(word for word in words if word.endswith("ern")):
        yield Region(Extent.PLACED, (_rows(key),), adjective=True), [f"({adjectives})"]


def _corners(words: Mapping[str, Sequence[str]], compounds: Mapping[str, Sequence[str]], rims: str) -> _Named:
    """Quarters, "the top left", and what lies between the middle and a side, "the upper middle"."""
    for one, other in product(("top", "bottom"), ("left", "right")):
        key = f"{one}_{other}"
        names = [f"{a} {b}" for pair in product(words[one], words[other]) for a, b in permutations(pair)]
        names += compounds[key]
        yield _region(key), names
        yield VAGUE, [f"{name} ({rims})" for name in names]
    middle = f"({'|'.join(words[_MIDDLE])})"
    for side in _HALVES:
        here = f"({'|'.join(words[side])})"
        yield _region(side), [f"{middle} {here}", f"{here} (of|) {middle}"]


def _pairs(words: Mapping[str, Sequence[str]], parts: str) -> _Named:
    """Two places in one phrase: "the northern and eastern parts", "the top left and right"."""
    for one, other in permutations((*_HALVES, _MIDDLE), 2):
        a, b = f"({'|'.join(words[one])})", f"({'|'.join(words[other])})"
        yield _region(one, other), [f"{a} and {b} ({parts})", f"(the|both) {a} and (the|) {b}"]
        for up, side in product(("top", "bottom"), ("left", "right")):
            # "The centre and the lower right" is no "centre and lower" part.
            c, d = (f"({'|'.join(words[key])})" for key in (up, side))
            yield _region(one, f"{up}_{side}"), [f"(the|both|) {a} and (the|) {c} {d}"]
    for up, (one, other) in product(("top", "bottom"), permutations(("left", "right"))):
        a, b, c = (f"({'|'.join(words[key])})" for key in (up, one, other))
        yield _region(f"{up}_{one}", f"{up}_{other}"), [f"{a} {b} and {c}"]
