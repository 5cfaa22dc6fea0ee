"""The rules captioner: a caption from a tile's counts, with no model and no service.

It is the embedded default, the baseline for models, and the fallback. Facts come from `tasks.wording.observations`,
sentences from `frames.yaml`; this module decides what is said, and in which order: the leading class, what is not
mapped, the parts of the tile (by quarters, by halves or by class), the small classes, the main theme.
"""

from __future__ import annotations

from collections.abc import Iterator

from tasks.landcover.classes import NO_DATA
from tasks.statistics.patches import Counts
from tasks.wording.observations import HALVES, MIDDLE, QUARTERS, WHOLE, Extent, Spread, Tile, View, observe
from tasks.wording.prose import Draws, Prose, Statement

RULES_VERSION = 1
"""Rises with every edition of lexicon, frames or rules that makes a caption read differently."""

MOST_WORDS = 160
FEWEST_WORDS = 40

_MOST_OTHERS = 2
"""Classes named beside the leader of a region."""

_MOST_TOGETHER = 5
"""Classes named in one sentence on small classes, or on where classes lie."""

_MOST_LEADERS = 4
"""Classes on a par that are named again after the opening."""

_SLIGHT_BELOW = 10
"""A trace of the tile that lies in one region is called a trace only below this percentage of the region."""

_PARTS_END = 108
_DETAILS_END = 92
"""Words from which on nothing more is told of parts or details: a sentence has at most 30, the closing one 22."""

_SHORTEST_CLOSING = 6


def describe(tile_id: str, counts: Counts) -> str:
    """An English caption of one tile, 40 to 160 words in one paragraph, that says only what its counts say.

    Args:
        tile_id: draws the words, together with the counts: other statistics are told in other words.
        counts: pixels by patch and class id, shape (6, 12).

    Raises:
        ValueError: counts of another shape.
    """
    tile = observe(counts)
    draws = Draws(tile_id.encode() + b"\0" + counts.astype("<i4").tobytes())
    prose = Prose(draws, manner=draws.of(("compass", "frame")), noun=draws.of(("tile", "scene")))
    if not tile.whole.valid:
        for occasion in ("opening.empty", "blank.patches", "blank.closing"):
            prose.say(Statement((occasion,), tile.whole))
        return prose.text
    prose.say(_opening(tile))
    for statement in _gap(tile):
        prose.say(statement)
    parts, details = _body(tile, draws)
    for statement in parts:
        if prose.words <= _PARTS_END:
            prose.say(statement)
    for statement in details:
        if prose.words <= _DETAILS_END:
            prose.say(statement)
    for statement in _rest(tile, prose.named):
        if prose.words <= _PARTS_END:
            prose.say(statement)
    for half in HALVES:
        if prose.words + _SHORTEST_CLOSING < FEWEST_WORDS:
            prose.say(_region(tile.views[half]))
    prose.say(_closing(tile, draws))
    return prose.text


def _opening(tile: Tile) -> Statement:
    """Names the leading class and every other that must be named."""
    whole = tile.whole
    return Statement(_occasions("opening", whole, bool(tile.notable)), whole, whole.leaders, tile.notable)


def _occasions(topic: str, view: View, others: bool) -> tuple[str, ...]:
    extent = view.extent
    if len(view.leaders) > _MOST_LEADERS and topic != "opening":
        return (f"{topic}.many",)
    if extent is Extent.LEAD and view.below_half and (topic == "opening" or (topic == "region" and others)):
        return f"{topic}.lead", f"{topic}.below_half"
    return (f"{topic}.{extent}",)


def _gap(tile: Tile) -> Iterator[Statement]:
    """What a reader must know of pixels without data: a tenth of the tile or more."""
    whole = tile.whole
    missing = whole.counts[NO_DATA]
    if 10 * missing < whole.pixels:
        return
    spread = tile.spread(NO_DATA)
    if 2 * missing > whole.pixels:
        yield Statement(("gap.most",), whole)
    elif spread is None or spread[0] is Spread.EVERYWHERE:
        yield Statement(("gap.some",), whole)
    else:
        occasion = "gap.some_within" if spread[0] is Spread.ONLY else "gap.some_mainly"
        yield Statement((occasion,), whole, region=spread[1])


def _body(tile: Tile, draws: Draws) -> tuple[list[Statement], list[Statement]]:
    """The parts of the tile, all of which are told, and details, which are told as far as there is room."""
    middle = [_region(tile.views[MIDDLE])]
    leaders = {tile.views[quarter].leaders for quarter in QUARTERS}
    if tile.whole.extent is Extent.ONLY:
        occasions = [("quarters.only",), ("plain.only",)]
        return [Statement(occasion, tile.whole, tile.whole.leaders) for occasion in occasions], []
    if tile.whole.extent is Extent.ONLY_MAPPED:
        return _regions(tile, _partition(tile)), [Statement(("plain.only_mapped",), tile.whole)]
    where = _where(tile, draws)
    plan = draws.below(3)
    if plan == 0 and len(tile.whole.ranked) > 1:
        return where[:3], middle + where[3:]
    if plan == 1:
        pair = draws.of((("top", "bottom"), ("left", "right")))
        return _regions(tile, pair), middle + where
    if len(leaders) == 1 and len(next(iter(leaders))) == 1:
        return [_every_quarter(tile)], where[:2] + middle + where[2:]
    return _regions(tile, _partition(tile)), middle + where


def _partition(tile: Tile) -> tuple[str, ...]:
    """The quarters, two of them told as one half where one class leads both in the same manner."""

    def alike(quarters: tuple[str, str]) -> bool:
        one, other = (tile.views[quarter] for quarter in quarters)
        return one.leaders == other.leaders and one.extent == other.extent

    for half, opposite in (("top", "bottom"), ("left", "right"), ("bottom", "top"), ("right", "left")):
        if alike(HALVES[half]):
            return (half, opposite) if alike(HALVES[opposite]) else (half, *HALVES[opposite])
    return QUARTERS


def _regions(tile: Tile, regions: tuple[str, ...]) -> list[Statement]:
    """One statement a region, linked to the one before where that is alike or differs."""
    statements: list[Statement] = []
    before: View | None = None
    for region in regions:
        view = tile.views[region]
        link = None
        if before and before.leaders and view.leaders:
            if before.leaders == view.leaders and before.extent == view.extent:
                link = "same"
            elif not set(before.leaders) & set(view.leaders):
                link = "differs"
        statements.append(_region(view, link))
        before = view
    return statements


def _region(view: View, link: str | None = None) -> Statement:
    others = view.others[:_MOST_OTHERS] if len(view.leaders) <= _MOST_LEADERS else ()
    return Statement(_occasions("region", view, bool(others)), view, view.leaders, others, view.region, link)


def _every_quarter(tile: Tile) -> Statement:
    """One class leads in each of the four quarters: what it holds of every one of them."""
    whole = tile.whole
    leader = tile.views[QUARTERS[0]].leaders
    views = [tile.views[quarter] for quarter in QUARTERS]
    extents = {view.extent for view in views}
    ladder = (Extent.ONLY, Extent.NEARLY_ALL, Extent.VAST, Extent.MOST)
    facts = (fact for fact in ladder[1:] if extents <= set(ladder[: ladder.index(fact) + 1]))
    fact = next(facts, Extent.LEAD)
    return Statement((f"quarters.{fact}",), whole, leader)


def _where(tile: Tile, draws: Draws) -> list[Statement]:
    """Where the classes lie, most pixels first; classes that lie alike are told together."""
    whole = tile.whole
    groups: dict[tuple[str, str], list[int]] = {}
    for class_id in whole.ranked:
        if class_id in whole.leaders and whole.extent in (Extent.NEARLY_ALL, Extent.VAST):
            continue
        spread = tile.spread(class_id)
        peak = tile.peak(class_id)
        region = tile.views[spread[1]] if spread else whole
        prefix = "trace_" if whole.is_trace(class_id) and region.percent(class_id) < _SLIGHT_BELOW else ""
        if spread and spread[0] is not Spread.EVERYWHERE:
            groups.setdefault((f"class.{prefix}{spread[0]}", spread[1]), []).append(class_id)
        elif peak and not prefix and (draws.below(2) or not spread):
            groups.setdefault(("class.peak", peak), []).append(class_id)
        elif spread and 2 * whole.counts[class_id] <= whole.pixels:
            groups.setdefault((f"class.{prefix}everywhere", WHOLE), []).append(class_id)
    return [
        Statement((occasion,), whole, tuple(class_ids[:_MOST_TOGETHER]), region=None if region == WHOLE else region)
        for (occasion, region), class_ids in groups.items()
    ]


def _rest(tile: Tile, named: set[int]) -> Iterator[Statement]:
    """Small classes that no sentence has named."""
    whole = tile.whole
    small = tuple(class_id for class_id in whole.ranked if class_id not in named)[:_MOST_TOGETHER]
    if small:
        sized = all(whole.size(class_id) for class_id in small)
        yield Statement(("rest.sized" if sized else "rest.unsized",), whole, y=small)


def _closing(tile: Tile, draws: Draws) -> Statement:
    whole = tile.whole
    companions = tile.notable[:1] if whole.extent in (Extent.VAST, Extent.MOST, Extent.LEAD) and draws.below(2) else ()
    return Statement(_occasions("closing", whole, bool(companions)), whole, whole.leaders, companions)
