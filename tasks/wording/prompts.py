"""Prompts: from a recipe and a tile to the messages, the request body and the key under which its caption is kept.

A recipe is two Jinja templates, `system.j2` (rules and legend) and `user.j2` (statistics): ours in `templates/text` and
`templates/vision`, or those of a folder of the user's. `docs/reference/prompts.md` lists their variables.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, get_args

import numpy as np
from jinja2 import DictLoader, StrictUndefined, Template, TemplateSyntaxError
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from numpy.typing import NDArray

from tasks.errors import InputError
from tasks.landcover.classes import COLOUR_WORDS, N_IDS
from tasks.landcover.pictures import palette_png
from tasks.statistics.patches import PATCHES, Counts
from tasks.wording.context import (
    CLASS_NAMES,
    Patch,
    Share,
    Spread,
    TextContext,
    VisionContext,
    text_context,
    vision_context,
)

TEMPLATE_VERSION = 1
"""The version of the built-in templates: raised whenever the text of one of them is."""

RecipeKind = Literal["text", "vision"]
Overall = Literal["names", "shares"]

MOST_IMAGES = 4
"""Tiles in one request of the vision recipe, at most."""

PIXEL_STEP = 2
"""Every second pixel of a map is sent, as published: a quarter of the image's tokens."""

ASKED_AGAIN = "A caption was written before and could not be used:"
"""Begins what is said of the faults of earlier captions."""

_ORDINALS = ("first", "second", "third", "fourth")
_FILES = ("system.j2", "user.j2")


@dataclass(frozen=True)
class Recipe:
    """How a captioner asks.

    Attributes:
        kind: `text` (one tile a request, statistics in words) or `vision` (up to four, with their maps as images).
        system: source of the template of the system message; rendered empty, no system message is sent.
        user: source of the template of the user's message.
        origin: where the templates come from, for people.
        overall: text recipe: whether the first line names the classes of the whole map or tells their shares too.
    """

    kind: RecipeKind
    system: str
    user: str
    origin: str
    overall: Overall = "names"


@dataclass(frozen=True, eq=False)
class TileView:
    """What is known of a tile when a model is asked about it.

    Attributes:
        tile_id: its ID.
        counts: pixels by patch and class id, shape (6, 12).
        ids: its land-cover map as class ids, shape (height, width); the vision recipe needs it.
        fault: what was wrong with a caption of it, where it is asked about again.
    """

    tile_id: str
    counts: Counts
    ids: NDArray[np.uint8] | None = None
    fault: str | None = None


@dataclass(frozen=True)
class LegendEntry:
    """One colour of the maps: the word for it, and the class that it stands for."""

    colour: str
    name: str


LEGEND = tuple(LegendEntry(colour, name) for colour, name in zip(COLOUR_WORDS, CLASS_NAMES, strict=True))


def load_recipe(prompt: str | Path, kind: RecipeKind | None = None, overall: Overall = "names") -> Recipe:
    """The recipe of a captioner, its templates tried on made tiles.

    Args:
        prompt: `text`, `vision`, or a folder that holds the user's own `system.j2` and `user.j2`.
        kind: which of the two a folder's templates are for.
        overall: what the first line of the text prompt tells.

    Raises:
        InputError: the folder or a file of it is missing, or a template does not render; names file and line.
    """
    if prompt in get_args(RecipeKind):
        sources = files("tasks.wording") / "templates" / str(prompt)
        system, user = ((sources / name).read_text("utf-8") for name in _FILES)
        built_in: RecipeKind = "text" if prompt == "text" else "vision"
        return Recipe(built_in, system, user, f"built-in {prompt} templates, version {TEMPLATE_VERSION}", overall)
    folder = Path(prompt)
    if not folder.is_dir():
        raise InputError(f"{prompt}: expected text, vision or a folder that holds {' and '.join(_FILES)}")
    if kind is None:
        raise InputError(f"{folder}: expected `recipe: text` or `recipe: vision` beside a folder of templates")
    system, user = (_read(folder, name) for name in _FILES)
    recipe = Recipe(kind, system, user, str(folder), overall)
    for tiles in _TRIALS[kind]:
        messages(recipe, tiles)
    return recipe


def messages(recipe: Recipe, tiles: Sequence[TileView]) -> list[dict[str, Any]]:
    """The chat messages of one request, as an OpenAI-compatible endpoint takes them.

    Args:
        recipe: how to ask.
        tiles: one tile; with the vision recipe one to four, whose images are sent in this order.

    Raises:
        InputError: a template does not render, or the user's message is empty; names file and line.
        ValueError: too many tiles, or a tile without its map in the vision recipe.
    """
    most = 1 if recipe.kind == "text" else MOST_IMAGES
    if not 1 <= len(tiles) <= most:
        raise ValueError(f"the {recipe.kind} recipe takes 1 to {most} tiles a request, got {len(tiles)}")
    variables = _variables(recipe, tiles)
    system = _render(recipe, "system.j2", recipe.system, variables)
    user = _render(recipe, "user.j2", recipe.user, variables)
    if not user:
        raise InputError(f"{recipe.origin}: user.j2 renders to nothing, so there is nothing to ask")
    user += _faults(tiles)
    content: str | list[dict[str, Any]] = user
    if recipe.kind == "vision":
        content = [{"type": "text", "text": user}, *(_image_part(tile) for tile in tiles)]
    rules = [{"role": "system", "content": system}] if system else []
    return [*rules, {"role": "user", "content": content}]


def request_body(
    recipe: Recipe, tiles: Sequence[TileView], *, model: str, max_tokens: int, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """The body of one request to a chat endpoint.

    Args:
        recipe: how to ask.
        tiles: as in `messages`.
        model: the model's name.
        max_tokens: room for the answer, per tile; left to `parameters` where these name a limit of their own.
        parameters: the captioner's further parameters, sent as they are.

    Raises:
        InputError: as in `messages`, or the parameters hold what the request itself is made of.
    """
    taken = sorted({"model", "messages"} & parameters.keys())
    if taken:
        raise InputError(f"parameters.{taken[0]}: expected no such key; earthscribe sets it for each request")
    asked = messages(recipe, tiles)
    return {"model": model, "messages": asked, **_answer_room(max_tokens, len(tiles), parameters), **parameters}


def prompt_sha256(recipe: Recipe, tile: TileView, *, max_tokens: int, parameters: Mapping[str, Any]) -> str:
    """The key of what is asked of a tile, in hex.

    It covers the recipe with its templates, the tile's own context, the pixels of its image, and the captioner's
    declared parameters. It does not cover the tile's companions in the request or its place among them, the endpoint,
    the model (kept beside it), more room given on a second try (`max_tokens` is the declared number), or what was
    wrong with an earlier caption.

    Raises:
        ValueError: a tile without its map in the vision recipe.
    """
    asked: dict[str, Any] = {
        "kind": recipe.kind,
        "system": recipe.system,
        "user": recipe.user,
        "context": _context(recipe.kind, tile),
        # Through JSON, as they are sent: a key written as the number 7 is the key "7". And 1.0 is the number 1, which
        # a form makes of it.
        "parameters": json.loads(json.dumps(dict(parameters)), parse_float=_number)
        | _answer_room(max_tokens, 1, parameters),
    }
    if recipe.kind == "text":
        asked["overall"] = recipe.overall
    else:
        pixels = _sent_pixels(tile)
        asked["pixels"] = [pixels.shape, hashlib.sha256(pixels.tobytes()).hexdigest()]
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=vars).encode()).hexdigest()


def _number(text: str) -> float:
    number = float(text)
    return int(number) if number.is_integer() else number


def _answer_room(max_tokens: int, tiles: int, parameters: Mapping[str, Any]) -> dict[str, int]:
    """`max_tokens` of a request, unless the parameters name their own limit, which is sent as it is."""
    own = {"max_tokens", "max_completion_tokens"} & parameters.keys()
    return {} if own else {"max_tokens": max_tokens * tiles}


@lru_cache(maxsize=16)  # what is asked of a tile and the key of it are made out one after the other
def _context(kind: RecipeKind, tile: TileView) -> TextContext | VisionContext:
    algorithm = text_context if kind == "text" else vision_context
    return algorithm(tile.tile_id, tile.counts)


def _variables(recipe: Recipe, tiles: Sequence[TileView]) -> dict[str, Any]:
    """The templates' variables: both templates of a recipe see the same."""
    contexts = [_context(recipe.kind, tile) for tile in tiles]
    if recipe.kind == "text":
        return {"tile": contexts[0], "overall": recipe.overall}
    return {"tiles": contexts, "legend": LEGEND}


def _sent_pixels(tile: TileView) -> NDArray[np.uint8]:
    if tile.ids is None:
        raise ValueError(f"tile {tile.tile_id}: the vision recipe needs the tile's land-cover map")
    return tile.ids[::PIXEL_STEP, ::PIXEL_STEP]


def _faults(tiles: Sequence[TileView]) -> str:
    """What was wrong with captions that are asked for again, after all that the template says."""
    told = [(place, tile.fault) for place, tile in enumerate(tiles) if tile.fault]
    if not told:
        return ""
    if len(tiles) == 1:
        return f"\n\n{ASKED_AGAIN} {told[0][1]}. Write it anew without that fault."
    lines = "".join(f"\n- Of the {_ORDINALS[place]} image: {fault}." for place, fault in told)
    return f"\n\n{ASKED_AGAIN}{lines}\nWrite them anew without these faults."


def _image_part(tile: TileView) -> dict[str, Any]:
    encoded = base64.b64encode(palette_png(_sent_pixels(tile))).decode("ascii")
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded}"}}


def _read(folder: Path, name: str) -> str:
    path = folder / name
    try:
        return path.read_text("utf-8")
    except FileNotFoundError as error:
        raise InputError(f"{folder}: expected a template file {name} in this folder, found none") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a readable text file in UTF-8: {error}") from error


_PLAIN: Mapping[type, frozenset[str]] = {
    LoopContext: frozenset({"first", "last", "index"}),
    **{
        kind: frozenset(field.name for field in fields(kind))
        for kind in (LegendEntry, Patch, Share, Spread, TextContext, VisionContext)
    },
}
"""What templates read most, by type: attributes that are data, and lead nowhere."""


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, which examines our own data no further: that took half of the time of a prompt."""

    def getattr(self, obj: Any, attribute: str) -> Any:  # noqa: ANN401 - as Jinja has it
        """An attribute of anything."""
        if attribute in _PLAIN.get(type(obj), ()):
            return getattr(obj, attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:  # noqa: ANN401 - as Jinja has it
        """An item, or an attribute by its name."""
        if type(obj) in _PLAIN:
            return self.getattr(obj, argument)
        return super().getitem(obj, argument)


@lru_cache(maxsize=64)
def _compiled(name: str, source: str) -> Template:
    # Sandboxed, because the templates are the user's text. Nothing but the template itself can be loaded: what a
    # prompt says is all in the two files that the caption's key covers. Prompts are plain text: nothing is escaped.
    environment = _Sandbox(
        loader=DictLoader({name: source}),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def _render(recipe: Recipe, name: str, source: str, variables: Mapping[str, Any]) -> str:
    try:
        return _compiled(name, source).render(variables).strip()
    except TemplateSyntaxError as error:
        raise InputError(f"{recipe.origin}: {name}, line {error.lineno}: {error.message}") from error
    except Exception as error:  # a template can fail like any program
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"{recipe.origin}: {name}, line {_line(error.__traceback__)}: {reason}") from error


def _line(traceback: TracebackType | None) -> int:
    """The template's line in a traceback that Jinja has rewritten: the innermost frame of compiled template."""
    line = 0
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == "<template>":
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def _trial(pixels: Sequence[int]) -> TileView:
    """A made tile with so many pixels of each id in every patch."""
    counts = np.tile(np.asarray(pixels, dtype=np.int32), (len(PATCHES), 1))
    return TileView("trial", counts, np.zeros((4, 4), dtype=np.uint8))


_EVERY_CLASS = _trial([1_000] * N_IDS)
_ONLY_TRACES = _trial([16_380, 4] + [0] * (N_IDS - 2))
_NO_DATA = _trial([16_384] + [0] * (N_IDS - 1))
_TRIALS: dict[RecipeKind, list[list[TileView]]] = {
    "text": [[_EVERY_CLASS], [_ONLY_TRACES], [_NO_DATA]],
    "vision": [[_EVERY_CLASS], [_NO_DATA], *([_EVERY_CLASS] * n for n in range(2, MOST_IMAGES + 1))],
}
