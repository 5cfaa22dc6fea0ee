"""Replies with something wrong in their text: what models do to captions, and checks are there to find.

A blemish touches one tile's caption, or how the captions of a reply stand together. Each says which places it touched,
counted from 1, so that a test can hold what was found against what was put in. None stands for a blemish that the
request has no room for, such as two captions swapped where there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tasks.fake_llm.questions import Tile
from tasks.fake_llm.writing import Sentences, closing, describe, listed, name, opening
from tasks.landcover.classes import TOKENS
from tasks.wording.prose import Draws

_ORDINALS = ("first", "second", "third", "fourth")
_CLEARLY_LESS = 20
"""Points by which a class trails the leader before it is wrongly called dominant."""

_CLEARLY_THERE = 15
"""Percent from which on a class that is left out is missed."""

_OTHER_LANGUAGE = (
    "La escena muestra un paisaje variado que ocupa la mayor parte del terreno y se extiende hacia todos los lados. "
    "En el centro se ve una franja estrecha, y hacia el sur el suelo queda casi vacío. "
    "En conjunto, domina una cubierta uniforme con pocas interrupciones."
)


@dataclass(frozen=True)
class Blemished:
    """A reply with a blemish.

    Attributes:
        text: the whole reply.
        places: of the tiles whose captions are touched, from 1; none where all captions are whole.
        detail: the class that it is about, by token, perhaps.
    """

    text: str
    places: tuple[int, ...]
    detail: str | None = None


@dataclass(frozen=True)
class Draft:
    """A reply as it would be without the blemish: tiles and their captions, in order."""

    tiles: tuple[Tile, ...]
    captions: tuple[Sentences, ...]

    @property
    def paragraphs(self) -> list[str]:
        """The captions as text."""
        return [" ".join(caption) for caption in self.captions]


@dataclass(frozen=True)
class Blemish:
    """One kind of blemish: what it does, for people, and how it is made."""

    says: str
    make: Callable[[Draft, Draws], Blemished | None]


@dataclass(frozen=True)
class _Touched:
    """A caption with a blemish, as sentences, and the class that it is about."""

    sentences: Sequence[str]
    class_id: int | None = None


_Touch = Callable[[int, Tile, Sentences, Draws], _Touched | None]
"""Makes a blemish in the caption of one tile, whose place counts from 0 here."""


def whole(paragraphs: Sequence[str]) -> str:
    """A reply of several paragraphs."""
    return "\n\n".join(paragraphs)


# How the captions of a reply stand together


def _all_places(draft: Draft) -> tuple[int, ...]:
    return tuple(range(1, len(draft.tiles) + 1))


def _preamble(draft: Draft, draws: Draws) -> Blemished:
    said = draws.of(("Certainly! Here is what was asked for:", "Below are the descriptions.", "Sure, here you go:"))
    return Blemished(whole([said, *draft.paragraphs]), ())


def _postscript(draft: Draft, draws: Draws) -> Blemished:
    said = draws.of(("Let me know if you need anything else.", "I hope that these descriptions help."))
    return Blemished(whole([*draft.paragraphs, said]), ())


def _numbering(draft: Draft, draws: Draws) -> Blemished:
    form = draws.of(("{}. {}", "{}) {}", "Image {}: {}"))
    numbered = [form.format(number, text) for number, text in enumerate(draft.paragraphs, start=1)]
    return Blemished(whole(numbered), _all_places(draft))


def _headings(draft: Draft, draws: Draws) -> Blemished:
    form = draws.of(("## Image {}\n{}", "**Image {}**\n\n{}", "### Scene {}\n\n{}"))
    headed = [form.format(number, text) for number, text in enumerate(draft.paragraphs, start=1)]
    return Blemished(whole(headed), _all_places(draft))


def _fenced(draft: Draft, _draws: Draws) -> Blemished:
    return Blemished(f"```text\n{whole(draft.paragraphs)}\n```", _all_places(draft))


def _missing(draft: Draft, draws: Draws) -> Blemished | None:
    paragraphs = draft.paragraphs
    if len(paragraphs) < 2:
        return None
    place = draws.below(len(paragraphs))
    del paragraphs[place]
    return Blemished(whole(paragraphs), (place + 1,))


def _duplicated(draft: Draft, draws: Draws) -> Blemished | None:
    paragraphs = draft.paragraphs
    if len(paragraphs) < 2:
        return None
    place = draws.below(len(paragraphs))
    paragraphs[place] = paragraphs[place - 1]
    return Blemished(whole(paragraphs), (place + 1,))


def _swapped(draft: Draft, draws: Draws) -> Blemished | None:
    paragraphs = draft.paragraphs
    pairs = [
        (one, other)
        for other in range(len(paragraphs))
        for one in range(other)
        if set(draft.tiles[one].classes) != set(draft.tiles[other].classes)
    ]
    if not pairs:
        return None
    one, other = draws.of(pairs)
    paragraphs[one], paragraphs[other] = paragraphs[other], paragraphs[one]
    return Blemished(whole(paragraphs), (one + 1, other + 1))


def _merged(draft: Draft, draws: Draws) -> Blemished | None:
    paragraphs = draft.paragraphs
    if len(paragraphs) < 2:
        return None
    place = draws.below(len(paragraphs) - 1)
    paragraphs[place : place + 2] = [" ".join(paragraphs[place : place + 2])]
    return Blemished(whole(paragraphs), (place + 1, place + 2))


def _split(draft: Draft, draws: Draws) -> Blemished | None:
    paragraphs = draft.paragraphs
    place = draws.below(len(paragraphs))
    sentences = draft.captions[place]
    if len(sentences) < 2:
        return None
    middle = len(sentences) // 2
    paragraphs[place : place + 1] = [" ".join(sentences[:middle]), " ".join(sentences[middle:])]
    return Blemished(whole(paragraphs), (place + 1,))


def _cut_off(draft: Draft, _draws: Draws) -> Blemished:
    *before, last = draft.paragraphs
    words = last.split()
    return Blemished(whole([*before, " ".join(words[: len(words) * 2 // 3]).rstrip(".,")]), (len(draft.tiles),))


# One tile's caption


def _somewhere(touch: _Touch) -> Callable[[Draft, Draws], Blemished | None]:
    """The blemish in the caption of one tile: of a drawn one, or the next that has room for it."""

    def make(draft: Draft, draws: Draws) -> Blemished | None:
        start = draws.below(len(draft.tiles))
        for step in range(len(draft.tiles)):
            place = (start + step) % len(draft.tiles)
            touched = touch(place, draft.tiles[place], draft.captions[place], draws)
            if touched:
                paragraphs = draft.paragraphs
                paragraphs[place] = " ".join(touched.sentences)
                detail = None if touched.class_id is None else TOKENS[touched.class_id]
                return Blemished(whole(paragraphs), (place + 1,), detail)
        return None

    return make


def _adding(*options: str) -> _Touch:
    """Adds one of some sentences before the last."""

    def touch(_place: int, _tile: Tile, said: Sentences, draws: Draws) -> _Touched:
        return _Touched([*said[:-1], draws.of(options), said[-1]])

    return touch


def _instead(*options: str) -> _Touch:
    """Puts one of some texts in the place of the caption."""

    def touch(_place: int, _tile: Tile, _said: Sentences, draws: Draws) -> _Touched:
        return _Touched([draws.of(options)])

    return touch


def _cross_image(place: int, _tile: Tile, said: Sentences, draws: Draws) -> _Touched:
    first = said[0][0].lower() + said[0][1:]
    return draws.of(
        (
            _Touched([f"Similarly, {first}", *said[1:]]),
            _Touched([f"In the {_ORDINALS[place % len(_ORDINALS)]} image, {first}", *said[1:]]),
            _Touched([*said[:-1], "It is more evenly covered than the other images.", said[-1]]),
        )
    )


def _absent_class(_place: int, tile: Tile, said: Sentences, draws: Draws) -> _Touched | None:
    absent = [class_id for class_id in range(1, len(TOKENS)) if class_id not in tile.classes]
    if not absent:
        return None
    class_id = draws.of(absent)
    return _Touched([*said[:-1], f"The scene holds {name(class_id, draws)} too.", said[-1]], class_id)


def _region_empty(_place: int, tile: Tile, said: Sentences, draws: Draws) -> _Touched | None:
    options = [
        (patch.name, class_id)
        for patch in tile.patches
        for class_id in tile.classes
        if tile.exact and class_id not in dict(patch.shares)
    ]
    if not options:
        return None
    patch, class_id = draws.of(options)
    return _Touched([*said[:-1], f"The {patch} holds {name(class_id, draws)} too.", said[-1]], class_id)


def _wrong_dominant(_place: int, tile: Tile, said: Sentences, draws: Draws) -> _Touched | None:
    leader = tile.percent(tile.classes[0]) if tile.classes else 0
    options = [class_id for class_id in tile.classes if tile.percent(class_id) <= leader - _CLEARLY_LESS]
    if not options:
        return None
    wrong = draws.of(options)
    order = [wrong, *(class_id for class_id in tile.classes if class_id != wrong)]
    return _Touched([opening(order, draws), *said[1:-1], closing(wrong, draws)], wrong)


def _without(tile: Tile, class_id: int) -> Tile:
    patches = (
        replace(patch, shares=tuple(share for share in patch.shares if share[0] != class_id)) for patch in tile.patches
    )
    classes = tuple(other for other in tile.classes if other != class_id)
    return replace(tile, classes=classes, patches=tuple(patch for patch in patches if patch.shares))


def _dominant_missing(_place: int, tile: Tile, _said: Sentences, draws: Draws) -> _Touched | None:
    if len(tile.classes) < 2:
        return None
    rest = _without(tile, tile.classes[0])
    names = listed([name(class_id, draws) for class_id in rest.classes])
    return _Touched([f"The scene holds {names}.", *describe(rest, draws)[1:-1]], tile.classes[0])


def _class_missing(_place: int, tile: Tile, _said: Sentences, draws: Draws) -> _Touched | None:
    options = [class_id for class_id in tile.classes[1:] if tile.percent(class_id) >= _CLEARLY_THERE]
    if not options:
        return None
    class_id = draws.of(options)
    return _Touched(describe(_without(tile, class_id), draws), class_id)


def _size_word(_place: int, tile: Tile, said: Sentences, draws: Draws) -> _Touched | None:
    options = [
        (patch.name, class_id) for patch in tile.patches for class_id, percent in patch.shares if 1 <= percent < 10
    ]
    if not options:
        return None
    patch, class_id = draws.of(options)
    sentence = f"The {patch} has a vast share of {name(class_id, draws)}."
    return _Touched([*said[:-1], sentence, said[-1]], class_id)


def _bullets(_place: int, _tile: Tile, said: Sentences, _draws: Draws) -> _Touched:
    return _Touched(["\n".join(f"- {sentence}" for sentence in said)])


def _short(_place: int, tile: Tile, _said: Sentences, draws: Draws) -> _Touched | None:
    if not tile.classes:
        return None
    return _Touched([f"A scene of {listed([name(class_id, draws) for class_id in tile.classes[:3]])}."])


BLEMISHES = {
    "preamble": Blemish("a remark before the captions", _preamble),
    "postscript": Blemish("a remark after them", _postscript),
    "numbering": Blemish("each caption numbered", _numbering),
    "headings": Blemish("each caption under a heading", _headings),
    "fenced": Blemish("the whole reply in a code fence", _fenced),
    "missing": Blemish("one of several captions left out", _missing),
    "duplicated": Blemish("one of several captions in the place of another too", _duplicated),
    "swapped": Blemish("two captions swapped, of tiles that differ in their classes", _swapped),
    "merged": Blemish("two captions in one paragraph", _merged),
    "split": Blemish("one caption in two paragraphs", _split),
    "cut_off": Blemish("the last caption ends in the middle of a sentence, `finish_reason` `stop`", _cut_off),
    "cross_image": Blemish("talk of other images, or of the image's place", _somewhere(_cross_image)),
    "absent_class": Blemish("a class named that the tile does not have", _somewhere(_absent_class)),
    "region_empty": Blemish("a class placed in a patch without it; vision only", _somewhere(_region_empty)),
    "wrong_dominant": Blemish("a far smaller class called dominant", _somewhere(_wrong_dominant)),
    "dominant_missing": Blemish("the dominant class not named", _somewhere(_dominant_missing)),
    "class_missing": Blemish("another class of 15 % or more not named", _somewhere(_class_missing)),
    "size_word": Blemish("a class of a few percent of a patch called vast there", _somewhere(_size_word)),
    "forbidden_word": Blemish(
        "hedges",
        _somewhere(_adding("The land is possibly in transition.", "Perhaps the ground appears to change here.")),
    ),
    "colour_word": Blemish(
        "colours", _somewhere(_adding("Much of it stands out in bright yellow.", "A broad red stretch crosses it."))
    ),
    "prompt_leak": Blemish(
        "talk of the request",
        _somewhere(_adding("The given statistics and the legend bear this out.", "This follows the prompt's rules.")),
    ),
    "percentage": Blemish(
        "numbers", _somewhere(_adding("About 37.5% of it is alike.", "A share of 0.42 of it is covered evenly."))
    ),
    "bullets": Blemish("a caption as a list", _somewhere(_bullets)),
    "short": Blemish("a caption of a few words", _somewhere(_short)),
    "apology": Blemish(
        "an apology in place of a caption",
        _somewhere(_instead("I'm sorry, but I can't help with that.", "I am unable to describe this image.")),
    ),
    "language": Blemish("a caption in another language", _somewhere(_instead(_OTHER_LANGUAGE))),
}
"""All blemishes by name."""
