"""What a campaign will take, before anything is spent: requests, tokens, days and money."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, get_args

import numpy as np
import pyarrow.compute as pc

from flows.display.terminal import warn
from tasks.asking.accounts import ledger_of
from tasks.asking.forecast import Demand, WindowKind, days_to_go, demand
from tasks.asking.material import gather
from tasks.asking.requests import LETTERS_OF_A_TOKEN, questions_of
from tasks.captions.keeping import described, kept_ids, restore
from tasks.captions.state import open_state
from tasks.captions.wanting import to_be_asked_again
from tasks.configuration import Campaign, Captioner
from tasks.places import dataset_of
from tasks.planning.table import KEPT, PLANNED, read_columns
from tasks.storage import Place
from tasks.wording.prompts import TileView

_SAMPLE = 50
"""Tiles whose prompts are made out to learn their length."""

_ANSWER_LETTERS = 900
"""Of a usual caption: some 150 words."""


def estimate(config: Campaign) -> dict[str, Any]:
    """What is yet to be asked, as `earthscribe estimate --json` prints it.

    Days are counted from the quota as it stands, and from captioner to captioner where they share an account. Before
    the tiles are counted, all that are planned are taken to be kept.

    Raises:
        InputError: there is no plan yet, or a captioner's templates cannot be used.
    """
    dataset = dataset_of(config)
    tiles = read_columns(dataset, "tile_id", "status")
    planned = tiles.filter(pc.equal(tiles.column("status"), PLANNED)).num_rows
    kept = kept_ids(dataset)
    is_counted = KEPT in set(tiles.column("status").to_pylist())
    captioners: dict[str, Any] = {}
    ahead: list[Demand] = []
    with open_state(config.state, config.dataset) as state, ledger_of(config, config.captioners, warn) as ledger:
        restore(state, dataset)
        for captioner in config.captioners:
            if is_counted:
                mine = described(captioner, kept)
                pending = [*state.missing(captioner.name, mine), *to_be_asked_again(state, captioner.name, mine)]
                tiles, left = len(mine), len(pending)
            else:
                pending = []
                tiles = left = min(captioner.tiles.count, planned) if captioner.tiles else planned
            found = _of(tiles, left)
            if ledger is not None and captioner.pool and left:
                asked, answered = _tokens(captioner, pending, dataset)
                own = demand(captioner, left, asked + answered, ledger)
                found |= _of_endpoints(captioner, own, ahead, asked, answered)
                ahead.append(own)
            captioners[captioner.name] = found
    whole = {
        "requests": sum(one["requests"] for one in captioners.values()),
        "cost": round(sum(one["cost"] or 0.0 for one in captioners.values()), 2),
    }
    return {"captioners": captioners, "total": whole}


def tokens_of_request(captioner: Captioner, views: list[TileView]) -> tuple[int, int]:
    """Tokens asked and answered in a usual request.

    Args:
        captioner: one that asks endpoints.
        views: some of its tiles, perhaps none.
    """
    questions = questions_of(captioner)
    size = captioner.images_per_request
    views = views or [_usual()]
    asked = [
        questions.request([_mapped(captioner, views[(at + more) % len(views)]) for more in range(size)]).prompt_tokens
        for at in range(len(views))
    ]
    answered = min(_ANSWER_LETTERS // LETTERS_OF_A_TOKEN, captioner.max_tokens) * size
    return round(sum(asked) / len(asked)), answered


def _of(tiles: int, pending: int) -> dict[str, Any]:
    """A captioner's part, where nobody is asked."""
    return {
        "tiles": tiles,
        "pending": pending,
        "requests": 0,
        "tokens": {"prompt": 0, "completion": 0},
        "days": dict.fromkeys(get_args(WindowKind), 0.0),
        "cost": 0.0,
    }


def _of_endpoints(
    captioner: Captioner, own: Demand, ahead: Sequence[Demand], asked: int, answered: int
) -> dict[str, Any]:
    """What is to be asked of endpoints: requests, their tokens, days and money."""
    requests = own.requests
    is_daily = any(math.isfinite(account.daily) for account in own.accounts.values())
    kinds: tuple[WindowKind, ...] = get_args(WindowKind)
    return {
        "requests": requests,
        "tokens": {"prompt": requests * asked, "completion": requests * answered},
        "days": {kind: days_to_go(own, ahead, kind if is_daily else None) for kind in kinds},
        "cost": _cost(captioner, requests, asked, answered),
    }


def _tokens(captioner: Captioner, pending: Sequence[str], dataset: Place) -> tuple[int, int]:
    """Tokens asked and answered in a usual request, from some of the tiles that wait."""
    step = max(1, len(pending) // _SAMPLE)
    material = gather(dataset, list(islice(pending, 0, None, step))[:_SAMPLE], placed=False)
    return tokens_of_request(captioner, material.views(range(len(material.tile_ids))))


def _cost(captioner: Captioner, requests: int, asked: int, answered: int) -> float | None:
    """Money at the dearest endpoint of a pool; None where no price is given."""
    prices = [endpoint.price for endpoint in captioner.pool if endpoint.price is not None]
    if not prices:
        return None
    return round(max(requests * (asked * one.prompt + answered * one.completion) / 1e6 for one in prices), 4)


def _usual() -> TileView:
    """A tile with three classes in every patch."""
    counts = np.zeros((6, 12), np.int32)
    counts[:, [3, 5, 6]] = [8000, 5000, 3384]
    counts[0] *= 4
    return TileView("usual", counts)


def _mapped(captioner: Captioner, view: TileView) -> TileView:
    """A tile with a map, where the recipe sends one: it counts the same whatever is on it."""
    if captioner.recipe != "vision":
        return view
    return TileView(view.tile_id, view.counts, np.ones((256, 256), np.uint8))


def in_words(config: Campaign, found: Mapping[str, Any]) -> str:
    """The estimate for people."""
    lines = [f"{config.name}: what is yet to be asked"]
    for name, one in found["captioners"].items():
        if not one["requests"]:
            lines.append(f"{name:<11} {one['pending']} of {one['tiles']} tiles pending, no requests")
            continue
        tokens = one["tokens"]
        cost = "no price given" if one["cost"] is None else f"{one['cost']:.2f}"
        lines += [
            f"{name:<11} {one['pending']} of {one['tiles']} tiles pending, {one['requests']} requests",
            f"            tokens {tokens['prompt']} asked, {tokens['completion']} answered; cost {cost}",
            "            days " + ", ".join(f"{kind} {count:g}" for kind, count in one["days"].items()),
        ]
    return "\n".join(lines)
