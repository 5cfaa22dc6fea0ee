"""Templates and style sheets of our pages."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined


def templates(package: str) -> Environment:
    """The templates of a package: what they are given is text, which they escape.

    Args:
        package: where they lie, such as ``tasks.report``.
    """
    return Environment(
        loader=PackageLoader(package, "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def asset(package: str, name: str) -> str:
    """The text of a file of a package."""
    return files(package).joinpath(name).read_text("utf-8")


def style_sheet(package: str, name: str) -> str:
    """A page's style: what all pages share, and after it the page's own."""
    return asset("tasks.pages", "base.css") + asset(package, name)
