"""What is counted for the report: what the checks raised in each answer, and what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappushpop
from itertools import count
from typing import NamedTuple

from tasks.captions.history import shown as shown_version
from tasks.captions.state import Caption, Status
from tasks.checks.checking import check
from tasks.checks.flags import WARNINGS, Recipe, names
from tasks.review.agreement import Agreement, agreements, judgements, kappa
from tasks.review.verdicts import Judgement
from tasks.statistics.patches import Counts

MOST_WORST = 20
"""Tiles that are listed as the worst."""

MOST_EXAMPLES = 3
"""Examples that are shown of each fault."""

_CHECKED = frozenset[Status]({"accepted", "mended", "pending", "flagged"})
"""What a check can make of an answer."""


class Example(NamedTuple):
    """A caption before and after; after is None where none is better yet."""

    captioner: str
    tile_id: str
    faults: tuple[str, ...]
    before: str
    after: str | None
    became: str


class Worst(NamedTuple):
    """A tile whose answers had many errors."""

    errors: int
    captioner: str
    tile_id: str
    faults: tuple[str, ...]
    status: str


class Judged(NamedTuple):
    """How people saw texts that the checks had passed, and texts that they had flagged."""

    passed_accepted: int
    passed_refused: int
    flagged_accepted: int
    flagged_refused: int
    kappa: float | None


@dataclass
class Tally:
    """One captioner's figures.

    Attributes:
        answers: texts that were checked, those that were asked for again among them.
        clean: those without an error.
        raised: answers by the code raised in them.
        classes: answers by code and class, such as ``("absent-class", "snow")``.
        wrong: answers by the class of which they hold an error.
        became: answers by what their check made of them: accepted, mended, pending (asked again), flagged.
        statuses: tiles by how their caption stands now.
    """

    answers: int = 0
    clean: int = 0
    raised: Counter[str] = field(default_factory=Counter)
    classes: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    became: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)


@dataclass
class Report:
    """The figures of a campaign.

    Attributes:
        tallies: by captioner.
        worst: tiles with the most errors, the worst first.
        examples: before and after, by code.
        verdicts: verdicts of people that stand.
        reviewers: the agreement of every two reviewers.
        judged: how reviewers saw what the checks passed and flagged; None where they judged no such text.
    """

    tallies: dict[str, Tally] = field(default_factory=dict)
    worst: list[Worst] = field(default_factory=list)
    examples: dict[str, list[Example]] = field(default_factory=dict)
    verdicts: int = 0
    reviewers: list[Agreement] = field(default_factory=list)
    judged: Judged | None = None


def unnamed(report: Report) -> Report:
    """A report for readers outside, whom the reviewers' names do not concern: they are numbered."""
    names = sorted({name for pair in report.reviewers for name in (pair.first, pair.second)})
    numbered = {name: f"reviewer {number}" for number, name in enumerate(names, 1)}
    pairs = [replace(pair, first=numbered[pair.first], second=numbered[pair.second]) for pair in report.reviewers]
    return replace(report, reviewers=pairs)


class Gathering:
    """Takes in one tile's history after the other; holds no caption but the examples.

    Args:
        captioners: their names, in the order in which the report lists them.
    """

    def __init__(self, captioners: Sequence[str]) -> None:
        self._report = Report({captioner: Tally() for captioner in captioners})
        self._heap: list[tuple[int, int, Worst]] = []
        self._order = count()
        self._verdicts: list[dict[str, Judgement]] = []
        self._pairs: list[tuple[bool, bool]] = []

    def add(self, history: Sequence[Caption], counts: Counts, recipe: Recipe) -> None:
        """Takes in one tile.

        Args:
            history: its versions by one captioner, oldest first.
            counts: its statistics (6, 12).
            recipe: how its captions are made.
        """
        captioner, tile_id = history[-1].captioner, history[-1].tile_id
        tally = self._report.tallies[captioner]
        shown = shown_version(history) or history[-1]
        tally.statuses[shown.status] += 1
        errors = 0
        all_faults: list[str] = []
        for answer, verdict in _checked(history):
            found = _found(answer, verdict, counts, recipe)
            faults = tuple(flag for flag in found if _of(flag)[0] not in WARNINGS)
            tally.answers += 1
            tally.clean += not faults
            tally.became[verdict.status] += 1
            tally.raised.update({_of(flag)[0] for flag in found})
            tally.classes.update((code, token) for code, token in map(_of, found) if token)
            tally.wrong.update({token for _, token in map(_of, faults) if token})
            errors += len(faults)
            all_faults += faults
            if faults:
                self._show(Example(captioner, tile_id, faults, answer.text or "", _after(answer, shown), shown.status))
        if errors:
            worst = Worst(errors, captioner, tile_id, tuple(dict.fromkeys(all_faults)), shown.status)
            self._keep(worst)
        self._judge(history)

    def report(self) -> Report:
        """The figures of all that was taken in."""
        report = self._report
        report.worst = [worst for _, _, worst in sorted(self._heap, key=lambda one: (-one[0], -one[1]))]
        report.verdicts = sum(map(len, self._verdicts))
        report.reviewers = agreements(self._verdicts)
        if self._pairs:
            pairs = Counter(self._pairs)
            report.judged = Judged(
                passed_accepted=pairs[True, True],
                passed_refused=pairs[True, False],
                flagged_accepted=pairs[False, True],
                flagged_refused=pairs[False, False],
                kappa=kappa([(str(passed), str(accepted)) for passed, accepted in self._pairs]),
            )
        return report

    def _show(self, example: Example) -> None:
        for fault in example.faults:
            shown = self._report.examples.setdefault(_of(fault)[0], [])
            if len(shown) == MOST_EXAMPLES and example.after is not None:
                # A fault is told best by a text that came instead.
                telling_less = [one for one in shown if one.after is None]
                shown[:] = [one for one in shown if one not in telling_less[-1:]]
            if len(shown) < MOST_EXAMPLES:
                shown.append(example)
                return

    def _keep(self, worst: Worst) -> None:
        # Of tiles with as many errors the first stay: their number is the larger one.
        entry = (worst.errors, -next(self._order), worst)
        if len(self._heap) < MOST_WORST:
            self._heap.append(entry)
            self._heap.sort()
        else:
            heappushpop(self._heap, entry)

    def _judge(self, history: Sequence[Caption]) -> None:
        by_version = {version.version: version for version in history}
        for judged, said in judgements(history).items():
            if not said:
                continue
            self._verdicts.append(said)
            text = by_version.get(judged)
            if text is not None and text.status in _CHECKED:
                passed = text.status in {"accepted", "mended"}
                self._pairs += [(passed, says == "accept") for says in said.values()]


def _checked(history: Sequence[Caption]) -> Iterator[tuple[Caption, Caption]]:
    """Each answer that was checked, with the version that its check made; one that was read anew is no check."""
    by_version = {version.version: version for version in history}
    for version in history:
        if version.reviewer is not None or version.status not in _CHECKED:
            continue
        answer = by_version.get(version.revises or 0)
        if answer is not None and answer.status == "unchecked" and answer.text is not None:
            yield answer, version


def _of(flag: str) -> tuple[str, str]:
    """A flag's code and class, which is empty where it has none."""
    code, _, token = flag.partition(":")
    return code, token


def _found(answer: Caption, verdict: Caption, counts: Counts, recipe: Recipe) -> tuple[str, ...]:
    """What was raised in an answer. A mended version keeps only what is left, so the answer is checked once more."""
    if verdict.status != "mended":
        return verdict.flags
    return tuple(names(check(answer.text or "", counts.tolist(), recipe)))


def _after(answer: Caption, shown: Caption) -> str | None:
    """The text that took an answer's place; None where it still stands."""
    return None if shown.text == answer.text else shown.text
