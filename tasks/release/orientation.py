"""Captions that say where things lie hold only for an image that is neither flipped nor turned."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

_SUFFIX = r"(?:er(?:n|ly)|wards?|bound)?"
_DIRECTIONS = re.compile(
    rf"\b(?:(?:north|south)(?:[ -]?(?:east|west))?{_SUFFIX}|(?:east|west){_SUFFIX}|left|right|top|bottom|upper|lower"
    r"|above|below|horizontal(?:ly)?|vertical(?:ly)?|diagonal(?:ly)?|clockwise)\b",
    re.IGNORECASE,
)

_Image = TypeVar("_Image")


def names_directions(text: str) -> bool:
    """Whether a text says where something lies: left, northern, in the lower half ..."""
    return _DIRECTIONS.search(text) is not None


def keep_upright(
    turn: Callable[[_Image], _Image], *, image: str = "image", text: str = "text"
) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """A step for loaders that flips or rotates images, but none whose text names directions.

    ``dataset.map(keep_upright(flip))`` serves ``datasets``, and ``.map(keep_upright(flip, image="rgb.png",
    text="txt"))`` serves ``webdataset``.

    Args:
        turn: flips, rotates or crops an image.
        image: the sample's key for the image.
        text: the sample's key for the text.

    Returns:
        A function that takes a sample and returns it, its image turned only where its text allows it.
    """

    def step(sample: Mapping[str, Any]) -> dict[str, Any]:
        changed = dict(sample)
        if not names_directions(str(sample[text])):
            changed[image] = turn(sample[image])
        return changed

    return step
