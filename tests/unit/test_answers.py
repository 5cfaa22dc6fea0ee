"""What each answer of an endpoint means."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.endpoints.answers import (
    Answered,
    Fate,
    LimitReached,
    Outcome,
    OutOfCredit,
    RowFailed,
    SetUpWrong,
    SlowDown,
    Transient,
    fate,
    mask_secret,
    read_answer,
)

NOW = 1_700_000_000.0


def read(status: int, body: object, headers: dict[str, str] | None = None, secret: str | None = None) -> Outcome:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_answer(status, headers or {}, raw, now=NOW, secret=secret)


def error(code: object = None, kind: object = None, message: object = "told so") -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def completion(content: object, finish: object = "stop", **message: object) -> dict[str, Any]:
    return {
        "model": "gpt-x",
        "choices": [{"index": 0, "message": {"content": content, **message}, "finish_reason": finish}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 34},
    }


def test_a_text_is_an_answer() -> None:
    assert read(200, completion(" Trees. ")) == Answered("Trees.", "stop", "gpt-x", 12, 34)
    assert read(200, completion("Half", "length")) == Answered("Half", "length", "gpt-x", 12, 34)
    parts = [{"type": "text", "text": "Trees"}, {"type": "text", "text": "."}, {"type": "image"}]
    assert read(200, completion(parts)) == Answered("Trees.", "stop", "gpt-x", 12, 34)


def test_an_answer_holds_no_character_that_a_database_refuses() -> None:
    raw = b'{"choices":[{"message":{"content":"a\\u0000b\\ud800c\\r\\nd"},"finish_reason":"stop"}]}'
    assert read(200, raw) == Answered("abc\nd", "stop", "", 0, 0)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (completion(None, "content_filter"), "content_filter"),
        (completion("", "length"), "cut_off"),
        (completion(None, "stop", refusal="I will not."), "refusal"),
        (completion(None, "refusal"), "refusal"),
        (completion("  \n"), "format"),
        (completion({"not": "a text"}), "format"),
        ({"choices": []}, "transport"),
        ({"id": 1}, "transport"),
        ([], "transport"),
        (b"<html>welcome</html>", "transport"),
        (b'{"choices": [{"mess', "transport"),
        (b"\xff\xfe\x00", "transport"),
        (b"", "transport"),
        (b"[" * 100_000, "transport"),
        (b'{"choices": ' + b"9" * 10_000 + b"}", "transport"),
        (error(None), "transport"),
    ],
)
def test_a_success_without_a_text_fails_its_row_and_may_be_asked_again(body: object, code: str) -> None:
    outcome = read(200, body)
    assert isinstance(outcome, RowFailed)
    assert (outcome.code, outcome.again) == (code, True)


def test_what_was_spent_on_an_empty_answer_is_known() -> None:
    outcome = read(200, completion("", "length"))
    assert isinstance(outcome, RowFailed)
    assert (outcome.prompt_tokens, outcome.completion_tokens) == (12, 34)


@pytest.mark.parametrize(
    "usage", [None, "many", {"prompt_tokens": -5}, {"prompt_tokens": 1e30}, {"prompt_tokens": True}]
)
def test_unusable_token_counts_are_nought(usage: object) -> None:
    outcome = read(200, completion("Trees.") | {"usage": usage})
    assert outcome == Answered("Trees.", "stop", "gpt-x", 0, 0)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, error("insufficient_quota", "insufficient_quota"), OutOfCredit),
        (429, error(None, "insufficient_quota"), OutOfCredit),
        (429, error("credit_balance_exhausted"), OutOfCredit),
        (429, error("project_spend_limit_exceeded"), OutOfCredit),
        (429, error("billing_not_active"), OutOfCredit),
        (402, error("whatever"), OutOfCredit),
        (429, error("slow_down"), SlowDown),
        (503, error("slow_down"), SlowDown),
        (429, error("rate_limit_exceeded", "requests"), LimitReached),
        (429, b"Too many requests", LimitReached),
        (500, error("server_error"), Transient),
        (502, b"<html>Bad gateway</html>", Transient),
        (503, error("server_is_overloaded"), Transient),
        (504, b"", Transient),
        (529, b"", Transient),
        (408, error(None), Transient),
        (409, error(None), Transient),
        (401, error("invalid_api_key"), SetUpWrong),
        (401, b"", SetUpWrong),
        (403, error("unsupported_country_region_territory"), SetUpWrong),
        (404, error("model_not_found"), SetUpWrong),
        (404, {"detail": "Not Found"}, SetUpWrong),
        (405, b"", SetUpWrong),
        (301, b"", SetUpWrong),
        (400, error("unsupported_parameter"), SetUpWrong),
        # Gateways that tell the status inside a success, and errors in a list.
        (200, {"error": {"code": 429, "message": "busy"}}, LimitReached),
        (200, {"error": {"code": "502", "message": "busy"}}, Transient),
        (429, [error("slow_down")], SlowDown),
    ],
)
def test_errors_are_told_apart_by_status_and_code(status: int, body: object, kind: type) -> None:
    assert isinstance(read(status, body), kind)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, error("context_length_exceeded"), ("context_length", False)),
        (413, b"", ("context_length", False)),
        (400, error("content_filter"), ("content_filter", False)),
        (400, error("content_policy_violation", "image_generation_user_error"), ("content_filter", False)),
        (400, {"object": "error", "code": 400, "type": "BadRequestError", "message": "too long"}, ("transport", True)),
        (422, {"detail": [{"loc": ["body"]}]}, ("transport", True)),
    ],
)
def test_rejected_rows(status: int, body: object, expected: tuple[str, bool]) -> None:
    outcome = read(status, body)
    assert isinstance(outcome, RowFailed)
    assert (outcome.code, outcome.again) == expected


def test_a_message_is_never_searched() -> None:
    lie = "insufficient_quota context_length_exceeded invalid_api_key model_not_found slow_down content_filter"
    assert isinstance(read(429, error("rate_limit_exceeded", "requests", lie)), LimitReached)
    assert isinstance(read(500, error(None, None, lie)), Transient)
    assert isinstance(read(400, error("context_length_exceeded", None, lie)), RowFailed)


def limits(limit: int, left: int, reset: str, kind: str = "requests") -> dict[str, str]:
    values = {"limit": limit, "remaining": left, "reset": reset}
    return {f"x-ratelimit-{name}-{kind}": str(value) for name, value in values.items()}


@pytest.mark.parametrize(
    ("kind", "headers", "expected"),
    [
        ("requests", {}, LimitReached("unknown", "requests", None)),
        ("requests", {"retry-after": "20"}, LimitReached("unknown", "requests", 20.0)),
        (None, {"retry-after": "20"}, LimitReached("unknown", "unknown", 20.0)),
        # A day's limit that refills: back after a slot, not after a day. A minute is waited out.
        ("requests", limits(10000, 0, "24h0m0s"), LimitReached("day", "requests", 8.64)),
        ("requests", limits(500, 0, "1m0s"), LimitReached("minute", "requests", 60.0)),
        ("requests", limits(500, 0, "1m0s") | {"retry-after": "3"}, LimitReached("minute", "requests", 3.0)),
        (None, limits(500, 0, "1m0s"), LimitReached("minute", "requests", 60.0)),
        # Unknown windows are waited for as told.
        ("requests", limits(500, 0, "6h0m0s"), LimitReached("unknown", "requests", 21600.0)),
        ("tokens", limits(500, 0, "6h0m0s"), LimitReached("unknown", "tokens", None)),
        ("tokens", limits(200000, 10, "59s", "tokens"), LimitReached("unknown", "tokens", 59.0)),
        ("requests", limits(-1, -1, "-1"), LimitReached("unknown", "requests", None)),
    ],
)
def test_how_long_to_wait_at_a_limit(kind: str | None, headers: dict[str, str], expected: LimitReached) -> None:
    assert read(429, error("rate_limit_exceeded", kind), headers) == expected


def test_other_waits_are_told_too() -> None:
    assert read(503, error(None), {"retry-after": "9"}) == Transient("status 503: told so", 9.0)
    assert read(429, error("slow_down"), {"retry-after-ms": "250"}) == SlowDown(0.25)


def test_a_key_that_the_endpoint_repeats_is_masked() -> None:
    key = "sk-abcdefghijklmnop"
    outcome = read(401, error("invalid_api_key", message=f"Wrong key {key}, {key[:12]}***"), secret=key)
    assert isinstance(outcome, SetUpWrong)
    assert outcome.message == "status 401, invalid_api_key: Wrong key ********, ***********"
    answered = read(200, completion(f"My key is {key}."), secret=key)
    assert isinstance(answered, Answered)
    assert key not in answered.text


@given(st.text(), st.text(min_size=8), st.text())
def test_no_eight_characters_of_a_secret_are_left(before: str, secret: str, after: str) -> None:
    shown = mask_secret(before + secret + after, secret)
    rest = shown.split("*" * 8)
    assert all(secret[at : at + 8] not in part for part in rest for at in range(len(secret) - 7) if "\0" not in secret)


def test_a_message_is_one_line_of_bounded_length() -> None:
    outcome = read(500, error(None, None, "a\nb\x1b[31m" + "c" * 5000))
    assert isinstance(outcome, Transient)
    assert outcome.reason.startswith("status 500: a b[31mccc")
    assert len(outcome.reason) <= 300


def test_fates_follow_from_the_status() -> None:
    fates = {status: fate(status) for status in (200, 402, 429, 400, 401, 500, 301)}
    assert fates == {
        200: Fate.ANSWERED,
        402: Fate.REFUSED,
        429: Fate.REFUSED,
        400: Fate.FAILED,
        401: Fate.FAILED,
        500: Fate.FAILED,
        301: Fate.FAILED,
    }


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "error",
                    "code",
                    "type",
                    "message",
                    "choices",
                    "content",
                    "finish_reason",
                    "usage",
                    "detail",
                    "refusal",
                ]
            )
            | st.text(max_size=3),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
some_headers = st.dictionaries(
    st.sampled_from(
        ["retry-after", "retry-after-ms", "date"]
        + [f"x-ratelimit-{name}-{kind}" for name in ("limit", "remaining", "reset") for kind in ("requests", "tokens")]
    ),
    st.text(max_size=12) | st.integers().map(str) | st.sampled_from(["8.64s", "0", "-1", "1m0s", "inf"]),
)


@given(st.integers(100, 599), some_headers, st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_nothing_that_an_endpoint_sends_is_no_outcome(status: int, headers: dict[str, str], body: bytes) -> None:
    outcome = read_answer(status, headers, body, now=NOW, secret="sk-secret-key")
    assert isinstance(outcome, Answered | LimitReached | SlowDown | OutOfCredit | SetUpWrong | Transient | RowFailed)
    wait = getattr(outcome, "wait", None)
    assert wait is None or 0 <= wait < float("inf")
    if isinstance(outcome, Answered):
        outcome.text.encode()
        assert outcome.text.strip()
