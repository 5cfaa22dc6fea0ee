"""The preview page in a browser: it opens from disk, asks for nothing, fits laptop and phone, and runs no caption."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page

from tasks.preview.cards import Caption, Card
from tasks.preview.page import Page as Content
from tasks.preview.page import render
from tasks.scene import paint
from tasks.statistics.patches import patch_counts

HOSTILE = '<img src=x onerror="document.title=\'owned\'"></p></script><script>document.title="owned"</script>'
LONG_ID = "region-one__" + "a-folder-with-a-long-name__" * 4 + "chip-0001"
LAPTOP = (1280, 800)
PHONE = (390, 844)


def card(number: int, ids: NDArray[np.uint8]) -> Card:
    cells = ids.reshape(4, 64, 4, 64).transpose(0, 2, 1, 3).reshape(4, 4, -1)
    counts = patch_counts(np.stack([(cells == class_id).sum(axis=2) for class_id in range(12)], axis=-1))
    captions = [Caption("rules", f"Caption number {number} tells of land and water. " * 8, "accepted")]
    if number == 0:
        captions.append(Caption("hostile", HOSTILE, "flagged"))
    return Card(
        tile_id=LONG_ID if number == 1 else f"{8483 + number}_8190",
        lon=6.41 + 0.022 * number,
        lat=0.03,
        split=("train", "val", "test")[number % 3],
        ids=ids,
        counts=counts,
        captions=captions,
    )


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scene = paint()
    cards = [card(number, scene[1400:1656, 300 * number : 300 * number + 256].copy()) for number in range(9)]
    cards.append(card(9, np.random.default_rng(0).integers(0, 12, (256, 256), dtype=np.uint8)))
    content = Content(
        name="a-campaign",
        product="worldcover-2020",
        attribution="© the makers of the land cover",
        captioners=["rules", "hostile"],
        captions=11,
        lon=np.array([shown.lon for shown in cards] + [6.5, 6.55]),
        lat=np.array([0.03] * len(cards) + [0.06, 0.06]),
        status=np.array([1] * len(cards) + [2, 3]),
        cards=cards,
    )
    path = tmp_path_factory.mktemp("preview") / "preview.html"
    path.write_bytes(render(content))
    return path


class Visit:
    """A page that was opened, and all that it asked for or complained of."""

    def __init__(self, page: Page, file: Path) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        page.goto(file.as_uri())

    def shown(self) -> int:
        return self.page.locator(".card:visible").count()


@pytest.fixture
def visit(browser: Browser, file: Path) -> Iterator[Visit]:
    page = browser.new_page(viewport={"width": LAPTOP[0], "height": LAPTOP[1]})
    yield Visit(page, file)
    page.close()


def test_it_asks_for_nothing_and_nothing_in_it_runs(visit: Visit, file: Path) -> None:
    assert [url for url in visit.requests if not url.startswith("data:")] == [file.as_uri()]
    assert visit.complaints == []
    assert visit.page.title() == "a-campaign · dataset preview"
    assert visit.page.locator(".text").nth(1).inner_text() == HOSTILE
    assert visit.page.locator("script").count() == 1
    loaded = "Array.from(document.images, (image) => image.complete && image.naturalWidth === 256)"
    assert visit.page.evaluate(loaded) == [True] * 10


def test_the_policy_stops_what_would_slip_through(visit: Visit) -> None:
    visit.page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "document.title = 'owned'";
            document.body.append(script);
            const image = new Image();
            image.src = "http://127.0.0.1:9/leak.png";
            document.body.append(image);
        }"""
    )
    visit.page.wait_for_timeout(200)
    assert visit.page.title() != "owned"
    assert len(visit.complaints) == 2
    assert all("Content Security Policy" in complaint for complaint in visit.complaints)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [LAPTOP, PHONE, (320, 640)])
def test_it_fits_the_screen_in_letters_large_enough(
    browser: Browser, file: Path, size: tuple[int, int], scheme: str
) -> None:
    page = browser.new_page(
        viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page.goto(file.as_uri())
    for summary in page.locator("summary").all():
        summary.click()
    beyond = """() => Array.from(document.querySelectorAll("main *"))
        .filter((element) => element.getBoundingClientRect().right > innerWidth + 0.5 && !element.closest("svg"))
        .map((element) => element.outerHTML.slice(0, 80))"""
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert page.evaluate(beyond) == []
    small = """() => Array.from(document.querySelectorAll("body *"))
        .filter((element) => Array.from(element.childNodes).some((node) => node.nodeType === 3 && node.data.trim()))
        .filter((element) => element.tagName !== "SCRIPT" && parseFloat(getComputedStyle(element).fontSize) < 15)
        .map((element) => element.outerHTML.slice(0, 80))"""
    assert page.evaluate(small) == []
    assert page.locator("svg.map").bounding_box() is not None
    page.close()


def test_the_filter_narrows_by_words_split_and_class(visit: Visit) -> None:
    page = visit.page
    assert visit.shown() == 10
    page.get_by_label("Words").fill("tells CHIP-0001")
    assert visit.shown() == 1
    assert page.locator("#shown").inner_text() == "1 of 10 shown"
    page.get_by_label("Words").fill("8490_8190")
    assert visit.shown() == 1
    page.get_by_label("Words").fill("no such words")
    assert visit.shown() == 0
    assert page.locator("#none").is_visible()
    page.get_by_role("button", name="Show all").click()
    page.wait_for_function("document.getElementById('shown').textContent === 'All 10 shown'")
    assert visit.shown() == 10
    page.get_by_label("Split").select_option("val")
    assert visit.shown() == 3
    page.get_by_role("combobox", name="Class").select_option("moss")
    assert visit.shown() == 0
    page.get_by_label("Split").select_option("")
    assert visit.shown() == 1


def test_the_keyboard_reaches_the_filter_and_opens_the_details(visit: Visit) -> None:
    page = visit.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "words"
    for _ in range(4):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    page.keyboard.press("Enter")
    assert page.locator("table").first.is_visible()


def test_without_scripts_every_card_is_there_and_no_dead_form(browser: Browser, file: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.locator(".card:visible").count() == 10
    assert not page.locator("#filter").is_visible()
    context.close()


def test_on_paper_the_form_is_gone_and_the_cards_stay(visit: Visit) -> None:
    visit.page.emulate_media(media="print")
    assert not visit.page.locator("#filter").is_visible()
    assert visit.shown() == 10


def contrast(page: Page, selector: str) -> float:
    """Contrast of an element's text with the nearest painted background behind it (WCAG)."""
    ratio = """(selector) => {
        const element = document.querySelector(selector);
        const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
        let behind = element;
        while (channels(getComputedStyle(behind).backgroundColor)[3] === 0) behind = behind.parentElement;
        const light = (colour) => {
            const [r, g, b] = channels(colour).slice(0, 3).map((value) => value / 255)
                .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const one = light(getComputedStyle(element).color);
        const other = light(getComputedStyle(behind).backgroundColor);
        return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    }"""
    return float(page.evaluate(ratio, selector))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(browser: Browser, file: Path, scheme: str) -> None:
    page = browser.new_page(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(file.as_uri())
    selectors = ["h1", ".lead", ".note", ".text", ".place", ".badge", ".state.accepted", ".state.flagged", "summary"]
    assert {selector: contrast(page, selector) for selector in selectors if contrast(page, selector) < 4.5} == {}
    page.close()
