"""What a request asks: the tiles that its prompt tells of, as far as a caption needs them.

Understood are our own templates, text and vision, and whatever names classes and patches in much the same way; of any
other prompt, the classes that it names.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tasks.wording.context import CLASS_NAMES, PATCH_NAMES
from tasks.wording.lexicon import lexicon
from tasks.wording.prompts import ASKED_AGAIN

_ID_OF_NAME = {name: class_id for class_id, name in enumerate(CLASS_NAMES) if class_id}
_SIZES = lexicon().sizes
_PERCENT_OF_SIZE = {
    size.name: (size.start + following) // 2
    for size, following in zip(_SIZES, [*(size.start for size in _SIZES[1:]), 100], strict=True)
}
"""The middle of each band of sizes: prompts of the text recipe tell no more."""


def _any(names: Iterable[str]) -> str:
    return "|".join(sorted(map(re.escape, names), key=len, reverse=True))


_CLASS = re.compile(rf"\b(?:({_any(_PERCENT_OF_SIZE)}) \w+ of )?({_any(_ID_OF_NAME)})\b(?: (\d\.\d\d)\b)?")
_PATCH = re.compile(rf"\b({_any(PATCH_NAMES[1:])})\b")
_HEADING = re.compile(r"^\W*(?:(?:first|second|third|fourth) image|image \d)\W*$", re.I | re.M)

_TOKENS_OF_AN_IMAGE = 255
LETTERS_OF_A_TOKEN = 4


class NotAQuestion(ValueError):  # noqa: N818 - it is an answer to the client, not a fault of ours
    """The body is no chat request; says what is wrong with it."""


@dataclass(frozen=True)
class Patch:
    """A patch: its classes with their shares in percent, largest first."""

    name: str
    shares: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Tile:
    """A tile as the prompt tells of it.

    Attributes:
        digest: of what is told of it, its image above all: the same alone and among others.
        classes: the ids of its classes, largest first.
        patches: those of which the prompt tells, in its order.
        exact: whether all classes of each patch are told, in decimals (vision recipe).
    """

    digest: str
    classes: tuple[int, ...]
    patches: tuple[Patch, ...]
    exact: bool

    def percent(self, class_id: int) -> int:
        """About how much of the tile a class takes up: the mean of its four quarters."""
        quarters = [patch for patch in self.patches if patch.name != "middle"]
        return sum(dict(patch.shares).get(class_id, 0) for patch in quarters) // max(1, len(quarters))


@dataclass(frozen=True)
class Question:
    """A chat request.

    Attributes:
        model: the model asked for.
        tiles: one, or as many as there are images.
        images: how many images it holds.
        room: the most tokens that the answer may have; None where the request sets no limit.
        prompt_tokens: about how many tokens it has.
        digest: of all its tiles in their order.
    """

    model: str
    tiles: tuple[Tile, ...]
    images: int
    room: int | None
    prompt_tokens: int
    digest: str

    @property
    def charge(self) -> int:
        """The tokens that count against limits: the larger of the answer's room and the size of the request."""
        return max(self.room or 0, self.prompt_tokens)


def read_question(body: bytes) -> Question:
    """The question of a request's body.

    Raises:
        NotAQuestion: the body is no chat request.
    """
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NotAQuestion("the body is no JSON") from error
    if not isinstance(request, dict) or not isinstance(request.get("model"), str):
        raise NotAQuestion("expected an object with a model")
    messages = request.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        raise NotAQuestion("messages: expected a list of messages")
    if request.get("stream"):
        raise NotAQuestion("stream: expected false; this endpoint answers in one piece")
    texts, images = _contents(messages)
    tiles = tuple(_tiles("\n".join(texts["user"]), images))
    letters = sum(len(text) for role in texts.values() for text in role)
    return Question(
        model=request["model"],
        tiles=tiles,
        images=len(images),
        room=_room(request),
        prompt_tokens=letters // LETTERS_OF_A_TOKEN + _TOKENS_OF_AN_IMAGE * len(images),
        digest=_digest(*(tile.digest for tile in tiles)),
    )


def tokens_of(text: str) -> int:
    """About how many tokens a text has."""
    return -(-len(text) // LETTERS_OF_A_TOKEN)


def _contents(messages: list[dict[str, Any]]) -> tuple[dict[str, list[str]], list[str]]:
    """Texts by role (the user's, and all others') and the addresses of the images."""
    texts: dict[str, list[str]] = {"user": [], "others": []}
    images: list[str] = []
    for message in messages:
        role = texts["user" if message.get("role") == "user" else "others"]
        content = message.get("content")
        parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
        for part in parts:
            if not isinstance(part, dict):
                raise NotAQuestion("content: expected a text or a list of parts")
            if part.get("type") == "image_url":
                image = part.get("image_url")
                images.append(str(image.get("url") if isinstance(image, dict) else image))
            elif isinstance(part.get("text"), str):
                role.append(part["text"])
    return texts, images


def _room(request: Mapping[str, Any]) -> int | None:
    for key in ("max_completion_tokens", "max_tokens"):
        if isinstance(request.get(key), int) and request[key] > 0:
            return int(request[key])
    return None


def _tiles(text: str, images: list[str]) -> Iterator[Tile]:
    text = text.split(ASKED_AGAIN, maxsplit=1)[0]  # what was wrong with an earlier caption tells nothing of the tile
    number = max(1, len(images))
    pieces = _HEADING.split(text)[1:]
    if len(pieces) != number:
        pieces = [text] * number
    for place, piece in enumerate(pieces):
        yield _tile(piece, images[place] if images else piece)


def _tile(text: str, identity: str) -> Tile:
    """Reads line by line: a patch and its classes, a class and its patches, or the classes of the whole map."""
    whole: list[int] = []
    patches: list[Patch] = []
    exact = False
    for line in text.lower().splitlines():
        found = list(_CLASS.finditer(line))
        if not found:
            continue
        shares = tuple((_ID_OF_NAME[match[2]], _percent(match[1], match[3])) for match in found)
        patch = _PATCH.search(line)
        if patch and patch.start() < found[0].start():
            patches.append(Patch(patch[1], shares))
            exact = exact or any(match[3] for match in found)
        else:
            whole += [class_id for class_id, _ in shares]
    told = whole or [class_id for patch in patches for class_id, _ in patch.shares]
    return Tile(_digest(identity), tuple(dict.fromkeys(told)), tuple(patches), exact)


def _percent(size: str | None, decimals: str | None) -> int:
    if decimals:
        return int(decimals.replace(".", ""))
    return _PERCENT_OF_SIZE[size] if size else 0


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]
