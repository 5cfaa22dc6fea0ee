"""What goes back over the wire: bodies of answers and errors, and the headers that tell of limits."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tasks.fake_llm.limits import Account, Limit, Refusal, Unit
from tasks.fake_llm.questions import Question, tokens_of

HEADER_FORMS = ("auto", "day", "minute", "none", "minus-one", "zero", "full")
"""What the `x-ratelimit-*` headers tell: the limits of the day where there are such, else of the minute (`auto`); of
one of them; nothing; -1; 0; or always that everything is left."""

HeaderForm = Literal["auto", "day", "minute", "none", "minus-one", "zero", "full"]

Delivery = Literal["whole", "reset", "close", "stall", "stall_midway", "truncated"]


@dataclass(frozen=True)
class Reply:
    """What a request is answered with.

    Attributes:
        status: of HTTP.
        body: the whole of it, whatever part of it is delivered.
        headers: beyond the length and the type of the body.
        content_type: the type of the body.
        delivery: how it goes over the wire.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    delivery: Delivery = "whole"


@dataclass(frozen=True)
class Kind:
    """An error's status, its type and code, and its words."""

    status: int
    type: str | None
    code: str | None
    message: str


ERRORS = {
    "invalid_key": Kind(401, "invalid_request_error", "invalid_api_key", "This API key is not known here: {key}"),
    "forbidden": Kind(403, "invalid_request_error", None, "This project must not use the model {model}."),
    "model_not_found": Kind(404, "invalid_request_error", "model_not_found", "There is no model {model} for this key."),
    "rate_limit_minute": Kind(
        429,
        "requests",
        "rate_limit_exceeded",
        "{model} is at its limit of requests per min (RPM): Limit 60, Used 60, Requested 1. Try again in {wait}.",
    ),
    "rate_limit_day": Kind(
        429,
        "requests",
        "rate_limit_exceeded",
        "{model} is at its limit of requests per day (RPD): Limit 200, Used 200, Requested 1. Try again in {wait}.",
    ),
    "rate_limit_tokens": Kind(
        429,
        "tokens",
        "rate_limit_exceeded",
        "{model} is at its limit of tokens per min (TPM): Limit 40000, Used 39900, Requested 300. Try again in {wait}.",
    ),
    "slow_down": Kind(429, "requests", "slow_down", "Traffic to {model} grew too fast. Lower your rate."),
    "insufficient_quota": Kind(429, "insufficient_quota", "insufficient_quota", "No quota is left: see your plan."),
    "credit_balance_exhausted": Kind(
        429, "insufficient_quota", "credit_balance_exhausted", "The prepaid credit is spent: add to it."
    ),
    "spend_limit": Kind(
        429, "insufficient_quota", "monthly_spend_limit_exceeded", "The month's spending has reached its cap."
    ),
    "context_length_exceeded": Kind(
        400, "invalid_request_error", "context_length_exceeded", "The messages are too long for {model}."
    ),
    "image_refused": Kind(
        400, "invalid_request_error", "content_policy_violation", "The safety system refuses an image of this request."
    ),
    "content_filter": Kind(400, "invalid_request_error", "content_filter", "The prompt was held back by the filter."),
    "500": Kind(500, "server_error", None, "Something went wrong on the server."),
    "503": Kind(503, "server_error", "server_is_overloaded", "The server has too much to do. Try again later."),
    "408": Kind(408, "timeout", None, "The request took too long."),
    "409": Kind(409, "invalid_request_error", None, "The request met another one."),
    "error_body": Kind(200, "server_error", None, "Something went wrong on the server."),
}
"""The errors of faults by their names."""

TELLING_A_WAIT = {"rate_limit_minute", "rate_limit_day", "rate_limit_tokens", "slow_down", "503"}

_PERIODS = {"minute": "min", "day": "day"}


def go_duration(seconds: float) -> str:
    """A duration as Go prints it, in whole milliseconds rounded up: ``12ms``, ``8.64s``, ``1m26.4s``, ``1h0m0s``."""
    milliseconds = max(0, math.ceil(seconds * 1000 - 1e-6))
    if 0 < milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    last = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{last}"
    return f"{minutes}m{last}" if minutes else last


def completion(question: Question, number: int, now: float, message: Mapping[str, Any], finish: str) -> dict[str, Any]:
    """The body of an answer.

    Args:
        question: what was asked.
        number: of the request.
        now: seconds since the epoch.
        message: `content` and perhaps `refusal`.
        finish: why the text ends: ``stop``, ``length``, ``content_filter``.
    """
    written = tokens_of(message.get("content") or message.get("refusal") or "")
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": int(now),
        "model": question.model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "refusal": None, **message},
                "logprobs": None,
                "finish_reason": finish,
            }
        ],
        "usage": {
            "prompt_tokens": question.prompt_tokens,
            "completion_tokens": written,
            "total_tokens": question.prompt_tokens + written,
        },
    }


def error(kind: Kind, **words: str) -> Reply:
    """An error, its message filled with words."""
    said = {"message": kind.message.format_map(words), "type": kind.type, "param": None, "code": kind.code}
    return Reply(kind.status, json.dumps({"error": said}).encode())


def page(status: int) -> Reply:
    """An error of a proxy before the endpoint: a page for people."""
    text = f"<html><head><title>{status}</title></head><body><h1>{status}</h1><hr>gateway</body></html>"
    return Reply(status, text.encode(), content_type="text/html")


def limit_reached(refusal: Refusal, model: str) -> Reply:
    """The refusal at a limit, in the words that tell which."""
    limit = refusal.limit
    message = (
        f"{model} is at its limit of {limit.unit} per {_PERIODS[limit.per]} ({limit.name}): Limit {limit.most}, "
        f"Used {refusal.used}, Requested {refusal.requested}. Try again in {go_duration(refusal.wait)}."
    )
    # The message is data here, model names included: nothing in it is filled in.
    return error(Kind(429, limit.unit, "rate_limit_exceeded", "{message}"), message=message)


def wait_headers(seconds: float) -> dict[str, str]:
    """How long to wait: in whole seconds and in milliseconds, both rounded up."""
    milliseconds = math.ceil(seconds * 1000 - 1e-6)
    return {"retry-after": str(-(-milliseconds // 1000)), "retry-after-ms": str(milliseconds)}


def limit_headers(form: HeaderForm, account: Account, now: float) -> dict[str, str]:
    """The `x-ratelimit-*` headers of an account: one pair for requests, one for tokens, where there are such limits."""
    return dict(_limit_headers(form, account, now))


def _limit_headers(form: HeaderForm, account: Account, now: float) -> Iterator[tuple[str, str]]:
    if form == "none":
        return
    units: tuple[Unit, ...] = ("requests", "tokens")
    for unit in units:
        limits = [limit for limit in account.limits if limit.unit == unit]
        limit = _told(form, limits)
        if limit is None:
            continue
        if form in ("minus-one", "zero"):
            most, left, reset = ("-1", "-1", "0s") if form == "minus-one" else ("0", "0", "0s")
        elif form == "full":
            most, left, reset = str(limit.most), str(limit.most), "0s"
        else:
            most, left, reset = str(limit.most), str(limit.left(now)), go_duration(limit.reset(now))
        yield f"x-ratelimit-limit-{unit}", most
        yield f"x-ratelimit-remaining-{unit}", left
        yield f"x-ratelimit-reset-{unit}", reset


def _told(form: HeaderForm, limits: list[Limit]) -> Limit | None:
    """The limit that the headers tell of: one only, as endpoints do."""
    if form in ("day", "minute"):
        limits = [limit for limit in limits if limit.per == form]
    # Requests are told by the day and tokens by the minute, where there are both.
    preferred = sorted(limits, key=lambda limit: (limit.per == "day") != (limit.unit == "requests"))
    return next(iter(preferred), None)
