"""The files of statistics in as many task runs as a captioner may have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from tasks.statistics.table import StatisticsFile


def slices(
    files: Sequence[StatisticsFile], wanted: pa.Array, most: int
) -> Iterator[tuple[str, Sequence[StatisticsFile]]]:
    """Files that hold wanted tiles, in at most so many groups, with labels."""
    holding = [file for file in files if pc.any(pc.is_in(file.tile_ids, value_set=wanted)).as_py()]
    each = -(-len(holding) // most) or 1
    for start in range(0, len(holding), each):
        group = holding[start : start + each]
        name = group[0].place.url.rsplit("/", 1)[-1].rsplit("-", 1)[0]
        yield name if len(group) == 1 else f"{name} and {len(group) - 1} more", group
