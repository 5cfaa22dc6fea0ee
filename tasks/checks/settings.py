"""Thresholds and words of the checks, from `checks.yaml`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from tasks.checks.flags import Code, Recipe
from tasks.wording.lexicon import lexicon
from tasks.wording.tokens import Phrases


@dataclass(frozen=True)
class Settings:
    """What captions of one recipe are checked for.

    Attributes:
        dominant_trails: points by which a class called dominant may trail the largest.
        must_be_named: share in percent from which on a class must be named.
        fewest_words: of a caption.
        most_words: of a caption.
        refusal_words: words and signs beyond which a text is no refusal.
        sizes: by number of the size, the shares in percent that its words are in step with, from and to.
        words: phrases that captions may not use, with the code that each is; None for what only looks like one.
        others: phrases that speak of other images, where they do not of other regions.
        image_nouns: what images are called.
        not_images: words after which no image is counted.
        counted: phrases that speak of one image of several where a caption begins with them.
        starts: phrases that compare where a caption begins with them.
        refusals: phrases of refusals; True for those that are some only at the start.
    """

    dominant_trails: int
    must_be_named: int
    fewest_words: int
    most_words: int
    refusal_words: int
    sizes: Sequence[tuple[int, int]]
    words: Phrases[Code | None]
    others: Phrases[bool]
    image_nouns: frozenset[str]
    not_images: frozenset[str]
    counted: Phrases[bool]
    starts: Phrases[bool]
    refusals: Phrases[bool]


@cache
def settings(recipe: Recipe) -> Settings:
    """The settings for a recipe."""
    content: Mapping[str, Any] = yaml.safe_load(files("tasks.checks").joinpath("checks.yaml").read_text("utf-8"))
    thresholds = content["thresholds"]
    fewest, most = thresholds["words"]
    refusals: Phrases[bool] = Phrases()
    refusals.add(content["refusals"]["anywhere"], False)
    refusals.add(content["refusals"]["starts"], True)
    counted: Phrases[bool] = Phrases()
    starts: Phrases[bool] = Phrases()
    others: Phrases[bool] = Phrases()
    if recipe == "vision":
        counted.add(content["counted_starts"], True)
        starts.add(content["comparing_starts"], True)
        others.add(content["others"], True)
    return Settings(
        dominant_trails=thresholds["dominant_trails"],
        must_be_named=thresholds["must_be_named"],
        fewest_words=fewest,
        most_words=most,
        refusal_words=thresholds["refusal_words"],
        sizes=[tuple(thresholds["sizes"][size.name]) for size in lexicon().sizes],
        words=_words(content, recipe),
        others=others,
        image_nouns=frozenset(content["image_nouns"]),
        not_images=frozenset(content["not_images"]),
        counted=counted,
        starts=starts,
        refusals=refusals,
    )


def _words(content: Mapping[str, Any], recipe: Recipe) -> Phrases[Code | None]:
    """What captions may not say; of two codes for one phrase the later one is taken."""
    words: Phrases[Code | None] = Phrases()
    words.add(content["leaks"], "prompt-leak")
    if recipe == "vision":
        words.add([*content["images"], *content["others"]], "cross-image")
        words.add(content["colours"], "colour-word")
        words.add(content["no_colours"], None)
    words.add([*content["forbidden"]["all"], *content["forbidden"].get(recipe, ())], "forbidden-word")
    words.add(content["allowed"], None)
    return words
