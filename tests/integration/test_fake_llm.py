"""The endpoint for rehearsals, over HTTP: quotas, headers, answers, faults, and the books that it keeps."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fake_llm_server import FakeLlm, serve_fake_llm
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import InputError
from tasks.fake_llm.answers import HeaderForm, go_duration
from tasks.fake_llm.blemishes import BLEMISHES
from tasks.fake_llm.books import Books
from tasks.fake_llm.endpoint import Endpoint, Settings
from tasks.fake_llm.faults import FAULTS, Fault, parse_faults
from tasks.fake_llm.limits import Account, Quota, calendar_edges
from tasks.statistics.patches import patch_counts
from tasks.wording.prompts import TileView, load_recipe, request_body

WATER, DEVELOPED, TREE, GRASS, CROP, BARE = 1, 2, 3, 5, 6, 7
KEY = "sk-planted-key-4711"

WORDS = {
    WATER: "water",
    DEVELOPED: "developed area",
    TREE: "tree",
    GRASS: "grass",
    CROP: "crop",
    BARE: "bare land",
}


def made_tile(quarters: Sequence[int], stripe: int, number: int = 0) -> TileView:
    """A tile of four quarters (from the top left), with a stripe of another class along the top, and its own mark."""
    ids = np.empty((256, 256), np.uint8)
    ids[:128, :128], ids[:128, 128:], ids[128:, :128], ids[128:, 128:] = quarters
    ids[:8] = stripe
    ids[number % 100 + 10, 10 : 12 + number // 100] = stripe
    cells = ids.reshape(4, 64, 4, 64).swapaxes(1, 2).reshape(4, 4, -1)
    counts = np.stack([[np.bincount(cell, minlength=12) for cell in row] for row in cells])
    return TileView(f"{number}_0", patch_counts(counts), ids)


TILES = [
    made_tile((TREE, TREE, TREE, GRASS), WATER),
    made_tile((CROP, CROP, CROP, BARE), DEVELOPED),
    made_tile((WATER, WATER, WATER, TREE), GRASS),
    made_tile((BARE, BARE, BARE, GRASS), CROP),
]


def text_body(tile: TileView = TILES[0], model: str = "m", max_tokens: int = 300) -> dict[str, Any]:
    return request_body(load_recipe("text"), [tile], model=model, max_tokens=max_tokens, parameters={})


def vision_body(tiles: Sequence[TileView] = TILES, model: str = "m") -> dict[str, Any]:
    return request_body(load_recipe("vision"), tiles, model=model, max_tokens=300, parameters={})


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(headers={"Authorization": f"Bearer {KEY}"}, timeout=10) as client:
        yield client


def ask(client: httpx.Client, server: FakeLlm, body: dict[str, Any] | None = None, **options: Any) -> httpx.Response:
    return client.post(f"{server.url}/chat/completions", json=body or text_body(), **options)


@dataclass
class Local:
    """The endpoint without its wire, and with a clock that is set by hand: what it decides, at exact times."""

    settings: Settings
    now: float = 1_000_000.0

    def __post_init__(self) -> None:
        self.books = Books(self.settings.quota.day_seconds)
        self.endpoint = Endpoint(self.settings, self.books, lambda: self.now)

    def ask(self, body: dict[str, Any] | None = None, key: str = KEY) -> httpx.Response:
        reply = self.endpoint.chat(key, json.dumps(body or text_body()).encode())
        return httpx.Response(reply.status, headers=dict(reply.headers), content=reply.body)


def said(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.json()["choices"][0]["message"]["content"])


# Answers


def test_a_text_caption_names_the_classes_of_its_tile_and_no_other(tmp_path: Path, client: httpx.Client) -> None:
    with serve_fake_llm(tmp_path, "--seed", "7") as server:
        answer = ask(client, server)
    caption = said(answer).lower()
    assert [word for word in WORDS.values() if word in caption] == ["water", "tree", "grass"]
    assert "tree" in caption.split(".")[0]
    assert "grass" in next(sentence for sentence in caption.split(".") if "bottom right" in sentence)
    assert 20 <= len(caption.split()) <= 300
    choice, usage = answer.json()["choices"][0], answer.json()["usage"]
    assert (choice["finish_reason"], choice["message"]["role"], answer.json()["model"]) == ("stop", "assistant", "m")
    assert 200 < usage["prompt_tokens"] < 1000
    assert 50 < usage["completion_tokens"] <= 300
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_a_vision_reply_has_a_paragraph_for_each_image_which_is_the_same_in_any_company(
    tmp_path: Path, client: httpx.Client
) -> None:
    with serve_fake_llm(tmp_path) as server:
        together = said(ask(client, server, vision_body())).split("\n\n")
        alone = [said(ask(client, server, vision_body([tile]))) for tile in TILES]
        digests = [entry["tiles"] for entry in server.entries()]
    assert together == alone
    assert len(set(together)) == 4
    for paragraph, classes in zip(together, ((WATER, TREE, GRASS), (DEVELOPED, CROP, BARE)), strict=False):
        assert [key for key, word in WORDS.items() if word in paragraph.lower()] == list(classes)
    assert digests[0] == [one for entry in digests[1:] for one in entry]


def test_answers_follow_from_seed_and_prompt() -> None:
    def answers(seed: int) -> list[str]:
        local = Local(Settings(seed=seed))
        return [said(local.ask(body)) for body in (vision_body(), text_body(), text_body())]

    first = answers(1)
    assert first[1] == first[2]
    assert answers(1) == first
    assert answers(2) != first


def test_an_answer_ends_where_its_room_does() -> None:
    answer = Local(Settings()).ask(text_body(max_tokens=20))
    assert answer.json()["choices"][0]["finish_reason"] == "length"
    assert answer.json()["usage"]["completion_tokens"] == 20


def test_a_prompt_of_another_kind_is_answered_with_the_classes_that_it_names() -> None:
    local = Local(Settings())
    messages = [{"role": "user", "content": "Describe a place with much snow and a little moss."}]
    caption = said(local.ask({"model": "m", "messages": messages}))
    assert "snow" in caption
    assert "moss" in caption
    assert said(local.ask({"model": "m", "messages": [{"role": "user", "content": "Hello"}]}))


# Limits


def test_a_daily_quota_over_http_refuses_and_tells_when_it_no_longer_will(tmp_path: Path, client: httpx.Client) -> None:
    with serve_fake_llm(tmp_path, "--requests-per-day", "3", "--window", "bucket", day_seconds=6) as server:
        answers = [ask(client, server) for _ in range(4)]
        time.sleep(int(answers[3].headers["retry-after-ms"]) / 1000)
        after = ask(client, server)
        audit = server.audit()
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert after.status_code == 200
    assert (audit["requests"], audit["answered"], audit["refused"]) == (5, 4, 1)


@pytest.mark.parametrize(
    ("window", "wait"),
    [("sliding", "1m30s"), ("bucket", "23.334s"), ("utc", "1m20s"), ("Asia/Tokyo", "1m20s")],
)
def test_a_refusal_names_its_limit_and_the_wait(window: str, wait: str) -> None:
    local = Local(Settings(Quota(requests_per_day=3, window=window, day_seconds=100)), now=1_000_010.0)
    answers = [local.ask()]
    local.now += 10
    answers += [local.ask() for _ in range(3)]
    refused = answers[3]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["x-ratelimit-limit-requests"] for answer in answers] == ["3"] * 4
    assert [int(answer.headers["x-ratelimit-remaining-requests"]) for answer in answers] == [2, 1, 0, 0]
    assert refused.json()["error"] == {
        "message": f"m is at its limit of requests per day (RPD): Limit 3, Used 3, Requested 1. Try again in {wait}.",
        "type": "requests",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    milliseconds = int(refused.headers["retry-after-ms"])
    assert int(refused.headers["retry-after"]) == -(-milliseconds // 1000)
    local.now += milliseconds / 1000 - 0.002
    assert local.ask().status_code == 429
    local.now += 0.002
    assert local.ask().status_code == 200


def test_headers_of_a_bucket_tell_a_day_from_a_minute() -> None:
    quota = Quota(requests_per_day=10_000, window="bucket", requests_per_minute=500, tokens_per_minute=40_000)
    told = Local(Settings(quota)).ask().headers
    assert told["x-ratelimit-limit-requests"] == "10000"
    assert told["x-ratelimit-remaining-requests"] == "9999"
    assert told["x-ratelimit-reset-requests"] == "8.64s"
    assert told["x-ratelimit-limit-tokens"] == "40000"
    assert 39_000 < int(told["x-ratelimit-remaining-tokens"]) <= 39_700
    assert told["x-ratelimit-reset-tokens"] == "1m0s"


def test_limits_of_the_minute_refuse_by_name() -> None:
    by_requests = Local(Settings(Quota(requests_per_minute=1, requests_per_day=100)))
    requests = [by_requests.ask() for _ in range(2)][1]
    assert "(RPM): Limit 1, Used 1, Requested 1. Try again in 1m0s." in requests.json()["error"]["message"]
    assert requests.headers["retry-after"] == "60"
    assert requests.headers["x-ratelimit-remaining-requests"] == "99"
    by_tokens = Local(Settings(Quota(tokens_per_minute=1000)))
    tokens = [by_tokens.ask() for _ in range(4)][-1]
    assert tokens.json()["error"]["type"] == "tokens"
    assert "(TPM): Limit 1000, Used " in tokens.json()["error"]["message"]


@pytest.mark.parametrize(("one_account", "expected"), [(False, [200, 200, 429, 200]), (True, [200, 200, 429, 429])])
def test_a_quota_belongs_to_the_model_and_never_to_the_key(one_account: bool, expected: list[int]) -> None:
    local = Local(Settings(Quota(requests_per_day=2), one_account))
    asked = [("a", KEY), ("a", "sk-another-key-12"), ("a", KEY), ("b", KEY)]
    assert [local.ask(text_body(model=model), key).status_code for model, key in asked] == expected


@pytest.mark.parametrize(("count", "used"), [(False, 1), (True, 2)])
def test_refused_requests_may_count_against_the_day(count: bool, used: int) -> None:
    local = Local(Settings(Quota(requests_per_day=1, refused_count=count)))
    message = [local.ask() for _ in range(3)][2].json()["error"]["message"]
    assert f"Used {used}," in message


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("none", [None, None, None]),
        ("minus-one", ["-1", "-1", "0s"]),
        ("zero", ["0", "0", "0s"]),
        ("full", ["50", "50", "0s"]),
        ("minute", ["20", "19", "1m0s"]),
        ("day", ["50", "49", "24h0m0s"]),
    ],
)
def test_headers_can_tell_less_or_lie(form: HeaderForm, expected: list[str | None]) -> None:
    quota = Quota(requests_per_day=50, requests_per_minute=20)
    local = Local(Settings(quota, faults=parse_faults("slow_down@2"), headers=form, retry_after=False))
    answer, refused = local.ask(), local.ask()
    names = [f"x-ratelimit-{part}-requests" for part in ("limit", "remaining", "reset")]
    assert [answer.headers.get(name) for name in names] == expected
    assert refused.json()["error"]["code"] == "slow_down"
    assert "retry-after" not in refused.headers


def test_somebody_else_can_spend_from_the_account(tmp_path: Path, client: httpx.Client) -> None:
    with serve_fake_llm(tmp_path, "--requests-per-day", "10") as server:
        client.post(f"{server.root}/spend", json={"model": "m", "requests": 8})
        statuses = [ask(client, server).status_code for _ in range(3)]
        assert client.post(f"{server.root}/spend", content=b"[]").status_code == 400
        assert server.audit()["requests"] == 3
    assert statuses == [200, 200, 429]


times = st.lists(st.floats(0, 20), min_size=1, max_size=60).map(sorted)


@given(times, st.integers(1, 5), st.sampled_from(["sliding", "bucket", "utc"]))
def test_windows_against_counting_by_hand(times: list[float], limit: int, window: str) -> None:
    day = 3.0
    account = Account(Quota(requests_per_day=limit, window=window, day_seconds=day))
    taken: list[float] = []
    for now in times:
        refusal = account.spend(now, 0)
        if refusal is None:
            taken.append(now)
        else:
            again = Account(Quota(requests_per_day=limit, window=window, day_seconds=day))
            for moment in taken:
                again.spend(moment, 0)
            if refusal.wait > 1e-3:
                assert again.limits[0].left(now + refusal.wait - 1e-3) == 0
            assert again.limits[0].left(now + refusal.wait + 1e-6) >= 1
    for index, start in enumerate(taken):
        if window == "sliding":
            assert sum(start <= time < start + day for time in taken) <= limit
        elif window == "utc":
            assert sum(time // day == start // day for time in taken) <= limit
        else:
            allowed = (limit + limit * (end - start) / day + 1e-6 for end in taken[index:])
            assert all(number <= most for number, most in enumerate(allowed, start=1))


def test_a_civil_day_is_as_long_as_its_zone_makes_it() -> None:
    edges = calendar_edges("Europe/Berlin", 86_400)
    spring = datetime(2024, 3, 31, 12, tzinfo=UTC).timestamp()
    autumn = datetime(2024, 10, 27, 12, tzinfo=UTC).timestamp()
    assert [round((end - start) / 3600) for start, end in (edges(spring), edges(autumn))] == [23, 25]
    assert calendar_edges("utc", 86_400)(spring) == (spring - 43_200, spring + 43_200)
    assert calendar_edges("Europe/Berlin", 10)(25) == (20, 30)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0s"),
        (0.0115, "12ms"),
        (1, "1s"),
        (8.64, "8.64s"),
        (86.4, "1m26.4s"),
        (432, "7m12s"),
        (692.334, "11m32.334s"),
        (86_400, "24h0m0s"),
    ],
)
def test_durations_are_written_as_go_writes_them(seconds: float, told: str) -> None:
    assert go_duration(seconds) == told


# Faults

ERRORS = [
    ("invalid_key", 401, "invalid_api_key"),
    ("forbidden", 403, None),
    ("model_not_found", 404, "model_not_found"),
    ("rate_limit_minute", 429, "rate_limit_exceeded"),
    ("rate_limit_day", 429, "rate_limit_exceeded"),
    ("rate_limit_tokens", 429, "rate_limit_exceeded"),
    ("slow_down", 429, "slow_down"),
    ("insufficient_quota", 429, "insufficient_quota"),
    ("credit_balance_exhausted", 429, "credit_balance_exhausted"),
    ("spend_limit", 429, "monthly_spend_limit_exceeded"),
    ("context_length_exceeded", 400, "context_length_exceeded"),
    ("image_refused", 400, "content_policy_violation"),
    ("content_filter", 400, "content_filter"),
    ("500", 500, None),
    ("503", 503, "server_is_overloaded"),
    ("408", 408, None),
    ("409", 409, None),
    ("error_body", 200, None),
]


def in_turn(names: Sequence[str]) -> str:
    return ",".join(f"{name}@{number}" for number, name in enumerate(names, start=1))


def test_every_error_has_its_status_and_code(tmp_path: Path, client: httpx.Client) -> None:
    names = [name for name, _, _ in ERRORS]
    with serve_fake_llm(tmp_path, "--faults", in_turn(names), "--wait", "2.5") as server:
        answers = [ask(client, server, vision_body()) for _ in names]
        assert ask(client, server, vision_body()).status_code == 200
        entries = server.entries()
    found = [(name, a.status_code, a.json()["error"]["code"]) for name, a in zip(names, answers, strict=True)]
    assert found == ERRORS
    assert [entry["fault"] for entry in entries] == [*names, None]
    assert [entry["status"] for entry in entries[:-1]] == [status for _, status, _ in ERRORS]
    by_name = dict(zip(names, answers, strict=True))
    assert by_name["rate_limit_day"].headers["retry-after"] == "3"
    assert by_name["503"].headers["retry-after-ms"] == "2500"
    assert "retry-after" not in by_name["insufficient_quota"].headers
    for name, abbreviation in (("rate_limit_minute", "RPM"), ("rate_limit_day", "RPD"), ("rate_limit_tokens", "TPM")):
        assert f"({abbreviation}): Limit " in by_name[name].json()["error"]["message"]
    assert KEY in by_name["invalid_key"].json()["error"]["message"], "a client must mask what a server repeats"


def test_answers_without_a_caption(tmp_path: Path, client: httpx.Client) -> None:
    names = ["502", "504", "malformed", "length", "filtered", "refusal", "empty"]
    with serve_fake_llm(tmp_path, "--faults", in_turn(names)) as server:
        pages = [ask(client, server) for _ in range(2)]
        malformed, *answers = [ask(client, server) for _ in names[2:]]
        whole = said(ask(client, server))
    assert [(page.status_code, page.headers["content-type"].split(";")[0]) for page in pages] == [
        (502, "text/html"),
        (504, "text/html"),
    ]
    assert malformed.status_code == 200
    with pytest.raises(ValueError, match="Expecting"):
        malformed.json()
    length, filtered, refusal, empty = (answer.json()["choices"][0] for answer in answers)
    assert length["finish_reason"] == "length"
    assert whole.startswith(length["message"]["content"])
    assert (filtered["finish_reason"], filtered["message"]["content"]) == ("content_filter", None)
    assert refusal["message"]["refusal"]
    assert (empty["finish_reason"], empty["message"]["content"]) == ("stop", "")


def test_connections_break_and_stall_and_the_next_request_is_answered(tmp_path: Path, client: httpx.Client) -> None:
    errors = {
        "reset": httpx.ReadError,
        "close": httpx.RemoteProtocolError,
        "truncated": httpx.RemoteProtocolError,
        "stall": httpx.ReadTimeout,
        "stall_midway": httpx.ReadTimeout,
    }
    faults = ",".join(f"{fault}@{number}" for number, fault in zip(range(1, 11, 2), errors, strict=True))
    with serve_fake_llm(tmp_path, "--faults", faults, "--requests-per-day", "12") as server:
        for error in errors.values():
            with pytest.raises(error):
                ask(client, server, timeout=0.4)
            after = ask(client, server)
            assert after.status_code == 200
        audit = server.audit()
    assert after.headers["x-ratelimit-remaining-requests"] == "2", "what broke was charged"
    assert (audit["requests"], audit["broken"], audit["answered"], audit["in_flight"]) == (10, 5, 5, 0)


def test_a_stalled_answer_comes_late(tmp_path: Path, client: httpx.Client) -> None:
    with serve_fake_llm(tmp_path, "--faults", "stall@1,stall_midway@2", "--stall", "0.3") as server:
        for _ in range(2):
            start = time.monotonic()
            assert said(ask(client, server))
            assert time.monotonic() - start >= 0.3


def test_latency_is_waited_by_many_at_once(tmp_path: Path, client: httpx.Client) -> None:
    with serve_fake_llm(tmp_path, "--latency", "300") as server, ThreadPoolExecutor(8) as threads:
        start = time.monotonic()
        list(threads.map(lambda _: said(ask(client, server)), range(8)))
        took = time.monotonic() - start
        assert server.audit()["most_in_flight"] >= 4
    assert 0.3 <= took < 1.5


def test_every_blemish_is_made_and_recorded(tmp_path: Path, client: httpx.Client) -> None:
    names = list(BLEMISHES)
    with serve_fake_llm(tmp_path, "--faults", in_turn(names)) as server:
        replies = {name: said(ask(client, server, vision_body())) for name in names}
        good = said(ask(client, server, vision_body())).split("\n\n")
        entries = {entry["fault"]: entry for entry in server.entries()}
    assert set(entries) == {*names, None}
    for name, reply in replies.items():
        paragraphs, places = reply.split("\n\n"), entries[name]["places"]
        assert reply != "\n\n".join(good), name
        if name not in ("numbering", "headings", "fenced"):
            assert set(good) - set(paragraphs) == {good[place - 1] for place in places if name != "swapped"}, name
    assert len(replies["missing"].split("\n\n")) == len(replies["merged"].split("\n\n")) == 3
    assert len(replies["split"].split("\n\n")) == len(replies["preamble"].split("\n\n")) == 5
    one, other = entries["swapped"]["places"]
    swapped = replies["swapped"].split("\n\n")
    assert (swapped[one - 1], swapped[other - 1]) == (good[other - 1], good[one - 1])
    duplicated = replies["duplicated"].split("\n\n")
    assert len(duplicated) == 4
    assert len(set(duplicated)) == 3
    for name in ("absent_class", "region_empty", "wrong_dominant", "size_word"):
        caption = replies[name].split("\n\n")[entries[name]["places"][0] - 1].lower()
        token = entries[name]["detail"]
        assert token.removesuffix("s").replace("_", " ").split()[0] in caption, (name, token, caption)
    for name in ("dominant_missing", "class_missing"):
        caption = replies[name].split("\n\n")[entries[name]["places"][0] - 1].lower()
        assert entries[name]["detail"].replace("_", " ") not in caption
    assert not replies["cut_off"].endswith(".")


def test_blemishes_of_several_captions_leave_a_single_one_alone() -> None:
    local = Local(Settings(faults=parse_faults("missing,duplicated,swapped,merged,region_empty,percentage*1")))
    assert said(local.ask()) != said(local.ask())
    assert local.books.audit()["faults"] == {"percentage": 1}


def test_shares_are_drawn_from_prompt_and_attempt_whatever_the_order() -> None:
    bodies = [text_body(made_tile((TREE, GRASS, CROP, BARE), WATER, number)) for number in range(300)]

    def faulty(order: Sequence[int]) -> set[int]:
        local = Local(Settings(faults=parse_faults("500=0.2"), seed=3))
        return {number for number in order if local.ask(bodies[number]).status_code == 500}

    found = faulty(range(300))
    assert 35 <= len(found) <= 85
    assert faulty(range(299, -1, -1)) == found


def test_what_is_asked_again_is_drawn_again() -> None:
    local = Local(Settings(faults=parse_faults("500=0.5")))
    assert {local.ask().status_code for _ in range(20)} == {200, 500}


def test_a_refused_image_is_refused_in_any_company() -> None:
    local = Local(Settings(faults=parse_faults("image_refused=0.5"), seed=1))
    alone = [local.ask(vision_body([tile])).status_code for tile in TILES]
    assert [local.ask(vision_body([tile])).status_code for tile in TILES] == alone
    assert set(alone) == {200, 400}
    assert local.ask(vision_body()).status_code == 400
    rest = [tile for tile, status in zip(TILES, alone, strict=True) if status == 200]
    assert said(local.ask(vision_body(rest))).count("\n\n") == len(rest) - 1
    assert local.ask().status_code == 200, "no image, nothing to refuse"


def test_faults_are_read_as_they_are_written() -> None:
    assert parse_faults("500=0.1, reset*3,stall@7,cut_off=0.5*2@5-9,insufficient_quota@200-,invalid_key") == (
        Fault("500", 0.1),
        Fault("reset", times=3),
        Fault("stall", first=7, last=7),
        Fault("cut_off", 0.5, 2, 5, 9),
        Fault("insufficient_quota", first=200),
        Fault("invalid_key"),
    )
    for wrong in ("501", "reset=2", "reset=1.2.3", "stall@0", "stall@9-8", "reset x", "reset=", "=0.1"):
        with pytest.raises(InputError, match="fault"):
            parse_faults(wrong)


def test_every_fault_is_in_the_reference() -> None:
    reference = (Path(__file__).parents[2] / "docs/reference/fake-llm.md").read_text("utf-8")
    for name, says in FAULTS.items():
        assert f"| `{name}` | {says} |" in reference


# What is no request, and the books


def test_keys_models_and_bodies_are_looked_at(tmp_path: Path, client: httpx.Client) -> None:
    with serve_fake_llm(tmp_path, "--key", KEY, "--model", "m", "--requests-per-day", "2") as server:
        wrong = {"Authorization": "Bearer sk-of-somebody-else"}
        assert ask(client, server, headers=wrong).json()["error"]["code"] == "invalid_api_key"
        assert client.get(f"{server.url}/models", headers=wrong).status_code == 401
        assert [model["id"] for model in client.get(f"{server.url}/models").json()["data"]] == ["m"]
        assert ask(client, server, text_body(model="n")).json()["error"]["code"] == "model_not_found"
        bodies = [b"", b"[]", b"{", b'{"model": "m"}', b'{"model": "m", "messages": [1]}', b"\xff"]
        bodies += [b'{"model": "m", "messages": [{"role": "user", "content": [7]}]}']
        statuses = {client.post(f"{server.url}/chat/completions", content=body).status_code for body in bodies}
        assert statuses == {400}
        assert [ask(client, server).status_code for _ in range(3)] == [200, 200, 429], "none of these was charged"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
parts = st.fixed_dictionaries(
    {}, optional={"type": st.just("image_url"), "image_url": json_values, "text": json_values}
)
messages = st.fixed_dictionaries(
    {}, optional={"role": json_values, "content": json_values | st.lists(parts | json_values)}
)
requests = st.fixed_dictionaries({"model": json_values}, optional={"messages": json_values | st.lists(messages)})


@given(st.binary() | (json_values | requests).map(lambda value: json.dumps(value).encode()))
def test_no_body_breaks_it(body: bytes) -> None:
    reply = Local(Settings()).endpoint.chat(KEY, body)
    assert reply.status in (200, 400)
    assert isinstance(json.loads(reply.body), dict)


def test_the_books_agree_with_what_was_asked_and_hold_no_key(tmp_path: Path, client: httpx.Client) -> None:
    with serve_fake_llm(tmp_path, "--requests-per-minute", "5", "--faults", "500@2") as server:
        answers = [ask(client, server, vision_body() if number % 2 else text_body()) for number in range(6)]
        other = {"Authorization": "Bearer sk-another-key-0815"}
        answers.append(ask(client, server, headers=other))
        audit, entries = server.audit(), server.entries()
    assert [entry["number"] for entry in entries] == list(range(1, 8))
    assert [entry["status"] for entry in entries] == [answer.status_code for answer in answers]
    outcomes = ["answered", "failed", "answered", "answered", "answered", "refused", "refused"]
    assert [entry["outcome"] for entry in entries] == outcomes
    assert {name: audit[name] for name in ("requests", "answered", "refused", "failed", "broken")} == {
        "requests": 7,
        "answered": 4,
        "refused": 2,
        "failed": 1,
        "broken": 0,
    }
    assert audit["statuses"] == {"200": 4, "429": 2, "500": 1}
    assert audit["faults"] == {"500": 1}
    assert (audit["most_in_a_minute"], audit["most_in_a_day"]) == (7, 7)
    assert {key: count["requests"] for key, count in audit["keys"].items()} == {"4711": 6, "0815": 1}
    assert audit["models"]["m"]["requests"] == 7
    usage = [answer.json()["usage"] for answer in answers if answer.status_code == 200]
    assert audit["tokens"]["prompt"] == sum(one["prompt_tokens"] for one in usage)
    assert audit["tokens"]["completion"] == sum(one["completion_tokens"] for one in usage)
    assert audit["tiles"] == {"asked": 5, "answered": 5, "answered_again": 2}
    assert abs(entries[0]["time"] - time.time()) < 60
    assert KEY not in server.log.read_text("utf-8")


def test_a_killed_endpoint_leaves_whole_lines_for_all_it_answered(tmp_path: Path, client: httpx.Client) -> None:
    with serve_fake_llm(tmp_path) as server:
        for _ in range(20):
            ask(client, server)
        server.process.kill()
        server.process.wait()
        assert len(server.entries()) == 20


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_on_a_signal_without_waiting_for_stalls(
    tmp_path: Path, client: httpx.Client, number: signal.Signals
) -> None:
    with serve_fake_llm(tmp_path, "--faults", "stall") as server:
        with pytest.raises(httpx.ReadTimeout):
            ask(client, server, timeout=0.2)
        server.process.send_signal(number)
        assert server.process.wait(5) == 128 + number


def test_wrong_options_are_told(tmp_path: Path) -> None:
    with serve_fake_llm(tmp_path) as server:
        port = server.url.split(":")[2].split("/")[0]
        wrong = {("--port", port): port, ("--faults", "nonsense"): "'nonsense'", ("--window", "Mars/Sea"): "Mars/Sea"}
        for options, expected in wrong.items():
            command = [sys.executable, "-m", "tasks.fake_llm", *options]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 2
            assert "Traceback" not in done.stderr
            assert expected in done.stderr
            assert not done.stdout
