"""The review page in a browser, as two reviewers use it."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tasks.review.desk import Desk
from tests.review_desk import HOSTILE, caption, desk_with, serving

TEXTS = ["Snow and water fill the tile.", HOSTILE, "Trees cover most of the scene, with grassland in the south."]
COUNT = 10_000


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    captions = [
        caption(number, TEXTS[number - 10_000 if number < 10_003 else 0]) for number in range(10_000, 10_000 + COUNT)
    ]
    with desk_with(tmp_path_factory.mktemp("review"), captions) as desk:
        yield desk


@pytest.fixture(scope="module")
def address(desk: Desk) -> Iterator[str]:
    with serving(desk) as address:
        yield address


Visit = Callable[[str], Page]


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    """Opens the page as a reviewer of that name; whatever it complains of fails the test."""
    contexts = []
    complaints: list[str] = []

    def open_page(name: str) -> Page:
        context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        page.get_by_role("textbox", name="Reviewer").fill(name)
        page.get_by_role("textbox", name="Reviewer").press("Tab")
        expect(page.locator("#item")).to_be_visible()
        read(page)
        return page

    yield open_page
    for context in contexts:
        context.close()
    refused = "the server responded with a status of 409"
    assert [complaint for complaint in complaints if refused not in complaint] == []


def read(page: Page) -> None:
    """Puts the keyboard on the caption, away from the fields above, once it is there."""
    expect(page.locator("#item")).to_have_attribute("aria-busy", "false")
    page.locator("#caption").focus()


def test_a_caption_is_accepted_edited_rejected_and_undone_by_keys_alone(visit: Visit, desk: Desk) -> None:
    page = visit("ann")
    expect(page.locator("#progress")).to_have_text(f"1 of {COUNT} shown · 0 of {COUNT} judged by you")
    read(page)
    page.keyboard.press("a")
    expect(page.locator("#title")).to_have_text("10001_0")
    page.keyboard.press("e")
    page.get_by_label("as it should read").fill("Water lies in the north.")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#title")).to_have_text("10002_0")
    page.keyboard.press("r")
    page.get_by_label("Why is it rejected?").fill("wrong place")
    page.keyboard.press("Enter")
    expect(page.locator("#title")).to_have_text("10003_0")
    expect(page.locator("#progress")).to_contain_text(f"3 of {COUNT} judged")
    page.keyboard.press("u")
    expect(page.locator("#title")).to_have_text("10002_0")
    expect(page.locator("#progress")).to_contain_text(f"2 of {COUNT} judged")
    stands = [desk.state.history("gpt", f"{number}_0")[-1] for number in (10_000, 10_001, 10_002)]
    assert [(one.status, one.reviewer) for one in stands] == [
        ("accepted", "ann"),
        ("edited", "ann"),
        ("flagged", None),
    ]
    assert stands[1].text == "Water lies in the north."
    assert desk.state.history("gpt", "10001_0")[0].text == HOSTILE


@pytest.mark.parametrize(("name", "key", "focus"), [("ida", "a", "#caption"), ("ivan", "Enter", "[data-do=accept]")])
def test_a_key_that_is_held_judges_one_caption_alone(visit: Visit, name: str, key: str, focus: str) -> None:
    page = visit(name)
    page.locator(focus).focus()
    for _ in range(4):
        page.keyboard.down(key)  # without a key up between: the key repeats
        expect(page.locator("#item")).to_have_attribute("aria-busy", "false")
        expect(page.locator("#title")).to_have_text("10001_0")
    page.keyboard.up(key)
    expect(page.locator("#progress")).to_contain_text(f"1 of {COUNT} judged")


def test_leafing_on_while_a_verdict_is_kept_passes_over_no_caption(visit: Visit) -> None:
    page = visit("jane")
    page.route("**/api/verdict", lambda route: (page.wait_for_timeout(300), route.continue_()))
    page.keyboard.press("a")
    page.keyboard.press("j")
    expect(page.locator("#progress")).to_contain_text(f"1 of {COUNT} judged")
    read(page)
    expect(page.locator("#title")).to_have_text("10001_0")


def test_a_verdict_is_taken_back_in_another_view_too(visit: Visit) -> None:
    page = visit("kim")
    page.keyboard.press("a")
    expect(page.locator("#title")).to_have_text("10001_0")
    page.get_by_label("Show").select_option("judged by me")
    expect(page.locator("#progress")).to_have_text(f"1 of 1 shown · 1 of {COUNT} judged by you")
    read(page)
    page.keyboard.press("u")
    expect(page.locator("#progress")).to_have_text(f"1 of 1 shown · 0 of {COUNT} judged by you")


def test_a_verdict_that_cannot_be_taken_back_does_not_stand_before_the_others(visit: Visit, desk: Desk) -> None:
    page = visit("lena")
    for following in ("10001_0", "10002_0"):
        page.keyboard.press("a")
        expect(page.locator("#title")).to_have_text(following)
        read(page)
    desk.undo("gpt", "10001_0", "lena")  # at another window, say
    page.keyboard.press("u")
    expect(page.get_by_role("alert")).to_contain_text("no verdict on this caption")
    expect(page.locator("#progress")).to_contain_text(f"1 of {COUNT} judged")
    read(page)
    page.keyboard.press("u")
    expect(page.locator("#title")).to_have_text("10000_0")
    expect(page.locator("#progress")).to_contain_text(f"0 of {COUNT} judged")


def test_nothing_in_a_caption_runs_and_it_reads_as_it_is(visit: Visit) -> None:
    page = visit("mallory")
    read(page)
    page.keyboard.press("j")
    expect(page.locator("#caption")).to_have_text(HOSTILE)
    assert page.title() == "a-campaign · review"
    assert page.locator("#caption img, #caption script").count() == 0
    page.locator("summary").click()
    expect(page.locator("#past .old").first).to_have_text(HOSTILE)


def test_a_draft_survives_the_closing_of_the_page(visit: Visit) -> None:
    page = visit("drafter")
    read(page)
    page.keyboard.press("e")
    page.get_by_label("as it should read").fill("Half a thought")
    page.reload()
    expect(page.get_by_label("as it should read")).to_have_value("Half a thought")
    page.keyboard.press("Escape")
    expect(page.locator("#editor")).to_be_hidden()


def test_a_draft_is_its_writers_and_its_campaigns(visit: Visit) -> None:
    page = visit("nora")
    page.keyboard.press("e")
    page.get_by_label("as it should read").fill("Half a thought")
    for name, visible in (("omar", False), ("nora", True)):
        page.get_by_role("textbox", name="Reviewer").fill(name)
        page.get_by_role("textbox", name="Reviewer").press("Tab")
        expect(page.locator("#editor")).to_be_visible(visible=visible)
    # Another campaign on the same address.
    page.route(re.compile("/$"), lambda route: route.fulfill(body=route.fetch().text().replace("a-campaign", "other")))
    page.reload()
    expect(page.locator("#item")).to_have_attribute("aria-busy", "false")
    expect(page.locator("#editor")).to_be_hidden()


def test_two_reviewers_see_where_they_disagree_and_how_far_they_agree(visit: Visit) -> None:
    first, second = visit("carl"), visit("dora")
    for page, keys in ((first, "aar"), (second, "aaa")):
        read(page)
        for _ in range(20):
            page.keyboard.press("j")
        for number, key in enumerate(keys, 10_020):
            expect(page.locator("#title")).to_have_text(f"{number}_0")
            page.keyboard.press(key)
            if key == "r":
                page.get_by_label("Why is it rejected?").fill("language is poor")
                page.keyboard.press("Enter")
        expect(page.locator("#title")).to_have_text("10023_0")
    second.get_by_label("Show").select_option("disagreed about")
    expect(second.locator("#progress")).to_contain_text("1 of 1 shown")
    row = second.get_by_role("row", name=re.compile("carl, dora"))
    expect(row.locator("td")).to_have_text(["3", "2", "0.00"])


def test_a_verdict_without_a_name_or_on_a_replaced_text_is_refused_with_the_reason(visit: Visit, desk: Desk) -> None:
    page = visit("")
    read(page)
    page.keyboard.press("a")
    expect(page.get_by_role("alert")).to_contain_text("Say who you are")
    page = visit("erin")
    read(page)
    for _ in range(40):
        page.keyboard.press("j")
    expect(page.locator("#title")).to_have_text("10040_0")
    newer = desk.state.history("gpt", "10040_0")[-1]
    desk.state.add([type(newer)("10040_0", "gpt", "A newer text.", "unchecked", newer.created_at, version=9)])
    read(page)
    page.keyboard.press("a")
    expect(page.get_by_role("alert")).to_contain_text("replaced while you read it")


@pytest.mark.parametrize("size", [(1280, 900), (390, 844)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_screen_and_has_no_serious_fault_of_access(
    browser: Browser, address: str, size: tuple[int, int], scheme: str
) -> None:
    page = browser.new_page(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if scheme == "dark" else "light",
        bypass_csp=True,
    )
    page.goto(address)
    expect(page.locator("#item")).to_be_visible()
    page.locator("summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    found = Axe().run(page).response["violations"]
    assert [fault["id"] for fault in found if fault["impact"] in {"serious", "critical"}] == []
    page.close()


def test_verdicts_are_taken_along_and_brought_back(visit: Visit, tmp_path: Path) -> None:
    page = visit("fred")
    read(page)
    page.keyboard.press("a")
    expect(page.locator("#progress")).to_contain_text(f"1 of {COUNT} judged by you")
    with page.expect_download() as download:
        page.get_by_role("link", name="Verdicts as JSON lines").click()
    file = tmp_path / "verdicts.jsonl"
    download.value.save_as(file)
    mine = [line for line in file.read_text("utf-8").splitlines() if '"fred"' in line]
    assert len(mine) == 1
    file.write_text(mine[0].replace("fred", "gina") + "\n", "utf-8")
    page.get_by_label("Bring back verdicts").set_input_files(file)
    expect(page.locator("#brought")).to_have_text("1 kept, 0 known already")


def test_only_the_page_may_write_and_only_those_who_know_the_token_may_read(desk: Desk, address: str) -> None:
    assert httpx.get(address, headers={"Host": "evil.example"}).status_code == 421
    body = '{"captioner": "gpt", "tile_id": "10050_0", "reviewer": "x", "version": 1, "says": "accept"}'
    assert httpx.post(f"{address}/api/verdict", content=body).status_code == 403
    assert len(desk.state.history("gpt", "10050_0")) == 1
    with serving(desk, token="right") as guarded, httpx.Client(base_url=guarded) as visitor:
        assert visitor.get("/").status_code == 401
        assert visitor.get("/", params={"token": "wrong"}).status_code == 401
        assert visitor.get("/api/queue", params={"reviewer": "x", "token": "right"}).status_code == 401
        assert visitor.get("/", params={"token": "right"}).headers["Location"] == "./"
        assert visitor.get("/").status_code == 200
        assert visitor.get("/api/queue", params={"reviewer": "x"}).status_code == 200
        assert (
            httpx.get(guarded, headers={b"Cookie": b"earthscribe_review_%d=\xff" % visitor.base_url.port}).status_code
            == 401
        )
        # By whatever name a proxy on this machine hands it on.
        by_name = {"Host": "review.example.org"}
        assert visitor.get("/", headers=by_name, params={"token": "right"}).status_code == 303


def test_a_link_on_another_site_lets_in_and_two_servers_on_a_host_do_not_end_each_others_visits(
    desk: Desk, browser: Browser
) -> None:
    context = browser.new_context()
    page = context.new_page()
    with serving(desk, token="one") as first, serving(desk, token="two") as second:
        page.goto("data:text/html,")
        page.set_content(f'<a href="{first}/?token=one">to the review</a>')
        page.get_by_role("link").click()
        expect(page.locator("#item")).to_be_visible()
        page.goto(f"{second}/?token=two")
        expect(page.locator("#item")).to_be_visible()
        page.goto(first)
        expect(page.locator("#item")).to_be_visible()
    context.close()


def test_every_answer_keeps_other_sites_out_of_the_page(tmp_path: Path) -> None:
    with desk_with(tmp_path, [caption(1, "Water.")]) as small, serving(small) as address:
        for path in ("/", "/label-studio.json", "/api/queue?reviewer=x", "/api/item", "/nowhere"):
            headers = httpx.get(address + path).headers
            assert headers["X-Content-Type-Options"] == "nosniff", path
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"], path


def test_what_cannot_be_read_is_told_as_a_fault_of_the_sender(address: str) -> None:
    own = {"X-Earthscribe": "review"}
    for content in (b"[" * 100_000, b"\xff", b'[{"data": {}, "annotations": [5]}]', b"3"):
        for path in ("/api/import", "/api/verdict"):
            answer = httpx.post(address + path, content=content, headers=own)
            assert (answer.status_code, answer.headers["Content-Type"][:10]) == (400, "text/plain"), (path, content[:9])
    half = b'{"captioner": "gpt", "tile_id": "10000_0", "version": 1, "reviewer": "\\ud800", "says": "accept"}'
    assert httpx.post(f"{address}/api/verdict", content=half, headers=own).status_code == 400
    assert httpx.get(f"{address}/api/queue").status_code == 400


def test_a_queue_with_its_pictures_is_brought_back_however_large(tmp_path: Path) -> None:
    with desk_with(tmp_path, [caption(1, "Water.")]) as small, serving(small) as address:
        small.judge("gpt", "1_0", version=1, reviewer="ann", says="accept", text=None, reason=None)
        (task,) = httpx.get(f"{address}/label-studio.json").json()
        task["data"]["image"] += "A" * 2**20
        pieces = ((b"[" if number == 0 else b",") + json.dumps(task).encode() for number in range(66))
        content = itertools.chain(pieces, [b"]"])
        answer = httpx.post(f"{address}/api/import", content=content, headers={"X-Earthscribe": "review"}, timeout=60)
        assert answer.json() == {"kept": 0, "known": 66, "refused": []}


def test_words_carry_the_colours_of_the_map_and_faults_their_flags(visit: Visit) -> None:
    page = visit("hana")
    page.get_by_label("Show").select_option("all")
    read(page)
    for _ in range(5):
        page.keyboard.press("j")
    read(page)
    expect(page.locator("#caption mark.class")).to_have_text(["Snow", "water"])
    expect(page.locator("#caption mark.error").first).to_have_text("Snow")
    expect(page.locator("#flags")).to_contain_text("absent-class:snow")
    colour = page.locator("#caption mark.class").last.evaluate("(mark) => mark.style.getPropertyValue('--colour')")
    assert colour == "#0000ff"


def test_another_view_or_reviewer_chosen_while_a_verdict_is_kept_comes_behind_it(visit: Visit) -> None:
    page = visit("lena")
    page.route("**/api/verdict", lambda route: (page.wait_for_timeout(300), route.continue_()))
    page.keyboard.press("a")
    page.get_by_label("Show").select_option("judged by me")
    expect(page.locator("#progress")).to_have_text(f"1 of 1 shown · 1 of {COUNT} judged by you")
    page.get_by_label("Show").select_option("all")
    read(page)
    page.keyboard.press("j")
    page.keyboard.press("a")
    page.get_by_role("textbox", name="Reviewer").fill("mona")
    page.get_by_role("textbox", name="Reviewer").press("Tab")
    expect(page.locator("#progress")).to_contain_text(f"0 of {COUNT} judged by you")
    read(page)
    page.keyboard.press("u")
    expect(page.locator("#notice")).to_contain_text("no verdict of yours")
