"""How the report's figures are written, in every form of it."""

from __future__ import annotations

from typing import NamedTuple

from tasks.checks.flags import CODES, WARNINGS
from tasks.landcover.classes import TOKENS
from tasks.report.gathering import Report

STATUSES = ("accepted", "mended", "edited", "flagged", "rejected", "pending", "unchecked", "failed")


class ClassRates(NamedTuple):
    """How often one captioner errs about one class, in shares of the texts checked.

    Attributes:
        captioner: who.
        token: the class.
        wrong: texts with any error about it.
        by_code: texts by what was raised about it, in the order of `class_codes`.
    """

    captioner: str
    token: str
    wrong: str
    by_code: list[str]


def codes(report: Report) -> list[str]:
    """The codes that were raised at all, in their order."""
    raised = {code for tally in report.tallies.values() for code in tally.raised}
    return [code for code in CODES if code in raised]


def class_codes(report: Report) -> list[str]:
    """The codes that were raised of a class, in their order."""
    raised = {code for tally in report.tallies.values() for code, _ in tally.classes}
    return [code for code in CODES if code in raised]


def class_rates(report: Report) -> list[ClassRates]:
    """The rates by captioner and class, without classes of which nothing was raised."""
    shown = class_codes(report)
    return [
        ClassRates(
            captioner,
            token,
            share(tally.wrong[token], tally.answers),
            [share(tally.classes[code, token], tally.answers) for code in shown],
        )
        for captioner, tally in report.tallies.items()
        for token in TOKENS
        if any(tally.classes[code, token] for code in shown)
    ]


def kind(code: str) -> str:
    """What is said beside a code that does not flag a caption."""
    return " (warning)" if code in WARNINGS else ""


def share(part: int, whole: int) -> str:
    """A share in percent with one decimal; a plain 0 where there is no part, a dash where there is no whole."""
    if not whole:
        return "–"
    return f"{100 * part / whole:.1f} %" if part else "0"


def number(value: float | None) -> str:
    """A figure from -1 to 1; a dash where there is none."""
    return "–" if value is None else f"{value:.2f}"
