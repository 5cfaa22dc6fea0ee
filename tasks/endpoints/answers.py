"""What an endpoint's answer means: one of a closed set of outcomes, by its status and `error.code`. Pure.

A message is never searched for words: endpoints write what they like in it. Codes are those of OpenAI and of the
servers that speak its protocol; a code that is not known here is judged by its status alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, TypeAlias

from tasks.configuration.masking import MASK, mask_text
from tasks.endpoints.headers import DAY, Kind, Remaining, remaining, told_reset, told_wait

Code = Literal["content_filter", "context_length", "cut_off", "refusal", "format", "transport"]
"""Why a row has no caption."""


class Fate(StrEnum):
    """What became of a request, for the ledger."""

    ANSWERED = "answered"
    REFUSED = "refused"
    """Turned away at a limit, or for want of credit."""
    FAILED = "failed"
    """Answered with any other error."""
    UNKNOWN = "unknown"
    """Sent, at least in part, and no answer came: it may have been counted, and billed."""
    UNSENT = "unsent"
    """No connection was made, so that the endpoint cannot know of it."""


@dataclass(frozen=True)
class Answered:
    """A text.

    Attributes:
        text: as the model wrote it, without characters that no database takes.
        finish: the model's reason to stop: `stop`, `length`, `content_filter`; empty where none was given.
        model: the name that the endpoint gives its model; empty where it gives none.
        prompt_tokens: tokens asked, 0 where the endpoint does not say.
        completion_tokens: tokens answered, likewise.
    """

    text: str
    finish: str
    model: str
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class LimitReached:
    """A limit is reached: wait as told.

    Attributes:
        window: whose limit it is, where the headers leave no doubt.
        unit: what is limited.
        wait: seconds until it is worth asking again; None where that was not told.
    """

    window: Literal["day", "minute", "unknown"]
    unit: Kind | Literal["unknown"]
    wait: float | None


@dataclass(frozen=True)
class SlowDown:
    """Traffic grew too fast: lower the rate."""

    wait: float | None


@dataclass(frozen=True)
class OutOfCredit:
    """No money is left, or a monthly cap is reached: only a person can help."""

    message: str


@dataclass(frozen=True)
class SetUpWrong:
    """The key, the address, the model or a parameter is wrong: every further request would fail alike."""

    message: str


@dataclass(frozen=True)
class Transient:
    """A fault of the endpoint or of the way to it, which may be over by now.

    Attributes:
        reason: for people.
        wait: seconds that the endpoint asked for; None where it did not.
    """

    reason: str
    wait: float | None = None


@dataclass(frozen=True)
class RowFailed:
    """No caption for what was asked, while other rows may well get theirs.

    Attributes:
        code: why.
        again: whether the same request may fare better another time.
        reason: for people.
        prompt_tokens: as in `Answered`.
        completion_tokens: as in `Answered`.
    """

    code: Code
    again: bool
    reason: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0


Outcome: TypeAlias = Answered | LimitReached | SlowDown | OutOfCredit | SetUpWrong | Transient | RowFailed

_CREDIT = {
    "insufficient_quota",
    "credit_balance_exhausted",
    "billing_hard_limit_reached",
    "billing_not_active",
    "insufficient_balance",
    "payment_required",
}
_SET_UP = {
    "invalid_api_key",
    "invalid_organization",
    "account_deactivated",
    "model_not_found",
    "unsupported_parameter",
    "unsupported_value",
    "unknown_parameter",
    "missing_required_parameter",
    "unsupported_country_region_territory",
}
_CONTENT = {
    "content_filter",
    "content_policy_violation",
    "image_content_policy_violation",
    "moderation_blocked",
    "responsibleaipolicyviolation",
    "invalid_prompt",
}
_LENGTH = {"context_length_exceeded", "string_above_max_length", "request_too_large", "context_window_exceeded"}
_SPEED = {"slow_down", "slow_down_error"}

_TRANSIENT_STATUSES = {408, 409, 425}
_MESSAGE_LENGTH = 300
_NAME_LENGTH = 200
_MOST_TOKENS = 2**31 - 1
_SECRET_GRAM = 8
_UNWANTED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def fate(status: int) -> Fate:
    """What became of a request that was answered with this status."""
    if 200 <= status < 300:
        return Fate.ANSWERED
    return Fate.REFUSED if status in {402, 429} else Fate.FAILED


def read_answer(
    status: int, headers: Mapping[str, str], body: bytes, *, now: float, day: float = DAY, secret: str | None = None
) -> Outcome:
    """What an answer means. Takes any bytes.

    Args:
        status: of HTTP.
        headers: names in lower case, or a mapping to which case is nothing.
        body: all of it, decompressed.
        now: seconds since the epoch, for a `retry-after` that is a date.
        day: seconds of a day.
        secret: the key, which some servers repeat in their messages; it stands in no outcome.
    """
    content = _parsed(body)
    error = _error(content)
    if 200 <= status < 300:
        if error is None or "choices" in _mapping(content):
            return _read_completion(content, secret)
        # Some gateways answer 200 and tell the true status inside.
        inner = _whole(error.get("code"))
        if not 400 <= inner < 600:
            return RowFailed("transport", True, _message(status, error, secret))
        status = inner
    return _read_error(status, headers, error or {}, now=now, day=day, secret=secret)


def clean(text: str) -> str:
    """A text without control characters and halves of characters, which databases and files refuse; lines end alike."""
    return _UNWANTED.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def mask_secret(text: str, secret: str | None) -> str:
    """A text without the secret, or any eight characters of it that follow each other."""
    if not secret:
        return text
    size = min(_SECRET_GRAM, len(secret))
    grams = {secret[at : at + size] for at in range(len(secret) - size + 1)}
    hidden = [False] * len(text)
    for at in range(len(text) - size + 1):
        if text[at : at + size] in grams:
            hidden[at : at + size] = [True] * size
    shown = "".join("\0" if hide else letter for letter, hide in zip(text, hidden, strict=True))
    return re.sub("\0+", MASK, shown)


def _read_error(
    status: int, headers: Mapping[str, str], error: Mapping[str, Any], *, now: float, day: float, secret: str | None
) -> Outcome:
    codes = _codes(error)
    message = _message(status, error, secret)
    wait = told_wait(headers, now)
    if status == 402 or codes & _CREDIT or any(code.endswith("_spend_limit_exceeded") for code in codes):
        return OutOfCredit(message)
    if status in {429, 503} and codes & _SPEED:
        return SlowDown(wait)
    if status == 429:
        return _limit(headers, error, wait, day)
    if status >= 500 or status in _TRANSIENT_STATUSES:
        return Transient(message, wait)
    return _read_rejection(status, codes, message)


def _read_rejection(status: int, codes: set[str], message: str) -> RowFailed | SetUpWrong:
    """What is wrong with a request that the endpoint understood, and will reject again."""
    if codes & _CONTENT:
        return RowFailed("content_filter", False, message)
    if codes & _LENGTH or status == 413:
        return RowFailed("context_length", False, message)
    if status in {401, 403, 404, 405} or status < 400 or codes & _SET_UP:
        return SetUpWrong(message)
    # Rejected for no reason that is known here. Where nothing else comes back, the pool takes it for the set-up.
    return RowFailed("transport", True, message)


def _limit(headers: Mapping[str, str], error: Mapping[str, Any], wait: float | None, day: float) -> LimitReached:
    known: dict[Kind, Remaining] = {one.kind: one for one in remaining(headers, day=day)}
    kind = _limited(headers, error)
    of = known.get(kind) if kind else None
    if of is None or of.remaining > 0:
        if wait is None:
            kinds: tuple[Kind, ...] = (kind,) if kind else ("requests", "tokens")
            wait = max((reset for one in kinds if (reset := told_reset(headers, one)) is not None), default=None)
        return LimitReached("unknown", kind or "unknown", wait)
    if wait is None:
        # It refills evenly, as `remaining` has found: a minute is waited out, of a day only until the next slot.
        wait = of.reset if of.unit == "minute" else day / of.limit
    return LimitReached(of.unit, of.kind, wait)


def _limited(headers: Mapping[str, str], error: Mapping[str, Any]) -> Kind | None:
    """Which limit a refusal is about: the error's type says so, else the one of which nothing is left."""
    kinds: tuple[Kind, ...] = ("requests", "tokens")
    named = [kind for kind in kinds if kind in _codes(error)]
    spent = [kind for kind in kinds if headers.get(f"x-ratelimit-remaining-{kind}", "").strip() == "0"]
    return named[0] if named else spent[0] if len(spent) == 1 else None


def _read_completion(content: object, secret: str | None) -> Outcome:
    answer = _mapping(content)
    choices = answer.get("choices")
    choice = _mapping(choices[0]) if isinstance(choices, list) and choices else None
    usage = _mapping(answer.get("usage"))
    tokens = (_whole(usage.get("prompt_tokens")), _whole(usage.get("completion_tokens")))
    if choice is None:
        return RowFailed("transport", True, "the answer is no chat completion", *tokens)
    message = _mapping(choice.get("message"))
    finish = _name(choice.get("finish_reason"))
    text = clean(_text(message.get("content")) or _text(choice.get("text"))).strip()
    refusal = bool(_text(message.get("refusal")).strip()) or finish == "refusal"
    if text and not refusal:
        text = text.replace(secret, MASK) if secret else text
        return Answered(text, finish, _name(answer.get("model")), *tokens)
    if refusal:
        return RowFailed("refusal", True, "the model refused", *tokens)
    if finish == "content_filter":
        return RowFailed("content_filter", True, "the answer was withheld by a content filter", *tokens)
    if finish == "length":
        return RowFailed("cut_off", True, "the room for the answer ended before it began", *tokens)
    return RowFailed("format", True, "the answer is empty", *tokens)


def _text(content: object) -> str:
    """A message's content: a text, or a list of parts, some of which are texts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = (_mapping(part).get("text") for part in content)
    return "".join(part for part in parts if isinstance(part, str))


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _error(content: object) -> Mapping[str, Any] | None:
    """The part of a body that tells of an error: under `error`, or the body itself; Gemini's come in a list."""
    if isinstance(content, list) and content:
        content = content[0]
    body = _mapping(content)
    error = body.get("error")
    if isinstance(error, Mapping):
        return error
    if isinstance(error, str):
        return {"message": error}
    if body.get("object") == "error":
        return body
    return {"message": body["detail"]} if isinstance(body.get("detail"), str) else None


def _codes(error: Mapping[str, Any]) -> set[str]:
    """`code` and `type`, in lower case."""
    return {value.lower() for key in ("code", "type") if isinstance(value := error.get(key), str)}


def _message(status: int, error: Mapping[str, Any], secret: str | None) -> str:
    """One line for people: the status, the code and the endpoint's own words, without secrets."""
    code = error.get("code") or error.get("type")
    words = " ".join(clean(_text(error.get("message"))).split())
    told = f"status {status}"
    if isinstance(code, str):
        told += f", {code}"
    line = clean(f"{told}: {words}" if words else told)
    return mask_text(mask_secret(line[: 10 * _MESSAGE_LENGTH], secret))[:_MESSAGE_LENGTH]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _name(value: object) -> str:
    return clean(value)[:_NAME_LENGTH] if isinstance(value, str) else ""


def _whole(value: object) -> int:
    """A number of tokens, or a status; 0 for anything that is none."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,10}", value, re.ASCII):
        value = int(value)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= _MOST_TOKENS:
        return 0
    return int(value)
