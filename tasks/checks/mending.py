"""What can be mended in a caption without asking again: talk of other images.

An image's ordinal becomes "this image", a clause or sentence that compares with other images is cut, and so is a
leading "Similarly,". A mended caption says of every class what it said before, and passes all checks, or there is none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tasks.checks.checking import check
from tasks.checks.facts import Counts
from tasks.checks.flags import Flag, Recipe
from tasks.wording.reading import Reading, read
from tasks.wording.regions import Extent
from tasks.wording.tokens import tokenise
from tasks.wording.vocabulary import Kind, grammar

_THING = r"(?:image|scene|picture|tile|map|photo(?:graph)?|frame)"
_ORDINAL = r"(?:first|second|third|fourth|1st|2nd|3rd|4th|last|final|next|following|subsequent)"
_NUMBER = r"(?:\d|one|two|three|four|I{1,3}|IV)"
_NUMBERED = rf"{_THING}\s*(?:no\.?\s|number\s|#)?\s*{_NUMBER}"
_LABEL = re.compile(rf"\A\W*(?:(?:the\s+)?{_ORDINAL}\s+{_THING}|{_NUMBERED})\W*[:–—]\s*", re.IGNORECASE)
_COUNTED = re.compile(
    rf"\b(?:(?:the|this)\s+)?(?:{_ORDINAL}(?:\s+and\s+(?:last|final))?\s+(?P<thing>{_THING})\b(?!s)"
    rf"|(?P<other>{_THING})\s*(?:no\.?\s|number\s|#)?\s*{_NUMBER}\b)",
    re.IGNORECASE,
)
_ANOTHER = re.compile(
    r"\b(?:unlike|like|to|with|than|than in|as in|as with|as on|from|of|and|or|resembl\w+|echo\w+|mirror\w+)\s+\Z",
    re.IGNORECASE,
)
"""Before an image's ordinal: it is another image's."""

_LARGER = (
    r"(?:more|less|fewer|wider|larger|smaller|denser|bigger|greater|higher|lower|sparser|narrower|thicker|broader)"
)
_COMPARES = re.compile(
    rf",?\s*\b(?:to an? (?:much |far )?{_LARGER} (?:extent|degree) )?"
    rf"(?:(?:very |quite |rather |much |just |{_LARGER} )*"
    r"(?:similar(?:ly)? (?:to|as)|compared (?:to|with)|(?:in|by) comparison (?:to|with)|in contrast (?:to|with)"
    r"|unlike|like|as (?:in|with|on)|than (?:in|on)|resembling|echoing|mirroring|as opposed to|relative to))\b",
    re.IGNORECASE,
)
_LEFTOVER = re.compile(
    rf"\b{_LARGER} *(?:[.,;]|here\b|\Z)|\b(?:more|less|fewer) \w+ *[.,;]"
    rf"|\b(?:far|much|slightly|somewhat|considerably|noticeably|even) (?:{_LARGER}|[a-z]{{3,}}er)\b"
    rf"|\b(?:is|are|has|have|shows?|with|holds?|contains?|features?) (?:much |far |a )?{_LARGER}\b"
    r"|\b(?:no exception|the same|too|the (?:most|least) \w+|as well|again|also|instead|(?:in )?common|alike|differ\w*"
    r"|similar\w*|likewise|unlike|another|both)\b",
    re.IGNORECASE,
)
"""What makes no sense, or another sense, without the other half of a comparison."""

_UNFINISHED = frozenset(
    {
        "is",
        "are",
        "has",
        "have",
        "being",
        "having",
        "was",
        "were",
        "looks",
        "look",
        "seems",
        "seem",
        "remains",
        "remain",
    }
    | {"shows", "show", "holds", "hold", "contains", "contain", "features", "covers", "cover", "a", "an", "the", "with"}
    | {"and", "or", "but", "of", "in", "on", "at", "to", "by", "far", "much", "very", "slightly", "somewhat", "even"}
)
"""Words with which no sentence ends."""

_PRONOUN = re.compile(rf"(?:it|its|they|their|these|those|here|there|this)\b(?! {_THING}\b)", re.IGNORECASE)
_MAIN_VERBS = (Kind.VERB, Kind.LEADS)


def mend(text: str, counts: Counts, recipe: Recipe, flags: Sequence[Flag]) -> str | None:
    """A caption without its talk of other images, if nothing is wrong with it then and it says the same of every class.

    Args:
        text: the caption.
        counts: the tile's pixels by patch and class id, 6 rows of 12.
        recipe: how it was made.
        flags: what is wrong with it.
    """
    errors = {flag.code for flag in flags if flag.is_error}
    if errors != {"cross-image"}:
        return None
    mended = _without_start(text, flags)
    mended = _LABEL.sub("", mended)
    mended = _COUNTED.sub(_as_this, mended)
    shorter = _sentences_without_comparison(mended, counts, recipe)
    mended = _tidy(shorter) if shorter else ""
    if not mended or mended == text or not same_facts(read(text), read(mended)):
        return None
    return None if any(flag.is_error for flag in check(mended, counts, recipe)) else mended


def same_facts(one: Reading, other: Reading) -> bool:
    """Whether two captions say the same of every class: there or not, where, and which is dominant."""
    return _facts(one) == _facts(other)


def _facts(reading: Reading) -> tuple[object, ...]:
    there = {mention.classes for mention in reading.mentions if not mention.denied}
    denied = {mention.classes for mention in reading.mentions if mention.denied}
    placed = {
        (mention.classes, mention.denied, region.claims)
        for mention in reading.mentions
        for region in mention.regions
        if region.extent is Extent.PLACED
    }
    leading = {frozenset(mention.classes for mention in leading.mentions) for leading in reading.leading}
    sizes = {(mention.classes, mention.size) for mention in reading.mentions if mention.size is not None}
    return there, denied, placed, leading, sizes


def _as_this(match: re.Match[str]) -> str:
    """An image's ordinal as "this image", unless it is another image that is spoken of."""
    if _ANOTHER.search(match.string, 0, match.start()):
        return match.group()
    return f"this {(match['thing'] or match['other']).lower()}"


def _without_start(text: str, flags: Sequence[Flag]) -> str:
    """The text without a first word that compares, as in "Similarly, "."""
    start = len(text) - len(text.lstrip())
    end = next((flag.end for flag in flags if flag.code == "cross-image" and flag.start == start), start)
    rest = text[end:].lstrip()
    return rest[1:].lstrip() if end > start and rest.startswith(",") else text


def _sentences_without_comparison(text: str, counts: Counts, recipe: Recipe) -> str | None:
    """The text without clauses or sentences that still speak of other images; None where it would not hold then."""
    tokens = tokenise(text)
    kept: list[str] = []
    cut = False
    for first, end in tokens.sentences:
        start, stop = tokens.span(first, end - 1)
        sentence = text[start:stop]
        if cut and _PRONOUN.match(sentence):
            return None  # what it stands for has gone
        cut = False
        if _speaks_of_images(sentence, counts, recipe):
            sentence = _without_clause(sentence, counts, recipe) or ""
            cut = not sentence or bool(_LEFTOVER.search(sentence)) or _speaks_of_images(sentence, counts, recipe)
        if not cut:
            kept.append(sentence[0].upper() + sentence[1:])
    return " ".join(kept)


def _speaks_of_images(sentence: str, counts: Counts, recipe: Recipe) -> bool:
    return any(flag.code == "cross-image" for flag in check(sentence, counts, recipe))


def _without_clause(sentence: str, counts: Counts, recipe: Recipe) -> str | None:
    """A sentence without the parts between commas that speak of other images, or without what compares in them."""
    pieces = re.split(r"(?<=[,;])\s+", sentence)
    ending = sentence[-1] if sentence[-1] in ".!?" else ""
    kept: list[str] = []
    for piece in pieces:
        if not _speaks_of_images(piece, counts, recipe):
            kept.append(piece)
        elif (compares := _COMPARES.search(piece)) and compares.start() > 0 and _is_a_clause(piece[: compares.start()]):
            kept.append(piece[: compares.start()].rstrip() + ("," if piece.endswith(",") else ""))
        elif read(piece).mentions:
            return None
    rest = " ".join(kept).rstrip(" ,;.!?")
    return f"{rest}{ending}" if _is_a_clause(rest) else None


def _is_a_clause(piece: str) -> bool:
    """Whether a piece of a sentence has a verb and does not break off behind it, so that it can stand alone."""
    words = tokenise(piece).words
    return (
        bool(words)
        and words[-1] not in _UNFINISHED
        and any(meaning.kind in _MAIN_VERBS for _, _, meaning in grammar().vocabulary.found(words))
    )


def _tidy(text: str) -> str:
    """The text with a capital at the start of each sentence, and the image where "this one" has lost its partner."""
    tokens = tokenise(text.strip())
    text = tokens.text
    for first, _ in tokens.sentences:
        at = tokens.starts[first]
        text = text[:at] + text[at].upper() + text[at + 1 :]
    return re.sub(r"\b([Tt])his one\b", r"\1his image", text)
