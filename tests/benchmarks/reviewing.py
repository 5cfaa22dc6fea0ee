"""How long a reviewer waits for the next caption."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from tests.benchmarks.measuring import Figure
from tests.benchmarks.sizes import Sizes
from tests.browsers import headless_browser
from tests.review_desk import caption, desk_with, serving

_TEXT = "Water fills the top left, and trees cover most of the bottom right, with grassland between them."

_ACCEPT = """
async () => {
  const title = document.querySelector("#title");
  const item = document.querySelector("#item");
  const before = title.textContent;
  const begun = performance.now();
  document.querySelector("#caption").dispatchEvent(new KeyboardEvent("keydown", { key: "a", bubbles: true }));
  while (title.textContent === before || item.getAttribute("aria-busy") === "true") {
    await new Promise(requestAnimationFrame);
  }
  await new Promise(requestAnimationFrame);
  return performance.now() - begun;
}
"""
"""Presses a key and waits until the next caption has been drawn."""


def next_caption(sizes: Sizes, folder: Path) -> list[Figure]:
    """Milliseconds from a key that accepts a caption until the next one is on the screen, in Chromium."""
    captions = [caption(number, _TEXT) for number in range(sizes.queued)]
    with desk_with(folder, captions) as desk, serving(desk) as address, headless_browser() as browser:
        page = browser.new_page()
        page.goto(address)
        page.get_by_role("textbox", name="Reviewer").fill("ann")
        page.get_by_role("textbox", name="Reviewer").press("Tab")
        page.locator("#item[aria-busy=false]").wait_for()
        waits = tuple(page.evaluate(_ACCEPT) for _ in range(sizes.verdicts))
    what = f"the next of {sizes.queued:,} captions after a verdict, {sizes.verdicts} times"
    return [
        Figure(f"{what}: median", median(waits), "ms", "<=", 200, waits),
        Figure(f"{what}: longest", max(waits), "ms", "<=", 200, waits),
    ]
