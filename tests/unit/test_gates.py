"""The gates: which tiles are worth a caption."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.landcover.classes import ID_OF_TOKEN
from tasks.statistics.gates import Gates

PIXELS = 65_536


def tile(**pixels: int) -> np.ndarray:
    """Counts of a tile by class token; what is left is no data."""
    counts = np.zeros((6, 12), dtype=np.int32)
    for token, number in pixels.items():
        counts[0, ID_OF_TOKEN[token]] = number
    counts[0, 0] = PIXELS - sum(pixels.values())
    return counts


def reason(gates: Gates, **pixels: int) -> str | None:
    found: str | None = gates.reasons(tile(**pixels)[None])[0]
    return found


@pytest.mark.parametrize(
    ("gates", "pixels", "gate"),
    [
        (Gates(min_valid=0.5), {"tree": PIXELS // 2}, None),
        (Gates(min_valid=0.5), {"tree": PIXELS // 2 - 1}, "min_valid"),
        (Gates(min_valid=1.0), {"tree": PIXELS - 1}, "min_valid"),
        (Gates(min_valid=0.0), {"tree": 1}, None),
        # 62,259.2 pixels are 95 %.
        (Gates(max_share={"water": 0.95}), {"water": 62_259, "tree": PIXELS - 62_259}, None),
        (Gates(max_share={"water": 0.95}), {"water": 62_260, "tree": PIXELS - 62_260}, "max_share: water is 0.9500"),
        (Gates(max_share={"water": 0.5}), {"water": PIXELS // 2, "tree": PIXELS // 2}, None),
        # Of the valid pixels, not of all.
        (Gates(max_share={"water": 0.95}), {"water": 39_000, "tree": 1000}, "max_share: water is 0.9750"),
        (Gates(max_share={}), {"water": PIXELS}, None),
        (Gates(max_share={"water": 0.95, "snow": 0.0}), {"snow": 1, "tree": PIXELS - 1}, "max_share: snow"),
        (Gates(min_classes=2), {"tree": 64_881, "crop": 655}, "min_classes: 1 of 1 % or more, fewer than 2"),
        (Gates(min_classes=2), {"tree": 64_880, "crop": 656}, None),
        (Gates(min_classes=0, min_valid=0), {}, None),
        (Gates(min_classes=1, min_valid=0), {}, "min_classes: 0"),
        (Gates(), {}, "min_valid: 0.0000"),
        # The pixels that there are decide before what they hold.
        (Gates(min_classes=3, max_share={"water": 0.1}), {"water": 9}, "min_valid"),
    ],
)
def test_a_gate_says_why(gates: Gates, pixels: dict[str, int], gate: str | None) -> None:
    found = reason(gates, **pixels)
    assert (found is None) == (gate is None), found
    if gate:
        assert found is not None
        assert found.startswith(gate)


def test_each_tile_is_judged_by_itself() -> None:
    counts = np.stack([tile(tree=PIXELS), tile(water=PIXELS), tile(tree=9)])
    found = Gates(max_share={"water": 0.95}).reasons(counts)
    assert [None if why is None else why.split(":")[0] for why in found] == [None, "max_share", "min_valid"]


def test_no_tile_has_no_reason() -> None:
    assert Gates().reasons(np.zeros((0, 6, 12), dtype=np.int32)).tolist() == []
