"""Checks of a caption's form: one paragraph of English prose, whole, neither short nor long, and no refusal."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tasks.checks.flags import Flag
from tasks.checks.language import foreign_sentences
from tasks.checks.settings import Settings
from tasks.wording.tokens import Tokens

_SIGNS = frozenset("*_`#<[{|~•\n")
"""Without one of these, and with a letter at its start, a text has no markup."""

_MARKER = r"(?:\[/?[A-Z_]{3,}\]|\[[Ee]nd\b[^\]]*\])"
"""What some models write before or behind a text."""

_MARKUP = re.compile(
    r"\*\*|__|`|~~|•"
    r"|^\s*#{1,6}\s"  # heading
    r"|^\s*[-*+•–▪◦>]\s"  # bullet
    r"|^\s*\(?\d{1,2}[.)]\s"  # number
    rf"|</?[a-zA-Z][^>]*>|{_MARKER}|\[[^\]]+\]\([^)]+\)|\|.*\|"
    r"|(?<![\w*])\*[^\s*][^*]*\*(?!\w)",  # emphasis
    re.MULTILINE,
)
_LISTED = re.compile(r"^\s*(?:[-*+•–▪◦]|\(?\d{1,2}[.)])\s[^\n]*\Z", re.MULTILINE)
"""The last line of a list, which needs no full stop."""

_JSON = re.compile(r"\A\s*[{\[].*[}\]]\s*\Z", re.DOTALL)
_NUMBERED = re.compile(r"(?:^|[\s:;,.])\(?(?:\d|[a-h]|i{1,3}|iv)[.)]\s+(?=\w)")
_BULLETED = re.compile(r"(?:\A|[.:;]\s)[-*+•–▪◦]\s+(?=\w)")
_LABEL = re.compile(
    r"\A\W*(?:(?:satellite|image|scene|picture|tile|landscape|land[- ]cover)\s+)?"
    r"(?:image|scene|picture|tile|title|description|summary|overview|paragraph|analysis|land cover)"
    r"(?:\s+of\s+(?:the|this)\s+(?:image|scene|picture|tile|landscape))?"
    r"\s*(?:\d|one|two|three|four)?\s*:",
    re.IGNORECASE,
)
_SIDE = r"(?:top|bottom|upper|lower|middle|cent(?:er|re)|central|left|right|north\w*|south\w*|east\w*|west\w*)"
_REGION_LABEL = re.compile(rf"(?:\A|[.;!?]\s+)(?:overall|(?:the )?{_SIDE}(?:[- ]\w+){{0,3}}):\s", re.IGNORECASE)
_CLOSE = rf"[\"'”’)\]*_`]*(?:\s*(?:</?\w+>|<\|\w+\|>|{_MARKER}))?\s*\Z"
_WHOLE = re.compile(rf"[.!?。！？]{_CLOSE}")
_TRAILS = re.compile(rf"(?:\.{{2,}}|…){_CLOSE}")
_TAIL = 60
"""Characters at the end of a text that tell whether it is whole."""

_DANGLES = re.compile(
    r"\b(?:the|a|an|and|or|but|its|their|with|from|which|as|than|into|including|such as|while"
    r"|(?<!made )(?<!up )(?<!consists )(?<!composed )of|(?<!in )(?<!nothing )(?<!lies )(?<!lie )between)\." + _CLOSE,
    re.IGNORECASE,
)


def refuses(tokens: Tokens, settings: Settings) -> bool:
    """Whether the text is an apology, or says that there is no caption, instead of one."""
    if len(tokens.words) > settings.refusal_words:
        return False
    return any((starts and not first) or not starts for first, _, starts in settings.refusals.found(tokens.words))


def bad_format(tokens: Tokens) -> Iterator[Flag]:
    """Lists, markup, headings, several paragraphs, sentences of another language."""
    text = tokens.text
    if not _SIGNS.isdisjoint(text) or not text[:1].isalpha():
        for pattern in (_JSON, _MARKUP):
            if match := pattern.search(text):
                yield Flag("format", *match.span())
    lead = len(text) - len(text.lstrip())
    end = text.find("\n", lead)
    if end >= 0 and text[end:].strip():
        yield Flag("format", end, end + 1)
    for pattern, sign in ((_NUMBERED, ")."), (_REGION_LABEL, ":"), (_BULLETED, "-*+•–▪◦")):
        found = list(pattern.finditer(text)) if any(text.count(one) > 1 for one in sign) else []
        if len(found) > 1:
            yield Flag("format", found[0].start(), found[-1].end())
    for span in foreign_sentences(tokens):
        yield Flag("format", *span)


def label(text: str) -> Iterator[Flag]:
    """A label before the caption, such as "Summary:"."""
    if match := _LABEL.match(text):
        yield Flag("format", *match.span())


def bad_length(tokens: Tokens, settings: Settings) -> Iterator[Flag]:
    """Too few words or too many."""
    if not settings.fewest_words <= len(tokens.text.split()) <= settings.most_words:
        yield Flag("length", 0, len(tokens.text))


def cut_off(tokens: Tokens) -> Iterator[Flag]:
    """An unfinished sentence at the end."""
    text = tokens.text
    if _JSON.match(text) or _LISTED.search(text):
        return
    tail = text[-_TAIL:]
    if not _WHOLE.search(tail) or _TRAILS.search(tail) or _DANGLES.search(tail):
        first = tokens.sentences[-1][0] if tokens.sentences else 0
        yield Flag("cut-off", tokens.starts[first] if tokens.starts else 0, len(text))
