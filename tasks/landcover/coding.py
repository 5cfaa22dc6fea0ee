"""From a raster's codes to class ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.landcover.classes import NO_DATA

UNKNOWN = 255
"""What stands for the class id of an unknown code, until it is known whether its pixel counts."""


class UnknownCodeError(Exception):
    """A pixel's code stands in no class table.

    Attributes:
        code: the code.
        row: its row in the array at hand.
        column: its column there.
    """

    def __init__(self, code: int, row: int, column: int) -> None:
        self.code, self.row, self.column = code, row, column
        super().__init__(code, row, column)

    def reason(self, row: int = 0, column: int = 0) -> str:
        """What is wrong in words, for an array that begins at a row and column of its raster."""
        return (
            f"pixel at row {row + self.row}, column {column + self.column} has code {self.code}, "
            "which the product's class table does not know"
        )


def to_ids(codes: NDArray[Any], ids: Mapping[int, int], valid: NDArray[np.bool_] | None = None) -> NDArray[np.uint8]:
    """Class ids of codes.

    Args:
        codes: a raster's pixels, whole numbers, shape (height, width).
        ids: class id by code.
        valid: the pixels that carry data; the others are no data whatever their code. All of them where absent.

    Raises:
        UnknownCodeError: a code is not in ``ids``.
    """
    found = mark_unknown(codes, ids)
    if valid is not None:
        found[~valid] = NO_DATA
    if (found == UNKNOWN).any():
        row, column = np.unravel_index(int((found == UNKNOWN).argmax()), found.shape)
        raise UnknownCodeError(int(codes[row, column]), int(row), int(column))
    return found


def mark_unknown(codes: NDArray[Any], ids: Mapping[int, int]) -> NDArray[np.uint8]:
    """Class ids of codes, `UNKNOWN` for a code that is not in ``ids``."""
    found = np.full(codes.shape, UNKNOWN, dtype=np.uint8)
    for code, index in ids.items():
        found[codes == code] = index
    return found
