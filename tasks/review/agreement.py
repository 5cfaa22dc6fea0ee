"""How far two reviewers agree, beyond what chance would give: Cohen's kappa (Cohen, 1960)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from tasks.captions.state import Caption
from tasks.review.verdicts import Judgement, judgement, verdicts_by_text


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


def judgements(versions: Sequence[Caption]) -> dict[int, dict[str, Judgement]]:
    """What was said of each text of a caption: by the version that was judged, then by reviewer.

    Args:
        versions: all versions of one tile's caption, oldest first; of a reviewer's several verdicts on one text the
            newest counts.
    """
    return {
        text: {reviewer: judgement(verdict) for reviewer, verdict in verdicts.items()}
        for text, verdicts in verdicts_by_text(versions).items()
    }


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


def disagreed(said: Mapping[str, Judgement]) -> bool:
    """Whether two reviewers said different things of a text."""
    return len(set(said.values())) > 1


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
