"""From a raster's codes to class ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.landcover.classes import NO_DATA


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


def to_ids(codes: NDArray[Any], ids: Mapping[int, int]) -> NDArray[np.uint8]:
    """Class ids of codes; NaN is no data.

    Args:
        codes: a raster's pixels, whole numbers or, where pixels can be missing, floats.
        ids: class id by code.

    Raises:
        UnknownCodeError: a code is not in ``ids``.
    """
    found = np.full(codes.shape, NO_DATA, dtype=np.uint8)
    known = np.isnan(codes) if np.issubdtype(codes.dtype, np.floating) else np.zeros(codes.shape, dtype=np.bool_)
    for code, index in ids.items():
        hit = codes == code
        known |= hit
        if index != NO_DATA:
            found[hit] = index
    if not known.all():
        row, column = (int(axis) for axis in np.unravel_index(int(known.argmin()), known.shape))
        raise UnknownCodeError(int(codes[row, column]), row, column)
    return found
