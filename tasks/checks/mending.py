"""What can be mended in a caption without asking again: talk of other images.

The ordinal of the image itself becomes "this image", a clause or sentence that compares with other images is cut, and
so is a leading "Similarly,". A clause that would hang in the air then, or speak of something else, goes with its
sentence, and where it is unclear which image is meant nothing is mended. A mended caption says of every class what it
said before, and passes all checks, or there is none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tasks.checks.checking import check
from tasks.checks.facts import Counts
from tasks.checks.flags import Flag, Recipe
from tasks.checks.settings import settings
from tasks.checks.words import comparing_start
from tasks.wording.reading import Reading, read
from tasks.wording.regions import Extent
from tasks.wording.tokens import tokenise
from tasks.wording.vocabulary import Kind, grammar

_THING = r"(?:image|scene|picture|tile|map|photo(?:graph)?|frame)"
_KIND = r"(?:(?:satellite|aerial|land[- ]?cover|classified|sentinel-2)\s+)?"
_COUNTS = (
    ("first", "1st", "1", "one", "i"),
    ("second", "2nd", "2", "two", "ii"),
    ("third", "3rd", "3", "three", "iii"),
    ("fourth", "4th", "4", "four", "iv"),
)
_ORDINAL = r"(?:first|second|third|fourth|1st|2nd|3rd|4th|last|final|next|following|subsequent)"
_NUMBER = r"(?:\d|one|two|three|four|I{1,3}|IV)"
_NUMBERED = rf"{_THING}\s*(?:no\.?\s|number\s|#)?\s*{_NUMBER}"
_LABEL = re.compile(rf"\A\W*(?:(?:the\s+)?{_ORDINAL}\s+{_THING}|{_NUMBERED})\W*[:–—]\s*", re.IGNORECASE)
_COUNTED = re.compile(
    rf"\b(?:(?:the|this)\s+)?(?:(?P<ordinal>{_ORDINAL})(?:\s+and\s+(?:last|final))?\s+{_KIND}(?P<thing>{_THING})\b(?!s)"
    rf"|(?<!the )(?<!this )(?P<other>{_THING})\s*(?:no\.?\s|number\s|#)?\s*(?P<number>{_NUMBER})\b"
    rf"(?:\s+of\s+{_NUMBER}\b)?)",
    re.IGNORECASE,
)
_OPENING = re.compile(r"\A\W*(?:overall,\s+)?(?:(?:in|within|across|throughout|for)\s+)?\Z", re.IGNORECASE)
"""Before the ordinal of the image that a sentence is about."""

_THIS_ONE = re.compile(r"\bthis one\b", re.IGNORECASE)
_THIS = re.compile(rf"\b(?:here|this (?:one|{_THING}))\b|\A\W*(?:was|were|had)\b", re.IGNORECASE)
"""Beside an image's ordinal: that one is another image."""

_UNNAMED = re.compile(
    r"\bthe (?:first|second|third|fourth)(?: (?:and|or|two|three|one|is|are|has|shows?|contains?)\b| *[.,;])",
    re.IGNORECASE,
)
"""Where an image's ordinal has been taken out: another image, too."""

_WITHIN = re.compile(
    r"\b(?:in|within|across|throughout|over|through|dominates?|covers?|fills?|cross(?:es)?"
    r"|(?:theme|subject|part|half|side|edge|corner|quadrant|quarter|cent(?:er|re)|middle|rest|most) of)\s+\Z",
    re.IGNORECASE,
)
_COMPARED = re.compile(
    r"\b(?:than|as|like|unlike|alike|same|similar\w*|compar\w*|contrast\w*|differ\w*|resembl\w*|echo\w*|mirror\w*"
    r"|match\w*|repeat\w*|shared?|shares|also|too|again|both|another|other|opposed|relative|absent|whereas"
    r"|more|less|fewer|that|those|was|were|had)\b",
    re.IGNORECASE,
)
"""Beside an image's ordinal within a sentence: it may be another image."""

_APART = re.compile(
    rf"\A(This {_THING})"
    r"(?:,\s+(?:however|though|too|also|likewise|similarly|again|meanwhile|conversely|(?:in|by) (?:contrast|comparison)"
    r"|on the other hand),|\s+(?:also|again|likewise|similarly))(?=\s)"
)
"""What sets an image apart from others that are not named."""

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
    rf"\b{_LARGER} *(?:[.,;]|here\b|\Z)|(?<!such )\bas \w+ *(?:[.,;]|\Z)|\b(?:more|less|fewer) \w+ *[.,;]"
    rf"|\b(?:far|much|slightly|somewhat|considerably|noticeably|even) (?:{_LARGER}|[a-z]{{3,}}er)\b"
    rf"|\b(?:is|are|has|have|shows?|with|holds?|contains?|features?) (?:much |far |a )?{_LARGER}\b"
    r"|\b(?:no exception|the same|too|the (?:most|least) \w+|as well|again|also|instead|(?:in )?common|alike|differ\w*"
    r"|similar\w*|likewise|unlike|another|both)\b",
    re.IGNORECASE,
)
"""What makes no sense, or another sense, without the other half of a comparison."""

_UNFINISHED = frozenset(
    {"is", "are", "has", "have", "was", "were", "being", "having", "looks", "look", "seems", "seem"}
    | {"remains", "remain", "shows", "show", "holds", "hold", "contains", "contain", "features", "covers", "cover"}
    | {"a", "an", "the", "with", "and", "or", "but", "as", "than", "so", "just", "of", "in", "on", "at", "to", "by"}
    | {"far", "much", "very", "slightly", "somewhat", "even"}
)
"""Words with which no sentence ends."""

_HANGS = re.compile(r"(?:(?:in |of |to |from )?(?:where|which|whom?|whose|when)|while|[a-z]+ed)\b", re.IGNORECASE)
"""What begins so says more of what stands before."""

_PARTICIPLE = re.compile(r"[a-z]+ing\b", re.IGNORECASE)
_OF_A_CLAUSE = re.compile(rf"(?:with|and|but|or|so)\b|{_PARTICIPLE.pattern}", re.IGNORECASE)
"""What begins so needs a clause before it."""

_BEGINS = re.compile(r"\b(?:and|but|or|while|that|which|where|whereas),\Z", re.IGNORECASE)
"""What ends so begins a clause whose comma has lost its partner."""

_JOINS = re.compile(
    r"(?:with|and|but|or|so|as|while|yet|though|although|making|plus|including|especially)\b", re.IGNORECASE
)

_ADVERBIAL = re.compile(r"(?:in|on|at|to|from|along|across|near|towards?|throughout|within|here)\b", re.IGNORECASE)
_OF_ITSELF = re.compile(r"(?:it|its|they|their)\b", re.IGNORECASE)
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
    shorter = _sentences_without_comparison(_without_start(text, recipe), counts, recipe)
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


def _without_start(text: str, recipe: Recipe) -> str:
    """The text without a first word that compares, as in "Similarly, ", and without a label."""
    end = next((flag.end for flag in comparing_start(tokenise(text), settings(recipe))), 0)
    return _LABEL.sub("", text[end:].lstrip(" ,") if end else text)


def _sentences_without_comparison(text: str, counts: Counts, recipe: Recipe) -> str | None:
    """The text without clauses or sentences that still speak of other images; None where it would not hold then."""
    tokens = tokenise(text)
    kept: list[str] = []
    own: set[object] = set()
    cut = False
    for first, end in tokens.sentences:
        start, stop = tokens.span(first, end - 1)
        sentence = text[start:stop]
        if cut and _PRONOUN.match(sentence):
            return None  # what it stands for has gone
        sentence, image = _as_this(sentence)
        own |= {image} - {None}
        cut = False
        if _speaks_of_images(sentence, counts, recipe):
            sentence = _without_clause(sentence, counts, recipe) or ""
            cut = not sentence or bool(_LEFTOVER.search(sentence)) or _speaks_of_images(sentence, counts, recipe)
            if not kept and _OF_ITSELF.match(sentence):
                return None  # the image that it stands for has not been named
        if not cut:
            kept.append(sentence[0].upper() + sentence[1:])
    shorter = " ".join(kept)
    if len(own) > 1 or (own and (_THIS_ONE.search(text) or _UNNAMED.search(shorter))):
        return None  # several images are described
    return shorter


def _as_this(sentence: str) -> tuple[str, object]:
    """A sentence with "this image" for the ordinal of its own image, and which one that is; None where it has none."""
    found = list(_COUNTED.finditer(sentence))
    if not found or _THIS.search(_COUNTED.sub("", sentence)):
        return sentence, None
    match = found[0]
    alone = len(found) == 1 and not _COMPARED.search(sentence) and _WITHIN.search(sentence, 0, match.start())
    if not alone and not _OPENING.match(sentence[: match.start()]):
        return sentence, None
    this = "this" if re.search(r"\w", sentence[: match.start()]) else "This"
    this = f"{this} {(match['thing'] or match['other']).lower()}"
    number = (match["ordinal"] or match["number"]).lower()
    image = next((counted for counted in _COUNTS if number in counted), number)
    return _APART.sub(r"\1", sentence[: match.start()] + this + sentence[match.end() :]), image


def _speaks_of_images(sentence: str, counts: Counts, recipe: Recipe) -> bool:
    return any(flag.code == "cross-image" for flag in check(sentence, counts, recipe))


def _without_clause(sentence: str, counts: Counts, recipe: Recipe) -> str | None:
    """A sentence without the parts between commas that speak of other images, or without what compares in them."""
    ending = sentence[-1] if sentence[-1] in ".!?" else ""
    kept: list[str] = []
    cut = False
    for piece in re.split(r"(?<=[,;])\s+", sentence):
        if not _speaks_of_images(piece, counts, recipe):
            if cut and not _follows(piece, kept):
                return None
            if cut and kept and (_BEGINS.search(kept[-1]) or _leads_to(kept[-1], piece)):
                kept[-1] = kept[-1].rstrip(" ,;")
            kept.append(piece)
            cut = False
            continue
        if cut and _HANGS.match(piece):
            return None
        cut = True
        if (compares := _COMPARES.search(piece)) and compares.start() > 0 and _is_a_clause(piece[: compares.start()]):
            kept.append(piece[: compares.start()].rstrip() + ("," if piece.endswith(",") else ""))
        elif read(piece).mentions:
            return None
    rest = " ".join(kept).rstrip(" ,;.!?")
    return f"{rest}{ending}" if _is_a_clause(rest) else None


def _follows(piece: str, kept: Sequence[str]) -> bool:
    """Whether a piece of a sentence can stand right behind what is kept of it, without what stood between."""
    if _HANGS.match(piece):
        return False
    if not kept:
        is_main = _is_a_clause(piece) and not _begins_with_a_verb(piece)
        return not _OF_A_CLAUSE.match(piece) and (is_main or bool(_ADVERBIAL.match(piece)))
    if _begins_with_a_verb(piece) and not _BEGINS.search(kept[-1]):
        return not _is_a_clause(" ".join(kept)) or bool(_PARTICIPLE.match(piece))
    return _is_a_clause(piece) or any(begins.match(piece) for begins in (_PARTICIPLE, _JOINS, _ADVERBIAL))


def _leads_to(before: str, piece: str) -> bool:
    """Whether a piece of a sentence is the subject of the next: no comma parts them."""
    return not _is_a_clause(before) and _begins_with_a_verb(piece)


def _begins_with_a_verb(piece: str) -> bool:
    words = tokenise(piece).words
    return any(first == 0 and meaning.kind in _MAIN_VERBS for first, _, meaning in grammar().vocabulary.found(words))


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
