"""What in a reply may be a caption: its paragraphs, without what stood around them.

Models are asked for paragraphs and nothing else. What they add is known by its form: remarks before and after,
headings, labels ("Image 2:", "1."), emphasis, fences, thoughts, or the whole of it as JSON. An excuse is known by its
first words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from tasks.endpoints.answers import Code
from tasks.wording.reading import named_classes

_REMARK_WORDS = 40
"""A remark around captions is shorter than this, and names no class."""

_HEADING_WORDS = 12
"""A heading is no longer than this, and no sentence."""

_THOUGHT = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[^\n`]*$", re.MULTILINE)
_BLANK = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
_RULE = re.compile(r"[-*_=–—\s]{3,}")
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "one": 1, "two": 2, "three": 3, "four": 4}
_THING = r"(?:image|caption|map|scene|picture|tile|paragraph|description)"
_MARKS = r"[\s#>*_`\"'“”(\[]*"
_END = r"[\s*_`\"'“”)\]]*"
_NUMBER = r"(?:\d{1,2}|one|two|three|four)"
_LABEL = re.compile(
    rf"{_MARKS}(?:"
    rf"(?:the\s+)?(?P<ordinal>first|second|third|fourth|\d(?:st|nd|rd|th))\s+{_THING}{_END}[:.\-–—\n]"
    rf"|{_THING}\s*(?:no\.?|number|\#)?\s*(?P<number>{_NUMBER}){_END}(?:[:.)\-–—\n]|\Z)"
    rf"|\(?(?P<list>\d{{1,2}})\s*[.):]{_END}(?=\s|\Z)"
    rf"){_END}",
    re.IGNORECASE,
)
_BULLET = re.compile(r"\s*(?:[-*•–]\s+|#{1,6}\s+|>\s*)")
_REFUSAL = re.compile(
    r"(?:i['’]?m (?:very |really )?(?:sorry|afraid|unable)|i am (?:very |really )?(?:sorry|afraid|unable)|sorry\b"
    r"|(?:my )?apologies\b|i (?:must )?apologi[sz]e|i (?:cannot|can['’]?t|can not|won['’]?t|will not)\b"
    r"|unfortunately,? i\b|as an ai\b|i do not have the ability|i don['’]?t have the ability)",
    re.IGNORECASE,
)
_REMARK = re.compile(
    r"(?:sure\b|certainly\b|of course\b|absolutely\b|okay\b|ok\b|here (?:is|are)\b|here['’]?s\b|below\b"
    r"|the following\b|note\b|please\b|let me know\b|i hope\b|these captions\b|each (?:caption|paragraph)\b)",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’)\]*_`]*\Z")


@dataclass(frozen=True)
class Passage:
    """A piece of a reply that may be a caption.

    Attributes:
        raw: as it stood there.
        text: without what stood around the caption.
        label: its number among the images, from 1, where one was written before it.
        code: what is wrong with it, whichever tile it belongs to.
    """

    raw: str
    text: str
    label: int | None = None
    code: Code | None = None

    @cached_property
    def named(self) -> frozenset[int]:
        """Ids of the classes that it names as there."""
        return named_classes(self.text)


def passages(text: str, finish: str, expected: int) -> list[Passage]:
    """The captions of a reply in their order, remarks and headings left out.

    Args:
        text: the model's answer.
        finish: why it stopped: after `length` and `content_filter` its last caption is incomplete.
        expected: how many captions were asked for.
    """
    found = [_passage(piece) for piece in _pieces(_unwrapped(text), expected)]
    if found and finish in {"length", "content_filter"}:
        found[-1] = replace(found[-1], code="cut_off" if finish == "length" else "content_filter")
    captions = _merged([part for at, one in enumerate(found) if (part := _caption(one, at == len(found) - 1))])
    # Where nothing looks like a caption, what there is stands for one.
    return captions or [passage for passage in found if passage.text]


def words(text: str) -> tuple[str, ...]:
    """A text's words alone: two captions of the same words are the same."""
    return tuple(re.findall(r"\w+", text.casefold()))


def _unwrapped(text: str) -> str:
    """A reply without a model's thoughts and without fences; captions that came as JSON as paragraphs."""
    text = _FENCE.sub("\n", _THOUGHT.sub("", text)).strip()
    try:
        content = json.loads(text) if text[:1] in {"[", "{"} else None
    except (ValueError, RecursionError):
        return text
    for _ in range(2):
        if isinstance(content, dict):
            content = list(content.values())
        if isinstance(content, list) and len(content) == 1 and isinstance(content[0], list | dict):
            content = content[0]
    captions = [_of_entry(entry) for entry in content] if isinstance(content, list) else []
    return "\n\n".join(" ".join(caption.split()) for caption in captions) if captions and all(captions) else text


def _of_entry(entry: object) -> str:
    """The caption in an entry of a JSON list: the entry, or the longest text in it."""
    values = list(entry.values()) if isinstance(entry, dict) else [entry]
    return max((value for value in values if isinstance(value, str)), key=len, default="")


def _pieces(text: str, expected: int) -> list[str]:
    """A reply's paragraphs; its lines, where only these are as many as captions were asked for."""
    paragraphs = _solid(_BLANK.split(text))
    if expected > 1 and len(paragraphs) != expected:
        lines = _solid(text.split("\n"))
        captions = [line for line in lines if not _is_remark(line) and not _is_heading(line)]
        # Paragraphs of wrapped lines are no such thing: their lines end amid a sentence.
        if len(captions) == expected and all(_SENTENCE_END.search(line) for line in captions):
            return lines
    return paragraphs


def _solid(pieces: Iterable[str]) -> list[str]:
    return [piece.strip() for piece in pieces if piece.strip() and not _RULE.fullmatch(piece.strip())]


def _passage(raw: str) -> Passage:
    label = _LABEL.match(raw)
    number = _label_number(label) if label else None
    text = raw[label.end() :] if label and number else raw
    if not (label and number) and (bullet := _BULLET.match(text)):
        text = text[bullet.end() :]
    text = _bare(text)
    if _REFUSAL.match(text):
        return Passage(raw, text, number, "refusal")
    return Passage(raw, text, number, "cut_off" if text and not _SENTENCE_END.search(text) else None)


def _bare(text: str) -> str:
    """A text without the emphasis, quotes or lost emphasis marks around all of it."""
    text = text.strip()
    for mark in ("***", "**", "__", "*", "_", '"', "“", "'", "`"):
        close = "”" if mark == "“" else mark
        inner = text[len(mark) : -len(close)]
        if len(text) > 2 * len(mark) and text.startswith(mark) and text.endswith(close) and mark not in inner:
            text = inner.strip()
    return text


def _label_number(label: re.Match[str]) -> int | None:
    told = (label["ordinal"] or label["number"] or label["list"]).lower()
    number = _ORDINALS.get(told) or int(re.sub(r"\D", "", told) or 0)
    return number or None


def _caption(passage: Passage, last: bool) -> Passage | None:
    """A passage, unless it is none: of a heading nothing but its label is left, of a remark nothing at all."""
    if passage.code in {"refusal", "content_filter"}:
        return passage
    # An incomplete caption may look like a heading: nothing is a heading after which nothing comes.
    if not last and _is_heading(passage.text):
        return replace(passage, text="", code=None) if passage.label else None
    return None if _is_remark(passage.text) else passage


def _merged(found: Sequence[Passage]) -> list[Passage]:
    """Passages whose labels stand alone, each with all that follows it up to the next label."""
    if all(passage.text for passage in found):
        return list(found)
    merged: list[Passage] = []
    for passage in found:
        if not merged or merged[-1].label is None or passage.label is not None:
            merged.append(passage)
            continue
        head = merged[-1]
        text = f"{head.text}\n\n{passage.text}" if head.text else passage.text
        merged[-1] = Passage(f"{head.raw}\n\n{passage.raw}", text, head.label, head.code or passage.code)
    return [passage for passage in merged if passage.text]


def _is_heading(text: str) -> bool:
    bare = text.strip("#*_ \t")
    return len(bare.split()) <= _HEADING_WORDS and not _SENTENCE_END.search(bare)


def _is_remark(text: str) -> bool:
    """Whether a paragraph speaks of captions instead of being one. A remark may name a class only before a colon."""
    if len(text.split()) >= _REMARK_WORDS:
        return False
    return text.rstrip("*_ ").endswith(":") or bool(_REMARK.match(text) and not named_classes(text))
