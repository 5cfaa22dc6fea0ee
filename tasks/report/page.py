"""The report as a page that opens from disk."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment
from markupsafe import Markup

from tasks.pages.looks import style_sheet, templates
from tasks.report.figures import STATUSES, class_codes, class_rates, codes, kind, number, share
from tasks.report.gathering import Report


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
            class_codes=class_codes(report),
            class_rates=class_rates(report),
            statuses=STATUSES,
            style=Markup(style),  # noqa: S704 - our own file
        )
    )
    return text.encode("utf-8", "replace")


@cache
def _environment() -> Environment:
    environment = templates("tasks.report")
    environment.filters["number"] = number
    environment.globals["share"] = share
    environment.globals["kind"] = kind
    return environment
