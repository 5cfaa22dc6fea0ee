"""Which tiles a captioner is to be asked about, and which version of their caption the answer will be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from operator import attrgetter
from typing import TypeAlias

from tasks.captions.state import KIND, VARIANT, Caption, State

Versions: TypeAlias = dict[str, int]
"""The version that the next caption of a tile will be, by tile ID."""

ANY = "any"
"""Stands for every code of a failure."""

_BATCH = 1000
"""Tiles whose keys are worked out at once."""


def missing(state: State, captioner: str, tile_ids: Sequence[str]) -> Versions:
    """The tiles of which there is no version yet."""
    return dict.fromkeys(state.missing(captioner, tile_ids), 1)


@dataclass(frozen=True)
class Again:
    """A tile that is asked about once more.

    Attributes:
        version: the version that the answer will be.
        fault: what is wrong with the caption that it has.
    """

    version: int
    fault: str


def to_be_asked_again(state: State, captioner: str, tile_ids: Collection[str]) -> dict[str, Again]:
    """The tiles whose caption was checked and is pending again, by tile ID."""
    wanted = set(tile_ids)
    return {
        standing.tile_id: Again(standing.version + 1, standing.reason or "")
        for standing in state.standings(captioner)
        if standing.status == "pending" and standing.tile_id in wanted
    }


def to_be_checked(state: State, captioner: str, tile_ids: Collection[str]) -> set[str]:
    """The tiles whose newest version is not checked, or is an answer that failed to come (see `verifying`)."""
    wanted = set(tile_ids)
    return {
        standing.tile_id
        for standing in state.standings(captioner)
        if standing.status in {"unchecked", "failed"} and standing.tile_id in wanted
    }


def failed(state: State, captioner: str, tile_ids: Collection[str], code: str) -> Versions:
    """The tiles that have failed with a code, or with any."""
    wanted = set(tile_ids)
    return {
        caption.tile_id: caption.version + 1
        for caption in state.current(captioner)
        if caption.tile_id in wanted and caption.status == "failed" and code in {ANY, caption.reason}
    }


def failures(state: State, captioner: str, tile_ids: Collection[str]) -> list[Caption]:
    """What stands of those tiles that have no caption for good."""
    wanted = set(tile_ids)
    current = state.current(captioner)
    return [caption for caption in current if caption.status == "failed" and caption.tile_id in wanted]


def by_code(failed: Iterable[Caption]) -> Counter[str]:
    """How many have failed, by code."""
    return Counter(caption.reason or "unknown" for caption in failed)


def outdated(
    state: State,
    captioner: str,
    tile_ids: Collection[str],
    models: Collection[str],
    keys: Callable[[Sequence[str]], dict[str, str]],
) -> Versions:
    """The tiles that have versions, but none of the present prompt by a present model.

    A failure is such a version too: what was asked in vain is asked again as `failed` has it, and not by every renewal.

    Args:
        state: the captions.
        captioner: whose.
        tile_ids: the tiles that it describes.
        models: the present ones.
        keys: gives the present key of each of some tiles.
    """
    described = _described(state, captioner, set(tile_ids))
    stale: Versions = {}
    while batch := list(islice(described, _BATCH)):
        present = keys([versions[0].tile_id for versions in batch])
        for versions in batch:
            tile_id = versions[0].tile_id
            if not any(_is_present(caption, models, present.get(tile_id)) for caption in versions):
                stale[tile_id] = versions[-1].version + 1
    return stale


def _is_present(caption: Caption, models: Collection[str], key: str | None) -> bool:
    return caption.model in models and caption.prompt_sha256 == key


def _described(state: State, captioner: str, tile_ids: set[str]) -> Iterator[list[Caption]]:
    """The versions of each tile."""
    for (kind, variant, tile_id), versions in groupby(
        state.versions(captioner), key=attrgetter("kind", "variant", "tile_id")
    ):
        if (kind, variant) == (KIND, VARIANT) and tile_id in tile_ids:
            yield list(versions)
