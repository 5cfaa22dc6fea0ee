"""What is wrong with a caption, in words: for people, and for the model that is asked again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.checks.flags import Flag
from tasks.wording.context import CLASS_NAMES

_WORDS = 40
"""Characters of a caption that are repeated at most."""

_OF_CLASSES = {
    "absent-class": "it names {name}, which the scene does not have",
    "region-empty": "it places {name} in a part that has none",
    "wrong-dominant": "it calls {name} dominant, which is not",
    "dominant-missing": "it does not name {name}, which is dominant",
    "class-missing": "it does not name {name}, which has a large share",
    "size-word": "it gives {name} a share of the wrong size",
}
_OF_WORDS = {
    "forbidden-word": "it says {said}, which must not be said",
    "colour-word": "it names the colour in {said}",
    "cross-image": "it speaks of other images: {said}",
    "prompt-leak": "it speaks of what was asked: {said}",
    "number": "it gives a number: {said}",
}
_OF_FORM = {
    "format": "it is not one plain paragraph of English",
    "length": "it is too short or too long",
    "cut-off": "its last sentence is unfinished",
    "refusal": "it is an excuse and no caption",
}


def in_words(text: str, flags: Sequence[Flag]) -> str:
    """What is wrong with a caption, on one line; each thing once."""
    return "; ".join(dict.fromkeys(_each(text, flags)))


def _each(text: str, flags: Sequence[Flag]) -> Iterator[str]:
    for flag in flags:
        said = " ".join(text[flag.start : flag.end].split())
        quoted = f'"{said[:_WORDS]}…"' if len(said) > _WORDS else f'"{said}"'
        template = _OF_CLASSES.get(flag.code) or _OF_WORDS.get(flag.code) or _OF_FORM[flag.code]
        yield template.format(name=CLASS_NAMES[flag.class_id], said=quoted)
