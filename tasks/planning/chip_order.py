"""The order in which chips are candidates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tasks.errors import InputError
from tasks.landcover.chips import Chip
from tasks.planning.areas import lines
from tasks.planning.sampling import shuffled, text_keys


def included_chips(path: Path, chips: Sequence[Chip]) -> list[str]:
    """The tile IDs of an ``include`` file, one a line.

    Raises:
        InputError: names the first line that is no chip of the source.
    """
    known = {chip.tile_id for chip in chips}
    included: dict[str, None] = {}
    for number, line in lines(path):
        if line not in known and not (number == 1 and line == "tile_id"):
            raise InputError(
                f"{path}, line {number}: {line[:80]!r} is no chip under landcover.source; expected tile IDs"
            )
        if line in known:
            included[line] = None
    return list(included)


def ordered_chips(chips: Sequence[Chip], included: Sequence[str], seed: int | None) -> list[Chip]:
    """Chips in the order in which they are candidates, the included ones first.

    Args:
        chips: the chips, by path.
        included: tile IDs that come first.
        seed: of a random order; None keeps the order of paths.
    """
    by_id = {chip.tile_id: chip for chip in chips}
    others = [chip for chip in chips if chip.tile_id not in set(included)]
    if seed is not None:
        drawn = shuffled(text_keys([chip.tile_id for chip in others]), purpose="sample", seed=seed)
        others = [others[index] for index in np.argsort(drawn, kind="stable")]
    return [by_id[tile_id] for tile_id in included] + others
