"""The rules captioner: a caption from a tile's counts, with no model and no service.

It is the embedded default, the baseline for models, and the fallback. Facts come from `tasks.captions.observations`,
sentences from `frames.yaml`; this module decides what is said, and in which order: the leading class, what is not mapped,
the parts of the tile (by quarters, by halves or by class), the small classes, the main theme.
"""

from __future__ import annotations

from collections.abc import Iterator

from tasks.captions.observations import HALVES, MIDDLE, QUARTERS, WHOLE, Extent, Spread, Tile, View, observe
from tasks.captions.prose import Draws, Prose, Statement
from tasks.landcover.classes import NO_DATA
from tasks.statistics.patches import Counts

RULES_VERSION = 1
"""Rises with every edition of lexicon, frames or rules that makes a caption read differently."""

MOST_WORDS = 160
FEWEST_WORDS = 40

_MOST_OTHERS = 2
"""Classes named beside the leader of a region."""

_MOST_SMALL = 5
"""Classes named in the sentence on what is small."""

_SLIGHT_BELOW = 10
"""A trace of the tile that lies in one region is called a trace only below this percentage of the region."""

_LONGEST_PART = 30
_LONGEST_CLOSING = 22


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
    prose.say(_opening(tile.whole, tile.notable))
    for statement in _gap(tile):
        prose.say(statement)
    parts, details = _body(tile, draws)
    for statement in parts:
        prose.say(statement)
    for statement in details:
        if prose.words + _LONGEST_PART + _LONGEST_CLOSING <= MOST_WORDS - _LONGEST_PART:
            prose.say(statement)
    small = tuple(class_id for class_id in tile.whole.ranked if class_id not in prose.named)[:_MOST_SMALL]
    if small and prose.words + _LONGEST_PART + _LONGEST_CLOSING <= MOST_WORDS:
        sized = all(tile.whole.size(class_id) for class_id in small)
        prose.say(Statement(("rest.sized" if sized else "rest.unsized",), tile.whole, y=small))
    for statement in _filling(tile):
        if prose.words + _LONGEST_CLOSING // 3 < FEWEST_WORDS:
            prose.say(statement)
    prose.say(_closing(tile, draws))
    return prose.text


def _opening(whole: View, notable: tuple[int, ...]) -> Statement:
    """Names the leading class and every other that must be named."""
    return Statement(_occasions("opening", whole, bool(notable)), whole, whole.leaders, notable)


def _occasions(topic: str, view: View, others: bool) -> tuple[str, ...]:
    extent = view.extent
    if extent is Extent.LEAD and view.below_half and (others or topic == "opening"):
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
    """The quarters, two of them told as one half where one class leads both."""
    leaders = {quarter: tile.views[quarter].leaders for quarter in QUARTERS}
    extents = {quarter: tile.views[quarter].extent for quarter in QUARTERS}
    for half, (one, other) in HALVES.items():
        if leaders[one] == leaders[other] and extents[one] == extents[other] and len(leaders[one]) <= 1:
            rest = [quarter for quarter in QUARTERS if quarter not in (one, other)]
            opposite = next(key for key, pair in HALVES.items() if list(pair) == rest)
            if leaders[rest[0]] == leaders[rest[1]] and extents[rest[0]] == extents[rest[1]] and len(leaders[rest[0]]) <= 1:
                return half, opposite
            return half, *rest
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
    others = view.others[:_MOST_OTHERS]
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
        elif spread:
            groups.setdefault((f"class.{prefix}everywhere", WHOLE), []).append(class_id)
    return [
        Statement((occasion,), whole, tuple(class_ids), region=None if region == WHOLE else region)
        for (occasion, region), class_ids in groups.items()
    ]


def _filling(tile: Tile) -> Iterator[Statement]:
    """More that is true, for captions that are still too short."""
    for half in HALVES:
        yield _region(tile.views[half])


def _closing(tile: Tile, draws: Draws) -> Statement:
    whole = tile.whole
    companions = tile.notable[:1] if whole.extent in (Extent.VAST, Extent.MOST, Extent.LEAD) and draws.below(2) else ()
    return Statement((f"closing.{whole.extent}",), whole, whole.leaders, companions)
