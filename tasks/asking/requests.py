"""What is sent for a group of tiles: the body, and what it may cost."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.configuration import Captioner
from tasks.errors import InputError
from tasks.wording.prompts import Recipe, TileView, load_recipe, prompt_sha256, request_body

LETTERS_OF_A_TOKEN = 4
"""A rule of thumb for English."""

IMAGE_TOKENS = 255
"""Of one map at the usual detail: a base of 85, and 170 for its one square of 512 px."""

_ROOMS = ("max_tokens", "max_completion_tokens")


@dataclass(frozen=True)
class Request:
    """One request, not yet for a model.

    Attributes:
        content: its body but for the model.
        prompt_tokens: what the question may count, estimated.
        answer_tokens: the room for the answer.
    """

    content: Mapping[str, Any]
    prompt_tokens: int
    answer_tokens: int

    @property
    def tokens(self) -> int:
        """What it may count in all."""
        return self.prompt_tokens + self.answer_tokens

    def body(self, model: str) -> bytes:
        """The body for a model."""
        return json.dumps({**self.content, "model": model}, ensure_ascii=False).encode()


@dataclass(frozen=True)
class Questions:
    """How a captioner asks.

    Attributes:
        recipe: its prompt.
        max_tokens: room for the answer, per tile.
        parameters: sent as they are.
    """

    recipe: Recipe
    max_tokens: int
    parameters: Mapping[str, Any]

    def request(self, tiles: Sequence[TileView], room: int = 1) -> Request:
        """The request for some tiles.

        Args:
            tiles: one, or several with the vision recipe.
            room: how many times the usual room the answer has.

        Raises:
            InputError: a template does not render.
        """
        content = request_body(
            self.recipe, tiles, model="", max_tokens=self.max_tokens * room, parameters=self.parameters
        )
        own = {name: self.parameters[name] for name in _ROOMS if isinstance(self.parameters.get(name), int)}
        content |= {name: value * room for name, value in own.items()}
        answer = max((content[name] for name in _ROOMS if isinstance(content.get(name), int)), default=0)
        return Request(content, _prompt_tokens(content["messages"]), answer)

    def key(self, tile: TileView) -> str:
        """The key under which an answer for a tile is kept."""
        return prompt_sha256(self.recipe, tile, max_tokens=self.max_tokens, parameters=self.parameters)


def questions_of(captioner: Captioner) -> Questions:
    """How a captioner asks.

    Raises:
        InputError: its templates cannot be used.
    """
    if captioner.recipe == "rules":
        raise InputError(f"captioner {captioner.name} makes its sentences by rules: it sends nothing")
    recipe = load_recipe(captioner.prompt, captioner.recipe, captioner.overall)
    return Questions(recipe, captioner.max_tokens, captioner.parameters)


def _prompt_tokens(messages: Sequence[Mapping[str, Any]]) -> int:
    return sum(_part_tokens(message["content"]) for message in messages)


def _part_tokens(content: str | Sequence[Mapping[str, Any]]) -> int:
    if isinstance(content, str):
        return -(-len(content) // LETTERS_OF_A_TOKEN)
    return sum(_part_tokens(part["text"]) if "text" in part else IMAGE_TOKENS for part in content)
