"""How much each benchmark does: all of it, or just enough to know that the benchmark itself works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Sizes of all benchmarks.

    Attributes:
        rounds: how often each thing is measured; the median counts.
        blocks: zoom-10 blocks of the file that are counted at most.
        warped: tiles that are warped one by one.
        sparse_files: files over which tiles are drawn at random.
        sparse_tiles: tiles that are drawn.
        areas: blocks of the areas whose memory is measured against that of one block.
        planned: tiles of a large plan.
        drawn: tiles of a random plan of the whole world.
        sources: files of the world.
        orchestrated: tiles over which the cost of orchestration is shared out.
        chips: chips of a folder.
        days: days of captions whose records pile up in the server's database.
        batch: requests of each.
        campaign: divides the published campaign that is simulated, its tiles and its quotas.
        checked: captions that are checked.
        alone: requests of a run in which each is a task run.
        in_slices: requests of a run in which they share task runs.
        asked: requests of one caption command.
        latency: seconds of an answer where faults are what is measured.
        slow_rounds: how often those things are measured that take a minute.
        done: tiles that have captions already, fewer and more.
        scene_side: metres along one side of a made scene.
        pairs: pairs of a release.
        queued: captions of a review.
        verdicts: how many of them are judged.
    """

    rounds: int
    blocks: int
    warped: int
    sparse_files: int
    sparse_tiles: int
    areas: tuple[int, ...]
    planned: int
    drawn: int
    sources: int
    orchestrated: int
    chips: int
    days: int
    batch: int
    campaign: int
    checked: int
    alone: int
    in_slices: int
    asked: int
    latency: float
    slow_rounds: int
    done: tuple[int, int]
    scene_side: int
    pairs: int
    queued: int
    verdicts: int


FULL = Sizes(
    rounds=5,
    blocks=81,
    warped=150,
    sparse_files=40,
    sparse_tiles=2_000,
    areas=(10, 1_000),
    planned=1_000_000,
    drawn=163_488,
    sources=2_651,
    orchestrated=100_000,
    chips=2_000,
    days=14,
    batch=1_667,
    campaign=1,
    checked=10_000,
    alone=450,
    in_slices=3_000,
    asked=2_000,
    latency=1.0,
    slow_rounds=3,
    done=(10_000, 163_488),
    scene_side=40_960,
    pairs=10_000,
    queued=10_000,
    verdicts=100,
)

QUICK = Sizes(
    rounds=1,
    blocks=2,
    warped=2,
    sparse_files=2,
    sparse_tiles=6,
    areas=(2,),
    planned=2_000,
    drawn=500,
    sources=20,
    orchestrated=1_000,
    chips=4,
    days=2,
    batch=20,
    campaign=20,
    checked=20,
    alone=20,
    in_slices=600,
    asked=70,
    latency=0.01,
    slow_rounds=1,
    done=(10, 300),
    scene_side=20_480,
    pairs=20,
    queued=30,
    verdicts=3,
)
