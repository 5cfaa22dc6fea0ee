"""All checks of one caption."""

from __future__ import annotations

from tasks.checks.classes import (
    absent_classes,
    empty_regions,
    missing_classes,
    named,
    wrong_dominants,
    wrong_sizes,
)
from tasks.checks.facts import Counts, Facts
from tasks.checks.flags import Flag, Recipe
from tasks.checks.form import bad_format, bad_length, cut_off, label, refuses
from tasks.checks.language import is_foreign
from tasks.checks.settings import settings
from tasks.checks.words import bad_words, comparing_start, counted_start, numbers
from tasks.wording.reading import read

_LABEL_ENDS = 20
"""A label that is the talk of another image or of the request, too, begins before this: one offence, one code."""


def check(text: str, counts: Counts, recipe: Recipe) -> tuple[Flag, ...]:
    """What is wrong with a caption, in the order of the codes.

    Args:
        text: the caption.
        counts: the tile's pixels by patch and class id, 6 rows of 12.
        recipe: how it was made.

    Raises:
        ValueError: counts of another shape.
    """
    facts = Facts.of(counts)
    chosen = settings(recipe)
    reading = read(text)
    tokens = reading.tokens
    if refuses(tokens, chosen):
        return (Flag("refusal", 0, len(text)),)
    if is_foreign(tokens):
        return (Flag("format", 0, len(text)),)
    said = named(reading, facts)
    spoken = (*bad_words(tokens, chosen), *comparing_start(tokens, chosen), *counted_start(tokens, chosen))
    labels = label(text) if not any(flag.start < _LABEL_ENDS for flag in spoken) else ()
    return (
        *absent_classes(said, facts),
        *empty_regions(said, facts),
        *wrong_dominants(reading, facts, chosen),
        *missing_classes(reading, said, facts, chosen),
        *wrong_sizes(said, facts, chosen),
        *spoken,
        *numbers(tokens),
        *labels,
        *bad_format(tokens),
        *bad_length(tokens, chosen),
        *cut_off(tokens),
    )
