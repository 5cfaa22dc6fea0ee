"""What statistics would read, told from listings and headers alone."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.configuration import Campaign
from tasks.planning.choosing import choose, first_limit, survey_of
from tasks.statistics.explaining import Reads, planned_reads


def explain(config: Campaign) -> Iterator[str]:
    """Lists the files, source blocks, tiles and bytes that would be read, and their sums."""
    found = survey_of(config)
    reads = planned_reads(found.jobs(choose(config, found, first_limit(config)).tiles))
    yield f"{'tiles':>9} {'blocks':>9} {'bytes':>13}  file"
    total = Reads("in all", 0, 0, 0)
    for read in reads:
        yield _line(read)
        total = Reads(total.source, total.tiles + read.tiles, total.blocks + read.blocks, total.bytes + read.bytes)
    yield _line(total)


def _line(read: Reads) -> str:
    return f"{read.tiles:>9} {read.blocks:>9} {read.bytes:>13}  {read.source}"
