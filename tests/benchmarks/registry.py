"""All benchmarks by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tests.benchmarks import (
    blocks,
    campaigns,
    checking,
    dispatch,
    growth,
    imagery,
    memory,
    orchestration,
    release,
    requests,
    resume,
    reviewing,
    sparse,
)
from tests.benchmarks.measuring import Figure
from tests.benchmarks.sizes import Sizes

BENCHMARKS: Mapping[str, Callable[[Sizes, Path], list[Figure]]] = {
    "whole-blocks": blocks.whole_blocks,
    "two-workers": blocks.two_workers,
    "warped-tiles": blocks.warped_tiles,
    "eleven-classes": blocks.eleven_class_block,
    "sparse-tiles": sparse.sparse_tiles,
    "chips-in-groups": imagery.chips_in_groups,
    "release-of-pairs": release.release_of_pairs,
    "memory-of-areas": memory.memory_of_areas,
    "memory-of-plans": memory.memory_of_plans,
    "orchestration": orchestration.orchestration,
    "orchestration-on-servers": orchestration.orchestration_on_servers,
    "requests": requests.requests,
    "task-runs-of-chips": orchestration.task_runs_of_chips,
    "task-runs-of-files": orchestration.task_runs_of_files,
    "growth": growth.growth,
    "whole-campaign": campaigns.whole_campaign,
    "checks": checking.check_captions,
    "next-caption": reviewing.next_caption,
    "dispatch": dispatch.dispatch,
    "dispatch-with-faults": dispatch.faults,
    "resume": resume.resume,
}
