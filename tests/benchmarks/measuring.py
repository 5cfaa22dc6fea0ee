"""Ratios against a baseline of the same run, and how they are kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal


@dataclass(frozen=True)
class Figure:
    """One measured figure and the mark that it is held against.

    Attributes:
        what: what was measured, and against what.
        value: the median.
        unit: its unit; ``x`` for a ratio.
        sense: whether the mark is a ceiling or a floor.
        mark: the mark.
        rounds: the single measurements.
    """

    what: str
    value: float
    unit: str
    sense: Literal["<=", ">="]
    mark: float
    rounds: tuple[float, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the mark is reached."""
        return self.value <= self.mark if self.sense == "<=" else self.value >= self.mark


Seconds = Mapping[str, Sequence[float]]
"""Wall time of each piece of work, round by round."""


def interleaved(work: Mapping[str, Callable[[], object]], rounds: int) -> Seconds:
    """Times pieces of work in turn, so that whatever else the machine does meets them all; once more to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(rounds + 1):
        for name, piece in work.items():
            start = time.perf_counter()
            piece()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(
    what: str, seconds: Sequence[float], baseline: Sequence[float], sense: Literal["<=", ">="], mark: float
) -> Figure:
    """The median of the ratios of each round."""
    rounds = tuple(one / other for one, other in zip(seconds, baseline, strict=True))
    return Figure(what, median(rounds), "x", sense, mark, rounds)


def bytes_read() -> int:
    """Bytes that this process has asked the kernel for so far."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["rchar"])
