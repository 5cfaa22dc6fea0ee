"""Checks of the words of a caption: hedges, colours, other images, the request, numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tasks.checks.flags import Flag
from tasks.checks.settings import Settings
from tasks.wording.tokens import Tokens
from tasks.wording.vocabulary import Kind, grammar

_TENS = "ten|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_PERCENT = re.compile(
    rf"(?:\d[\d.,]*|\b(?:{_TENS}|one|two|three|four|five|six|seven|eight|nine|a few|hundred)(?:[- ]\w+)?)?\s*"
    r"(?:%|\bper\s?cent\b|\bpct\b)",
    re.IGNORECASE,
)
_MEASURE = (
    r"(?:[-‐‑\s]?(?:of an? )?(?:(?:square|sq\.?|nautical)[-‐‑\s]?)?"
    r"(?:c?m|km|mi|ha|ft|yds?|met(?:re|er)s?|kilomet\w+|hectares?|acres?|miles?|yards?|foot|feet|degrees?"
    r"|thousand|million|billion)(?![^\W\d_²³])|\s?°)"
)
_TO = r"\s?(?:[-‐‑–—x×]|to|by|and|or)\s?"
_DECIMAL = re.compile(
    r"(?<![\d.,])(?:[01]?\.\d+|0,\d+|1,\d{2})(?![\d.]*\d)"
    rf"(?!{_MEASURE}|{_TO}\d+(?:[.,]\d+)?{_MEASURE})",
    re.IGNORECASE,
)
"""A share; what has a unit behind it, at once or behind a second number, is a length, an area or a count."""

_FRACTION = re.compile(
    r"(?<![\d/])\d{1,3}\s?/\s?\d{1,3}(?![\d/])|[½⅓⅔¼¾⅕⅖⅗⅘⅙⅛]"
    r"|\b\d+ out of (?:every )?\d+\b(?! (?:quarters|quadrants|corners|patches))|\bpercentages?\D{1,15}\d+"
)
_PERCENT_WORDS = frozenset({"percent", "cent", "pct"})
_DIGITS = frozenset("0123456789½⅓⅔¼¾⅕⅖⅗⅘⅙⅛")
_A_MONTH = re.compile(r"May\s+(?:\d|and\b|to\b|or\b)")


def bad_words(tokens: Tokens, settings: Settings) -> Iterator[Flag]:
    """Words and phrases that the recipe forbids, each with its own code."""
    words, text = tokens.words, tokens.text
    for first, last, code in settings.words.found(words):
        if code is None:
            continue
        start, end = tokens.span(first, last)
        if code == "colour-word" and _is_a_name(tokens, first):
            continue
        if code == "cross-image" and last + 1 < len(words) and words[last + 1] in settings.not_images:
            continue
        if code == "cross-image" and _are_no_images(tokens, settings, first, last):
            continue
        if (
            code == "cross-image"
            and words[last] == "a"
            and (text[tokens.starts[last]] == "a" or words[first - 1] == "this")
        ):
            continue  # "in this image a forest" has an article
        if words[first] == "may" and _A_MONTH.match(text, start):
            continue
        yield Flag(code, start, end)


def comparing_start(tokens: Tokens, settings: Settings) -> Iterator[Flag]:
    """A first word that compares with another image: "Similarly, ..."."""
    for first, last, _ in settings.starts.found(tokens.words, 0, min(8, len(tokens.words))):
        if first == 0:
            yield Flag("cross-image", *tokens.span(first, last - 1))


def counted_start(tokens: Tokens, settings: Settings) -> Iterator[Flag]:
    """First words that count images: "The second one ..."."""
    for first, last, _ in settings.counted.found(tokens.words, 0, min(8, len(tokens.words))):
        if first == 0:
            yield Flag("cross-image", *tokens.span(first, last))


def numbers(tokens: Tokens) -> Iterator[Flag]:
    """Percentages, decimal shares and fractions in digits."""
    text = tokens.text
    if "%" in text or not _PERCENT_WORDS.isdisjoint(tokens.words):
        for match in _PERCENT.finditer(text):
            yield Flag("number", *match.span())
    if not _DIGITS.isdisjoint(text):
        for pattern in (_DECIMAL, _FRACTION):
            for match in pattern.finditer(text):
                yield Flag("number", *match.span())


def _is_a_name(tokens: Tokens, at: int) -> bool:
    """Whether a colour is part of a name, such as the Red Sea: both words have capitals."""
    if at + 1 >= len(tokens.words):
        return False
    follows = tokens.text[tokens.starts[at + 1]]
    begins = tokens.text[tokens.starts[at]]
    return begins.isupper() and follows.isupper() and tokens.starts[at + 1] - tokens.ends[at] == 1


def _are_no_images(tokens: Tokens, settings: Settings, first: int, last: int) -> bool:
    """Whether "the others" are of a sentence that names a region or two classes, and so may be of that kind too."""
    ended = not "".join(tokens.words[last + 1 : last + 2]).isalpha()  # "unlike the first image" is no such phrase
    if not ended or not any(True for _ in settings.others.found(tokens.words, first, last + 1)):
        return False
    start, end = tokens.sentence(first)
    found = list(grammar().vocabulary.found(tokens.words, start, end))
    classes = {meaning.classes for at, _, meaning in found if meaning.kind is Kind.CLASS and at < first}
    comma = next((at for at in range(first - 1, start, -1) if tokens.words[at] == ","), start)
    more = tokens.words[first] == "than" and len(classes) > 1
    if more and settings.image_nouns.isdisjoint(tokens.words[comma:end]):
        return True  # "trees, crops and water share the scene, with water covering more than the others"
    named = any(meaning.kind is Kind.REGION and not first <= at <= last for at, _, meaning in found)
    return named and settings.image_nouns.isdisjoint(tokens.words[start:end])
