"""Which fault a request meets: the faults there are, how they are asked for, and how they are drawn.

A fault is asked for as ``NAME[=SHARE][*TIMES][@FIRST[-[LAST]]]``: ``500=0.1`` one request in ten, ``reset*3`` the first
three, ``insufficient_quota@200-`` from request 200 on, ``cut_off=0.5@1-100`` half of the first hundred, and a bare name
every request. What is drawn follows from the seed, the prompt and how often it has been asked, not from the order in
which requests happen to arrive.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tasks.errors import InputError
from tasks.fake_llm.blemishes import BLEMISHES
from tasks.fake_llm.questions import Question

SET_UP = {
    "invalid_key": "401 `invalid_api_key`; the message repeats the whole key, as careless servers do",
    "forbidden": "403",
    "model_not_found": "404 `model_not_found`",
}
"""Refused before the account is looked at, and charged to none."""

LIMITS = {
    "rate_limit_minute": "429 `rate_limit_exceeded`, type `requests`, naming RPM, whatever is left",
    "rate_limit_day": "429 `rate_limit_exceeded`, type `requests`, naming RPD, whatever is left",
    "rate_limit_tokens": "429 `rate_limit_exceeded`, type `tokens`, naming TPM, whatever is left",
    "slow_down": "429 `slow_down`",
    "insufficient_quota": "429 `insufficient_quota`: the money is spent",
    "credit_balance_exhausted": "429 `credit_balance_exhausted`: the money is spent",
    "spend_limit": "429 `monthly_spend_limit_exceeded`: the month's cap is reached",
}
"""Refused as at a limit, and charged as a refused request is."""

ROWS = {
    "context_length_exceeded": "400 `context_length_exceeded`; drawn once a tile: its requests always meet it",
    "image_refused": "400 `content_policy_violation`; drawn once an image: requests that hold it always meet it",
    "content_filter": "400 `content_filter`; drawn once a tile: its requests always meet it",
}
"""Refused for what the request holds."""

FAILURES = {
    "500": "500 `server_error`",
    "502": "502 with an HTML page, as a proxy's",
    "503": "503 `server_is_overloaded`, with a wait",
    "504": "504 with an HTML page, as a proxy's",
    "408": "408",
    "409": "409",
    "reset": "the connection is reset, nothing is answered",
    "close": "the connection is closed, nothing is answered",
    "stall": "the answer comes only after `--stall` seconds",
    "stall_midway": "half of the answer comes, the rest only after `--stall` seconds",
    "truncated": "half of the answer comes, then the connection is closed",
}
"""Of passing kind; charged like answers, for the work may have been done."""

REPLIES = {
    "malformed": "200 with a body that is no JSON",
    "error_body": "200 with an error in the body",
    "length": "200, `finish_reason` `length`, the text cut in half",
    "filtered": "200, `finish_reason` `content_filter`, no text",
    "refusal": "200 with the model's `refusal` in place of a text",
    "empty": "200 with an empty text",
}
"""Answers without a whole text; charged like answers."""

FAULTS = SET_UP | LIMITS | ROWS | FAILURES | REPLIES | {name: blemish.says for name, blemish in BLEMISHES.items()}
"""All faults and what they do."""

_FORM = re.compile(r"(?P<name>\w+)(=(?P<share>[\d.]+))?(\*(?P<times>\d+))?(@(?P<first>\d+)(?P<open>-(?P<last>\d+)?)?)?")


@dataclass(frozen=True)
class Fault:
    """A fault as it is asked for.

    Attributes:
        name: one of `FAULTS`.
        share: how probable it is.
        times: how often it happens at most; None is no bound.
        first: number of the first request that it can meet, from 1.
        last: number of the last one; None is no end.
    """

    name: str
    share: float = 1.0
    times: int | None = None
    first: int = 1
    last: int | None = None


def parse_faults(text: str) -> tuple[Fault, ...]:
    """The faults of a list such as ``500=0.1,reset*3``.

    Raises:
        InputError: one of them is no fault, or is asked for in another form.
    """
    return tuple(_fault(part.strip()) for part in text.split(",") if part.strip())


def _fault(text: str) -> Fault:
    match = _FORM.fullmatch(text)
    if not match or match["name"] not in FAULTS:
        raise InputError(
            f"fault {text!r}: expected NAME[=SHARE][*TIMES][@FIRST[-[LAST]]] with a name of {', '.join(FAULTS)}"
        )
    try:
        share = float(match["share"] or 1)
    except ValueError:
        share = -1.0
    first = int(match["first"] or 1)
    last = first if match["first"] and not match["open"] else None
    if match["last"]:
        last = int(match["last"])
    if not 0 <= share <= 1 or first < 1 or (last is not None and last < first):
        raise InputError(
            f"fault {text!r}: expected a share from 0 to 1, and requests counted from 1 in ascending order"
        )
    return Fault(match["name"], share, int(match["times"]) if match["times"] else None, first, last)


class Drawing:
    """Draws the faults of requests, one after another."""

    def __init__(self, seed: int, faults: Iterable[Fault]) -> None:
        self._seed = seed
        # An endpoint that fails writes no caption: blemishes come last.
        self._faults = sorted(faults, key=lambda fault: fault.name in BLEMISHES)
        self._happened: Counter[Fault] = Counter()

    def drawn(self, number: int, question: Question, attempt: int) -> Iterator[Fault]:
        """The faults that a request is to meet; it meets the first of them that it has room for.

        Args:
            number: which request it is, from 1.
            question: what it asks.
            attempt: how often that has been asked before.
        """
        for fault in self._faults:
            in_turn = fault.first <= number and (fault.last is None or number <= fault.last)
            exhausted = fault.times is not None and self._happened[fault] >= fault.times
            if in_turn and not exhausted and self._falls(fault, question, attempt):
                yield fault

    def happened(self, fault: Fault) -> None:
        """Counts a fault that a request has met."""
        self._happened[fault] += 1

    def _falls(self, fault: Fault, question: Question, attempt: int) -> bool:
        if fault.share == 1:
            return True
        if fault.name in ROWS:
            return any(self._fraction(fault.name, tile.digest) < fault.share for tile in question.tiles)
        return self._fraction(fault.name, question.digest, str(attempt)) < fault.share

    def _fraction(self, *parts: str) -> float:
        drawn = hashlib.sha256("\0".join([str(self._seed), *parts]).encode()).digest()
        return int.from_bytes(drawn[:8], "big") / 2**64
