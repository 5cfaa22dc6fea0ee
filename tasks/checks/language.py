"""Whether a text is English, by its script and its commonest small words."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import yaml

from tasks.wording.tokens import Tokens

_LATIN = 0x24F
"""The last letter of the Latin script's common blocks."""

_STRANGE_SHARE = 5
"""A text is in another language where one letter in so many is of another script."""

_SMALL_SHARE = 6
"""A sentence of another language has one of its small words in so many words, or more."""

_FEWEST = 2
"""Fewer small words of another language tell nothing."""


@cache
def _small_words() -> tuple[frozenset[str], frozenset[str]]:
    content = yaml.safe_load(files("tasks.checks").joinpath("languages.yaml").read_text("utf-8"))
    others = {word for words in content["others"].values() for word in words}
    return frozenset(content["english"]), frozenset(others - set(content["english"]))


def is_foreign(tokens: Tokens) -> bool:
    """Whether a text is in another language."""
    return _is_foreign(tokens, tokens.words)


def foreign_sentences(tokens: Tokens) -> list[tuple[int, int]]:
    """Where in an English text sentences of another language stand."""
    _, other = _small_words()
    if tokens.text.isascii() and sum(map(other.__contains__, tokens.words)) < _FEWEST:
        return []
    return [
        tokens.span(first, end - 1) for first, end in tokens.sentences if _is_foreign(tokens, tokens.words[first:end])
    ]


def _is_foreign(tokens: Tokens, words: list[str]) -> bool:
    english, other = _small_words()
    if not tokens.text.isascii():
        letters = [letter for word in words for letter in word if letter.isalpha()]
        if _STRANGE_SHARE * sum(ord(letter) > _LATIN for letter in letters) > max(1, len(letters)):
            return True
    small = sum(map(other.__contains__, words))
    return small >= _FEWEST and small > sum(map(english.__contains__, words)) and _SMALL_SHARE * small > len(words)
