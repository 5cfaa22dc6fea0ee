"""A headless browser for tests and benchmarks of pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

_EXECUTABLES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class NoBrowserError(Exception):
    """No browser is on the path."""


@contextmanager
def headless_browser() -> Iterator[Browser]:
    """The browser of this machine for the block's length.

    Raises:
        NoBrowserError: there is none.
    """
    executable = next((path for name in _EXECUTABLES if (path := shutil.which(name))), None)
    if executable is None:
        raise NoBrowserError(f"needs a browser: none of {', '.join(_EXECUTABLES)} is on the path")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(_QUIET))
        yield browser
        browser.close()
