"""Whether a quota was ever exceeded, from nothing but instants: no window of ours is asked. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Instants = NDArray[np.int64]

DAY = 86_400 * 1_000_000
"""Microseconds."""


def most_spent(first: Instants, last: Instants, limit: int, window: str) -> float:
    """The most that may have counted against a daily limit at any instant.

    Each request counted from some instant between its first and its last: at a grant and the request's end it is
    taken at its worst, at an endpoint the two are the same.

    Args:
        first: when each could be counted first, microseconds since the epoch.
        last: when each could be counted last, of the same length.
        limit: what the window allows.
        window: `sliding`, `bucket` or `utc`.

    Returns:
        Requests; more than `limit` is too many.
    """
    if not len(first):
        return 0.0
    if window == "utc":
        touched = np.concatenate([first // DAY, (last // DAY)[last // DAY != first // DAY]])
        return float(np.bincount(touched - touched.min()).max())
    if window == "sliding":
        # It counts from its first instant until a day after its last.
        starts, stops = np.sort(first), np.sort(last) + DAY
        return float((np.arange(1, len(starts) + 1) - np.searchsorted(stops, starts, "left")).max())
    # In any stretch of time a bucket gives what it holds and what flows in meanwhile. A stretch takes what was granted
    # by its end and had not ended before it began; the worst begin at the first grant, at an end, or at their own end.
    starts, stops = np.sort(first), np.sort(last)
    starts, stops = (starts - starts[0]), (stops - starts[0])
    rate = limit / DAY
    over_by_end = np.minimum.accumulate(np.minimum(0.0, np.arange(len(stops)) - stops * rate))
    ends_so_far = np.searchsorted(stops, starts, "right")
    before = np.where(ends_so_far > 0, over_by_end[np.maximum(ends_so_far - 1, 0)], 0.0)
    before = np.minimum(before, np.searchsorted(stops, starts, "left") - starts * rate)
    return float((np.arange(1, len(starts) + 1) - starts * rate - before).max())


def least_days(requests: int, limit: int, window: str) -> float:
    """Days from the first of some requests to the last, if each leaves as soon as the quota allows."""
    if window == "bucket":
        return max(0.0, (requests - limit) / limit)
    return float((requests - 1) // limit)
