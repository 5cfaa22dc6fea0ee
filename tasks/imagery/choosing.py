"""Which scene a tile takes.

It follows from the scenes alone: of those of the tile's season where seasons are asked for, the one with the least
cloud over the tile; between equals the one with the least cloud in all, then the older one.
"""

from __future__ import annotations

import hashlib
from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray

from tasks.grid import latitude_of_edge, longitude_of_edge
from tasks.imagery.scenes import Scene
from tasks.imagery.table import FAILED, REJECTED, Row
from tasks.imagery.warping import Tile

UNREADABLE = "unreadable"
"""What the reason begins with where a scene's file is missing or damaged."""

_TOLD = 3
"""Scenes whose reasons a tile's own reason tells; the table has them all."""

Order = tuple[bool, float, float, str, str]


@dataclass(frozen=True)
class Candidate:
    """A scene for a tile, and the share of the tile that is under its clouds; None where the scene does not say."""

    scene: Scene
    cloud: float | None


@dataclass
class Wanted:
    """A tile that wants a chip, and the scenes that it may take.

    Scenes are looked at from the one that is best by its description on, only until none that follows can go before
    the best: that may be after the first.

    Attributes:
        tile: its column and row.
        tile_id: its ID.
        block: its block.
        ids: class ids of its land cover, shape (256, 256).
        seasons: whether its season goes first.
        unseen: scenes whose clouds over the tile are not known yet.
        candidates: scenes that will do by what is known, best first.
        tried: scenes that will not do, with the reason.
        row: what became of the tile, once it has its chip.
    """

    tile: Tile
    tile_id: str
    block: str
    ids: NDArray[np.uint8]
    seasons: bool
    unseen: list[Scene] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    tried: list[dict[str, str]] = field(default_factory=list)
    row: Row | None = None

    def consider(self, scenes: Iterable[Scene]) -> None:
        """Takes up the scenes whose outline reaches the tile."""
        x, y = self.tile
        edges = (longitude_of_edge(x), latitude_of_edge(y + 1), longitude_of_edge(x + 1), latitude_of_edge(y))
        west, south, east, north = (float(edge) for edge in edges)
        own = shapely.box(west, south, east, north)
        near = [scene for scene in scenes if shapely.intersects(scene.outline, own)]
        self.unseen = sorted(near, key=lambda scene: self._order(Candidate(scene, 0.0)))

    @property
    def is_open(self) -> bool:
        """Whether there is a scene to try yet, and need to."""
        return self.row is None and bool(self.candidates or self.unseen)

    @property
    def is_sure(self) -> bool:
        """Whether no unseen scene can go before the best candidate."""
        if not self.unseen or not self.candidates:
            return not self.unseen
        return self._order(self.candidates[0]) <= self._order(Candidate(self.unseen[0], 0.0))

    def admit(self, scene: Scene, cloud: float | None) -> None:
        """A scene will do, as far as its clouds go."""
        insort(self.candidates, Candidate(scene, cloud), key=self._order)

    def refuse(self, scene: Scene, reason: str) -> None:
        """A scene will not do."""
        self.tried.append({"scene": scene.id, "reason": reason})

    def fail(self, reason: str) -> None:
        """What is needed to choose cannot be had today: another scene now would be another choice tomorrow."""
        self.row = Row(tile_id=self.tile_id, status=FAILED, reason=reason, tried=self.tried)

    def without(self) -> Row:
        """What is told of the tile where no scene does: failed if one could not be read, which may change."""
        reasons = "; ".join(f"{one['scene']} {one['reason']}" for one in self.tried[:_TOLD])
        more = f" (and {len(self.tried) - _TOLD} more)" if len(self.tried) > _TOLD else ""
        reason = f"no scene will do: {reasons}{more}" if self.tried else "no scene of the search covers it"
        status = FAILED if any(one["reason"].startswith(UNREADABLE) for one in self.tried) else REJECTED
        return Row(tile_id=self.tile_id, status=status, reason=reason, tried=self.tried)

    def _order(self, candidate: Candidate) -> Order:
        scene = candidate.scene
        other_season = self.seasons and scene.season != season_of(self.tile_id)
        share = scene.cloud / 100 if candidate.cloud is None else candidate.cloud
        return other_season, share, scene.cloud, scene.acquired, scene.id


def season_of(tile_id: str) -> int:
    """The season, 0 to 3, that falls to a tile, by its ID alone: tiles share them out evenly."""
    return hashlib.sha256(f"season {tile_id}".encode()).digest()[0] % 4


def by_scene(pairs: Sequence[tuple[Scene, Wanted]]) -> list[tuple[Scene, list[Wanted]]]:
    """Tiles by the scene that they are paired with."""
    groups: dict[str, tuple[Scene, list[Wanted]]] = {}
    for scene, one in pairs:
        groups.setdefault(scene.id, (scene, []))[1].append(one)
    return list(groups.values())
