"""Work in no more groups than there may be task runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from tasks.statistics.table import StatisticsFile

_Item = TypeVar("_Item")


def slices(
    files: Sequence[StatisticsFile], wanted: pa.Array, most: int
) -> Iterator[tuple[str, Sequence[StatisticsFile]]]:
    """Files that hold wanted tiles, in at most so many groups, with labels."""
    holding = [file for file in files if pc.any(pc.is_in(file.tile_ids, value_set=wanted)).as_py()]
    return in_groups(holding, lambda file: file.place.url.rsplit("/", 1)[-1].rsplit("-", 1)[0], most)


def in_groups(items: Sequence[_Item], name: Callable[[_Item], str], most: int) -> Iterator[tuple[str, Sequence[_Item]]]:
    """Items in at most so many groups, in their order, with labels: the first one's name, and how many more."""
    each = -(-len(items) // most) or 1
    for start in range(0, len(items), each):
        group = items[start : start + each]
        more = f" and {len(group) - 1} more" if len(group) > 1 else ""
        yield name(group[0]) + more, group
