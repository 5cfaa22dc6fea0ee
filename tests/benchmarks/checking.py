"""How long it takes to check captions."""

from __future__ import annotations

import time
from itertools import cycle, islice
from pathlib import Path

from tasks.checks.checking import check
from tests.benchmarks.measuring import Figure
from tests.benchmarks.sizes import Sizes
from tests.checks_corpus import Sample, samples

_WORDS = 155
"""Of a caption by the published text model, on average."""


def check_captions(sizes: Sizes, _folder: Path) -> list[Figure]:
    """Processor time of 10,000 captions of usual length, on one core."""
    captions = list(islice(cycle(_long_captions()), sizes.checked))
    rounds = []
    for _ in range(sizes.rounds):
        start = time.process_time()
        for sample in captions:
            check(sample.text, sample.counts, sample.recipe)
        rounds.append(10_000 / sizes.checked * (time.process_time() - start))
    what = f"10,000 captions of {_WORDS} words checked, processor time"
    return [Figure(what, sorted(rounds)[len(rounds) // 2], "s", "<=", 10, tuple(rounds))]


def _long_captions() -> list[Sample]:
    """Clean captions of one tile after another in one, until they are as long as usual."""
    clean = [sample for sample in samples() if not sample.flags]
    long = []
    for first in clean:
        words = " ".join([first.text, *(one.text for one in clean if one.counts is first.counts)]).split()
        long.append(Sample(first.name, " ".join(words[:_WORDS]), first.counts, first.recipe, frozenset(), None))
    return long
