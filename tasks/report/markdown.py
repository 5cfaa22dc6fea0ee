"""The report in Markdown, for Prefect's pages and a dataset card: shorter than the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tasks.pages.markdown import code, table
from tasks.report.figures import STATUSES, class_codes, class_rates, codes, kind, number, share
from tasks.report.gathering import Example, Report

_WORST: Final = 10
"""Tiles that are listed as the worst."""

_LONGEST: Final = 1_000
"""Letters of a caption that are shown."""

_BY_CLASS: Final = (
    "By class: texts that name it wrongly, or leave it out though it must be named, of all that were checked."
)


def in_markdown(report: Report) -> list[str]:
    """The report's lines: tables, in which captions and names from outside are code spans."""
    return [*_standings(report), *_rates(report), *_worst(report), *_examples(report), *_people(report)]


def _standings(report: Report) -> list[str]:
    rows = [
        [code(name), tally.answers, share(tally.clean, tally.answers), *(tally.statuses[status] for status in STATUSES)]
        for name, tally in report.tallies.items()
    ]
    return table(["captioner", "texts checked", "without an error", *STATUSES], rows)


def _rates(report: Report) -> list[str]:
    found = codes(report)
    if not found:
        return []
    rows = [
        [_named(one), *(share(tally.raised[one], tally.answers) for tally in report.tallies.values())] for one in found
    ]
    lines = ["", "### What was raised", "", *table(["check", *map(code, report.tallies)], rows)]
    by_class = class_rates(report)
    if by_class:
        columns = ["captioner", "class", "any error", *map(_named, class_codes(report))]
        rows = [[code(rates.captioner), rates.token, rates.wrong, *rates.by_code] for rates in by_class]
        lines += ["", _BY_CLASS, "", *table(columns, rows)]
    return lines


def _worst(report: Report) -> list[str]:
    rows = [
        [code(tile.tile_id), code(tile.captioner), tile.errors, _listed(tile.faults), tile.status]
        for tile in report.worst[:_WORST]
    ]
    return ["", "### Worst tiles", "", *table(["tile", "captioner", "errors", "what", "now"], rows)] if rows else []


def _examples(report: Report) -> list[str]:
    shown = [(one, _telling(report.examples[one])) for one in codes(report) if one in report.examples]
    rows = [
        [
            code(one),
            code(example.tile_id),
            code(example.captioner),
            code(example.before, _LONGEST),
            "It still stands." if example.after is None else code(example.after, _LONGEST),
            example.became,
        ]
        for one, example in shown
    ]
    columns = ["check", "tile", "captioner", "before", "after", "now"]
    return ["", "### Before and after", "", *table(columns, rows)] if rows else []


def _telling(examples: Sequence[Example]) -> Example:
    """The first of some examples that has an after."""
    return next((example for example in examples if example.after is not None), examples[0])


def _people(report: Report) -> list[str]:
    if not report.verdicts:
        return []
    lines = ["", "### People and checks"]
    if judged := report.judged:
        rows = [
            ["passed by the checks", judged.passed_accepted, judged.passed_refused],
            ["flagged by the checks", judged.flagged_accepted, judged.flagged_refused],
        ]
        lines += ["", *table(["texts that people judged", "accepted", "edited or rejected"], rows)]
        lines += ["", f"Cohen's kappa of checks and people: {number(judged.kappa)}."]
    else:
        lines += ["", "People judged only texts that no check had met."]
    if report.reviewers:
        pairs = [
            [code(pair.first), code(pair.second), pair.both, pair.agreed, number(pair.kappa)]
            for pair in report.reviewers
        ]
        lines += ["", *table(["reviewer", "and", "texts both judged", "said the same of", "Cohen's kappa"], pairs)]
    return lines


def _named(one: str) -> str:
    return code(one) + kind(one)


def _listed(faults: Sequence[str]) -> str:
    return ", ".join(map(code, faults))
