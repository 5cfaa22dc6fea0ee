"""What is true of a tile, from its counts alone: the facts that the rules captioner puts into sentences.

Where pixels without data make a share ambiguous, the facts are cautious: a claim of "most" holds against all pixels of
the region, one of "less than half" against those that carry a class, and a size exists only where both agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from tasks.landcover.classes import NO_DATA, TOKENS
from tasks.statistics.patches import PATCHES, Counts
from tasks.statistics.shares import MAP_PIXELS, least_pixels, whole_percent
from tasks.wording.lexicon import Size, lexicon

WHOLE = "overall"
MIDDLE = "middle"
QUARTERS = ("top_left", "top_right", "bottom_left", "bottom_right")
HALVES = {
    "top": ("top_left", "top_right"),
    "bottom": ("bottom_left", "bottom_right"),
    "left": ("top_left", "bottom_left"),
    "right": ("top_right", "bottom_right"),
}

_NOTABLE_PERCENT = 10
"""From this share of the tile on, a class must be named."""


class Extent(StrEnum):
    """How much of a region its leading class holds."""

    EMPTY = "empty"
    ONLY = "only"
    """All pixels."""
    ONLY_MAPPED = "only_mapped"
    """All pixels that carry a class; others carry none."""
    NEARLY_ALL = "nearly_all"
    """95 % or more."""
    VAST = "vast"
    """80 % or more."""
    MOST = "most"
    """More than half."""
    LEAD = "lead"
    """More than any other class, but not surely more than half."""
    TIE = "tie"
    """As much as another class."""


class Spread(StrEnum):
    """How a class lies in the tile."""

    ONLY = "only"
    """All of it in one region."""
    MOSTLY = "mostly"
    """The greater part of it in one region, by a clear lead."""
    EVERYWHERE = "everywhere"
    """In all four quarters, with the greater part in none."""


@dataclass(frozen=True)
class View:
    """One region and what it holds.

    Attributes:
        region: its key: a patch, or one of `HALVES`.
        counts: pixels by class id.
        pixels: all of them.
        valid: those that carry a class.
        ranked: ids of the classes of note (more than noise, or a tenth of the region), most pixels first, equal counts
            by id.
        leaders: ids of the class or classes with the largest count.
    """

    region: str
    counts: tuple[int, ...]
    pixels: int
    valid: int
    ranked: tuple[int, ...]
    leaders: tuple[int, ...]

    @property
    def extent(self) -> Extent:
        """How much of the region its leading class holds."""
        if not self.leaders:
            return Extent.EMPTY
        if len(self.leaders) > 1:
            return Extent.TIE
        most = self.counts[self.leaders[0]]
        if most == self.pixels:
            return Extent.ONLY
        if most == self.valid:
            return Extent.ONLY_MAPPED
        for percent, extent in ((95, Extent.NEARLY_ALL), (80, Extent.VAST)):
            if 100 * most >= percent * self.pixels:
                return extent
        return Extent.MOST if 2 * most > self.pixels else Extent.LEAD

    @property
    def sparse(self) -> bool:
        """Whether what is said of the region must be said of its mapped part: a tenth or more has no data."""
        return 10 * self.counts[NO_DATA] >= self.pixels

    @property
    def below_half(self) -> bool:
        """Whether no class reaches half of what carries a class."""
        return bool(self.leaders) and 2 * self.counts[self.leaders[0]] < self.valid

    @property
    def others(self) -> tuple[int, ...]:
        """Ids of the classes of note behind the leaders, most pixels first."""
        return tuple(class_id for class_id in self.ranked if class_id not in self.leaders)

    def percent(self, class_id: int) -> int:
        """The share of a class in what carries one, in whole percent."""
        return whole_percent(self.counts[class_id], self.valid)

    def is_trace(self, class_id: int) -> bool:
        """Whether a class has next to nothing of what carries a class."""
        return 100 * self.counts[class_id] < lexicon().traces.below * self.valid

    def size(self, class_id: int) -> Size | None:
        """The band of a class's share; None where it depends on whether pixels without data count."""
        of_valid = lexicon().size(self.percent(class_id))
        of_all = lexicon().size(whole_percent(self.counts[class_id], self.pixels))
        return of_valid if of_valid == of_all else None


@dataclass(frozen=True)
class Tile:
    """A tile's regions.

    Attributes:
        views: by region: the whole, the five patches and the four halves.
        noise: a class with fewer pixels than this is noise.
    """

    views: Mapping[str, View]
    noise: int

    @property
    def whole(self) -> View:
        """The tile as a region."""
        return self.views[WHOLE]

    @property
    def notable(self) -> tuple[int, ...]:
        """Ids of the classes that a caption must name besides the leaders: a tenth of the valid pixels or more."""
        whole = self.whole
        return tuple(
            class_id for class_id in whole.others if 100 * whole.counts[class_id] >= _NOTABLE_PERCENT * whole.valid
        )

    def spread(self, class_id: int) -> tuple[Spread, str] | None:
        """How a class (or no data) lies in the tile, and the region concerned; None where nothing simple is true."""
        total = self.whole.counts[class_id]
        inside = {region: view.counts[class_id] for region, view in self.views.items() if region != WHOLE}
        areas = (QUARTERS, (MIDDLE,), tuple(HALVES))
        for spread, part, of in ((Spread.ONLY, 1, 1), (Spread.MOSTLY, 2, 3)):
            for regions in areas:
                region = max(regions, key=inside.__getitem__)
                if inside[region] * of >= total * part:
                    return spread, region
        if all(inside[quarter] >= self.noise for quarter in QUARTERS):
            return Spread.EVERYWHERE, WHOLE
        return None

    def peak(self, class_id: int) -> str | None:
        """The quarter that holds clearly more of a class than any other; None where there is no such quarter."""
        counts = sorted(((self.views[quarter].counts[class_id], quarter) for quarter in QUARTERS), reverse=True)
        (most, quarter), (second, _) = counts[:2]
        return quarter if most >= second + self.noise and 10 * most >= 11 * second else None


def observe(counts: Counts) -> Tile:
    """The facts of one tile.

    Args:
        counts: pixels by patch and class id, shape (6, 12).

    Raises:
        ValueError: another shape.
    """
    if counts.shape != (len(PATCHES), len(TOKENS)):
        raise ValueError(f"expected counts of shape {(len(PATCHES), len(TOKENS))}, got {counts.shape}")
    rows: dict[str, list[int]] = dict(zip(PATCHES, counts.tolist(), strict=True))
    for half, (one, other) in HALVES.items():
        rows[half] = [a + b for a, b in zip(rows[one], rows[other], strict=True)]
    noise = least_pixels(sum(rows[WHOLE]), MAP_PIXELS)
    return Tile({region: _view(region, row, noise) for region, row in rows.items()}, noise)


def _view(region: str, row: list[int], noise: int) -> View:
    pixels = sum(row)
    valid = pixels - row[NO_DATA]
    most = max(row[1:])
    leaders = tuple(class_id for class_id in range(1, len(row)) if most and row[class_id] == most)
    ranked = sorted(
        (
            class_id
            for class_id in range(1, len(row))
            if row[class_id] >= noise or 0 < _NOTABLE_PERCENT * valid <= 100 * row[class_id]
        ),
        key=lambda class_id: (-row[class_id], class_id),
    )
    return View(region, tuple(row), pixels, valid, tuple(ranked), leaders)
