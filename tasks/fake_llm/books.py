"""What the endpoint can tell of its own: counters for `GET /audit`, and a log with one line a request.

The books count what arrived, whatever became of the answer: what a client says that it sent is held against them.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tasks.errors import InputError
from tasks.fake_llm.limits import MINUTE

Outcome = Literal["answered", "refused", "failed", "broken"]
"""What became of a request: 200 and the whole body; 429; another error; no whole answer."""


@dataclass(frozen=True)
class Entry:
    """One request, as it stands in the log.

    Attributes:
        number: from 1, in the order of arrival.
        time: of its arrival, seconds since the epoch.
        key: the last four characters of the key.
        model: the model asked for; null where the body was no request.
        status: of the answer, sent or not.
        code: `error.code` of the answer.
        outcome: what became of the request.
        fault: the injected fault.
        places: of the tiles whose captions the fault touched, from 1.
        detail: the class that the fault is about.
        tiles: digests of the tiles, in order.
        prompt_tokens: of the request.
        completion_tokens: of the answer.
        wait: seconds that it told to wait.
    """

    number: int
    time: float
    key: str
    model: str | None
    status: int
    code: str | None
    outcome: Outcome
    fault: str | None = None
    places: tuple[int, ...] = ()
    detail: str | None = None
    tiles: tuple[str, ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0
    wait: float | None = None


class Most:
    """The most that fell into any stretch of time."""

    def __init__(self, length: float) -> None:
        self._length = length
        self._recent: deque[tuple[float, int]] = deque()
        self._sum = 0
        self.most = 0

    def add(self, now: float, amount: int) -> None:
        """Counts an amount."""
        self._recent.append((now, amount))
        self._sum += amount
        while self._recent[0][0] <= now - self._length:
            self._sum -= self._recent.popleft()[1]
        self.most = max(self.most, self._sum)


class Count:
    """Requests of one model or key."""

    def __init__(self, day_seconds: float) -> None:
        self.outcomes: Counter[str] = Counter()
        self.tokens: Counter[str] = Counter()
        self._day = Most(day_seconds)
        self._minute = Most(MINUTE)

    def add(self, entry: Entry) -> None:
        """Counts a request."""
        self.outcomes[entry.outcome] += 1
        self.tokens["prompt"] += entry.prompt_tokens
        self.tokens["completion"] += entry.completion_tokens
        self._day.add(entry.time, 1)
        self._minute.add(entry.time, 1)

    def told(self) -> dict[str, Any]:
        """The counts, for JSON."""
        return {
            "requests": self.outcomes.total(),
            **{outcome: self.outcomes[outcome] for outcome in ("answered", "refused", "failed", "broken")},
            "tokens": {"prompt": self.tokens["prompt"], "completion": self.tokens["completion"]},
            "most_in_a_day": self._day.most,
            "most_in_a_minute": self._minute.most,
        }


@dataclass
class InFlight:
    """Requests that have arrived and are not answered yet."""

    now: int = 0
    most: int = 0

    def __enter__(self) -> None:
        self.now += 1
        self.most = max(self.most, self.now)

    def __exit__(self, *_: object) -> None:
        self.now -= 1


@dataclass
class _Tiles:
    """How often each tile was asked about, and answered in an answer that arrived whole and without a fault."""

    asked: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)


class Books:
    """The counters and the log of one endpoint.

    Args:
        day_seconds: how long a day is.
        log: the file that lines are added to; None keeps none.

    Raises:
        InputError: the log cannot be written.
    """

    def __init__(self, day_seconds: float, log: Path | None = None) -> None:
        self._all = Count(day_seconds)
        self._models: defaultdict[str, Count] = defaultdict(lambda: Count(day_seconds))
        self._keys: defaultdict[str, Count] = defaultdict(lambda: Count(day_seconds))
        self._statuses: Counter[int] = Counter()
        self._faults: Counter[str] = Counter()
        self._tiles = _Tiles()
        self.in_flight = InFlight()
        try:
            # Without a buffer a line is with the system once it is written: whatever kills the process leaves it there.
            self._log = log.open("ab", buffering=0) if log else None
        except OSError as error:
            raise InputError(f"{log}: cannot be written: {error.strerror}") from error

    def enter(self, entry: Entry) -> None:
        """Counts and logs a request."""
        self._all.add(entry)
        self._keys[entry.key].add(entry)
        if entry.model is not None:
            self._models[entry.model].add(entry)
        self._statuses[entry.status] += 1
        if entry.fault:
            self._faults[entry.fault] += 1
        self._tiles.asked.update(entry.tiles)
        if entry.outcome == "answered" and not entry.fault:
            self._tiles.answered.update(entry.tiles)
        if self._log:
            self._log.write(json.dumps(vars(entry)).encode() + b"\n")

    def audit(self) -> dict[str, Any]:
        """All counters, for JSON."""
        answered = self._tiles.answered
        return {
            **self._all.told(),
            "in_flight": self.in_flight.now,
            "most_in_flight": self.in_flight.most,
            "statuses": {str(status): count for status, count in sorted(self._statuses.items())},
            "faults": dict(sorted(self._faults.items())),
            "models": {model: count.told() for model, count in self._models.items()},
            "keys": {key: count.told() for key, count in self._keys.items()},
            "tiles": {
                "asked": len(self._tiles.asked),
                "answered": len(answered),
                "answered_again": answered.total() - len(answered),
            },
        }

    def close(self) -> None:
        """Closes the log."""
        if self._log:
            self._log.close()
