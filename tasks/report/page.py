"""The report as a page that opens from disk, and in Markdown for a dataset card."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from jinja2 import Environment
from markupsafe import Markup

from tasks.checks.flags import CODES, WARNINGS
from tasks.pages.looks import style_sheet, templates
from tasks.report.gathering import Report, Tally

STATUSES = ("accepted", "mended", "edited", "flagged", "rejected", "pending", "unchecked", "failed")


def render(campaign: str, report: Report) -> bytes:
    """The page in UTF-8; nothing in it is fetched, and nothing runs.

    Args:
        campaign: the campaign's name.
        report: its figures.
    """
    style = style_sheet("tasks.report", "report.css")
    text = (
        _environment()
        .get_template("report.html.j2")
        .render(
            campaign=campaign,
            report=report,
            codes=codes(report),
            statuses=STATUSES,
            style=Markup(style),  # noqa: S704 - our own file
        )
    )
    return text.encode("utf-8", "replace")


def in_markdown(report: Report) -> list[str]:
    """The figures without captions: lines of Markdown, which hold no text from outside but the captioners' names."""
    lines = ["| captioner | texts checked | without an error | " + " | ".join(STATUSES) + " |"]
    lines.append("|---|" + "---:|" * (2 + len(STATUSES)))
    for name, tally in report.tallies.items():
        stands = " | ".join(str(tally.statuses[status]) for status in STATUSES)
        lines.append(f"| `{name}` | {tally.answers} | {share(tally.clean, tally.answers)} | {stands} |")
    found = codes(report)
    if found:
        lines += ["", "| check | " + " | ".join(f"`{name}`" for name in report.tallies) + " |"]
        lines.append("|---|" + "---:|" * len(report.tallies))
        for code in found:
            rates = " | ".join(share(tally.raised[code], tally.answers) for tally in report.tallies.values())
            lines.append(f"| `{code}`{' (warning)' if code in WARNINGS else ''} | {rates} |")
    if judged := report.judged:
        lines += ["", "| texts that people judged | accepted | edited or rejected |", "|---|---:|---:|"]
        lines.append(f"| passed by the checks | {judged.passed_accepted} | {judged.passed_refused} |")
        lines.append(f"| flagged by the checks | {judged.flagged_accepted} | {judged.flagged_refused} |")
        lines += ["", f"Cohen's kappa of checks and people: {number(judged.kappa)}."]
    return lines


def codes(report: Report) -> list[str]:
    """The codes that were raised at all, in their order."""
    raised = {code for tally in report.tallies.values() for code in tally.raised}
    return [code for code in CODES if code in raised]


def share(part: int, whole: int) -> str:
    """A share in percent with one decimal; a dash of nothing."""
    return f"{100 * part / whole:.1f} %" if whole else "–"


def number(value: float | None) -> str:
    """A figure from -1 to 1; a dash where there is none."""
    return "–" if value is None else f"{value:.2f}"


def most_raised(tally: Tally, code: str) -> Sequence[tuple[str, int]]:
    """The classes that a code was raised for, the commonest first."""
    found = [(name.split(":")[1], count) for name, count in tally.classes.items() if name.split(":")[0] == code]
    return sorted(found, key=lambda one: (-one[1], one[0]))


@cache
def _environment() -> Environment:
    environment = templates("tasks.report")
    environment.filters["number"] = number
    environment.globals["share"] = share
    environment.globals["most_raised"] = most_raised
    environment.globals["warnings"] = WARNINGS
    return environment
