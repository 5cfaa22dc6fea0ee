"""The sentences of the rules captioner as data: `frames.yaml`, parsed.

A frame is one sentence with slots for words and with verbs that agree with them; the file explains how it is written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml

CLASS_SLOTS = frozenset({"x", "m", "y", "s"})
"""Slots that name classes, and so have a grammatical number."""

_MARK = re.compile(r"\{(\w+)\}|\[(?:(\w+):)?([^|\]]*)\|([^\]]*)\]")


@dataclass(frozen=True)
class Slot:
    """A place in a frame that is filled with words."""

    name: str


@dataclass(frozen=True)
class Verb:
    """A word that agrees with a class slot.

    Attributes:
        singular: as it stands with a singular.
        plural: as it stands with a plural.
        slot: the slot that it agrees with.
    """

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


@cache
def frames() -> dict[str, tuple[Frame, ...]]:
    """All frames by occasion, such as ``opening.most``."""
    return {
        f"{topic}.{fact}": tuple(parse(text) for text in texts)
        for topic, facts in _content().items()
        if topic != "link"
        for fact, texts in facts.items()
    }


@cache
def links() -> dict[str, tuple[str, ...]]:
    """Words that tie a sentence to the one before, by occasion."""
    return {fact: tuple(texts) for fact, texts in _content()["link"].items()}


def parse(text: str) -> Frame:
    """A frame from its text.

    Raises:
        ValueError: a verb without a class slot that it could agree with.
    """
    parts: list[str | Slot | Verb] = []
    last = ""
    end = 0
    for mark in _MARK.finditer(text):
        parts.append(text[end : mark.start()])
        slot, agrees_with, singular, plural = mark.groups()
        if slot:
            parts.append(Slot(slot))
            last = slot if slot in CLASS_SLOTS else last
        elif agrees_with or last:
            parts.append(Verb(singular, plural, agrees_with or last))
        else:
            raise ValueError(f"{text!r}: [{singular}|{plural}] has no class to agree with")
        end = mark.end()
    parts.append(text[end:])
    fixed = "".join(part for part in parts if isinstance(part, str))
    slots = frozenset(part.name for part in parts if isinstance(part, Slot))
    return Frame(text, tuple(parts), slots, "cover" in fixed)


def _content() -> dict[str, dict[str, list[str]]]:
    content: dict[str, dict[str, list[str]]] = yaml.safe_load(
        files("tasks.wording").joinpath("frames.yaml").read_text("utf-8")
    )
    return content
