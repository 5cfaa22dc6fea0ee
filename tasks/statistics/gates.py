"""The gates: which tiles are worth a caption."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tasks.landcover.classes import ID_OF_TOKEN, NO_DATA
from tasks.statistics.patches import Counts

_SHARE_OF_A_CLASS = 0.01
"""From which share on a class counts for `Gates.min_classes`."""


@dataclass(frozen=True)
class Gates:
    """What a tile must reach to be kept.

    Attributes:
        min_valid: least share of its pixels that carry a class.
        max_share: most share of the valid pixels that one class may have, by class token.
        min_classes: least number of classes with 1 % or more of the valid pixels.
    """

    min_valid: float = 0.5
    max_share: Mapping[str, float] = field(default_factory=dict)
    min_classes: int = 1

    def reasons(self, counts: Counts) -> NDArray[np.object_]:
        """Why each tile is excluded, or None where it is kept.

        Args:
            counts: shape (n, 6, 12).
        """
        overall = counts[:, 0].astype(np.int64)
        total = overall.sum(axis=1)
        valid = total - overall[:, NO_DATA]
        classes = overall[:, 1:]
        reasons = np.full(len(counts), None, dtype=object)
        few = (classes >= _SHARE_OF_A_CLASS * valid[:, None]) & (classes > 0)
        number = few.sum(axis=1)
        for tile in np.flatnonzero(number < self.min_classes):
            reasons[tile] = f"min_classes: {number[tile]} of 1 % or more, fewer than {self.min_classes}"
        for token, most in self.max_share.items():
            count = overall[:, ID_OF_TOKEN[token]]
            for tile in np.flatnonzero(count > most * valid):
                reasons[tile] = (
                    f"max_share: {token} is {count[tile] / valid[tile]:.4f} of the valid pixels, over {most:g}"
                )
        # What has too few pixels to tell is said first: the last one written stands.
        for tile in np.flatnonzero(valid < self.min_valid * total):
            reasons[tile] = (
                f"min_valid: {valid[tile] / total[tile]:.4f} of the pixels carry a class, under {self.min_valid:g}"
            )
        return reasons
