"""How far two reviewers agree, beyond what chance would give: Cohen's kappa (Cohen, 1960)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from tasks.captions.state import Caption
from tasks.review.verdicts import Judgement, judgement

Item = tuple[str, str, int | None]
"""A text that was judged: captioner, tile ID and the version judged."""


@dataclass(frozen=True)
class Agreement:
    """Two reviewers, and what both of them judged.

    Attributes:
        first, second: their names.
        both: texts that both judged.
        agreed: those of which they said the same.
        kappa: from -1 to 1, 0 being chance; None where it has no meaning, as when both always said one and the same.
    """

    first: str
    second: str
    both: int
    agreed: int
    kappa: float | None


def standing_verdicts(reviewed: Iterable[Caption]) -> dict[Item, dict[str, Judgement]]:
    """Each judged text's verdicts by reviewer.

    Args:
        reviewed: the versions that reviewers made; of a reviewer's several on one text the newest counts.
    """
    verdicts: dict[Item, dict[str, Judgement]] = defaultdict(dict)
    for version in sorted(reviewed, key=lambda version: version.version):
        if version.reviewer is None:
            continue
        item = (version.captioner, version.tile_id, version.revises)
        says = judgement(version)
        if says is None:
            verdicts[item].pop(version.reviewer, None)
        else:
            verdicts[item][version.reviewer] = says
    return dict(verdicts)


def agreements(verdicts: Iterable[dict[str, Judgement]]) -> list[Agreement]:
    """The agreement of every two reviewers who judged a text in common, most texts first."""
    pairs: dict[tuple[str, str], list[tuple[Judgement, Judgement]]] = defaultdict(list)
    for said in verdicts:
        for first, second in combinations(sorted(said), 2):
            pairs[first, second].append((said[first], said[second]))
    found = [
        Agreement(first, second, len(both), sum(one == other for one, other in both), kappa(both))
        for (first, second), both in pairs.items()
    ]
    return sorted(found, key=lambda agreement: (-agreement.both, agreement.first, agreement.second))


def disagreed(verdicts: dict[Item, dict[str, Judgement]]) -> set[tuple[str, str]]:
    """Captioner and tile ID of the texts of which two reviewers said different things."""
    return {(captioner, tile_id) for (captioner, tile_id, _), said in verdicts.items() if len(set(said.values())) > 1}


def kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Cohen's kappa of two raters.

    Args:
        pairs: what each said of the same things.

    Returns:
        (observed - expected) / (1 - expected) agreement; None where there is nothing, or expected agreement is 1.
    """
    n = len(pairs)
    firsts, seconds = Counter(first for first, _ in pairs), Counter(second for _, second in pairs)
    expected = sum(count * seconds[said] for said, count in firsts.items())
    if n * n == expected:
        return None
    observed = sum(first == second for first, second in pairs)
    return (observed * n - expected) / (n * n - expected)
