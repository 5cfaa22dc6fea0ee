"""One request from its arrival to its reply: key, model, limits, faults, captions. HTTP is `server`'s alone."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, get_args

from tasks.fake_llm import answers
from tasks.fake_llm.answers import ERRORS, TELLING_A_WAIT, Delivery, HeaderForm, Reply
from tasks.fake_llm.blemishes import BLEMISHES, Blemished, Draft
from tasks.fake_llm.books import Books, Entry, Outcome
from tasks.fake_llm.faults import LIMITS, SET_UP, Drawing, Fault
from tasks.fake_llm.limits import Account, Quota
from tasks.fake_llm.questions import LETTERS_OF_A_TOKEN, NotAQuestion, Question, read_question, tokens_of
from tasks.fake_llm.writing import describe
from tasks.wording.prose import Draws

_BARE = {
    "502": answers.page(502),
    "504": answers.page(504),
    "malformed": Reply(200, b'{"id": "chatcmpl-", "choices": [{"message": {"content": '),
}
"""Replies that say nothing that could be read."""

_WITHOUT_TEXT: dict[str, tuple[dict[str, Any], str]] = {
    "filtered": ({"content": None}, "content_filter"),
    "refusal": ({"content": None, "refusal": "I will not do that."}, "stop"),
    "empty": ({"content": ""}, "stop"),
}
"""Message and finish reason of answers that hold no text."""


@dataclass(frozen=True)
class Settings:
    """How the endpoint behaves.

    Attributes:
        quota: what each model may spend, whatever the key.
        one_account: whether all models spend from one account.
        faults: what goes wrong.
        seed: draws faults and words.
        keys: the keys that are taken; none: any, and none at all.
        models: the models that there are; none: any.
        headers: what the headers tell of limits.
        retry_after: whether refusals tell in headers how long to wait.
        wait: seconds that injected refusals tell to wait.
    """

    quota: Quota = field(default_factory=Quota)
    one_account: bool = False
    faults: tuple[Fault, ...] = ()
    seed: int = 0
    keys: frozenset[str] = frozenset()
    models: tuple[str, ...] = ()
    headers: HeaderForm = "auto"
    retry_after: bool = True
    wait: float = 1.0


@dataclass(frozen=True)
class _Said:
    """A reply and what the log is to tell of it."""

    reply: Reply
    fault: str | None = None
    blemished: Blemished | None = None
    completion_tokens: int = 0
    wait: float | None = None


class Endpoint:
    """A chat endpoint without its wire.

    Args:
        settings: how it behaves.
        books: where it counts.
        clock: seconds since the epoch; must not run backwards.
    """

    def __init__(self, settings: Settings, books: Books, clock: Callable[[], float]) -> None:
        self.books = books
        self._settings = settings
        self._clock = clock
        self._drawing = Drawing(settings.seed, settings.faults)
        self._accounts: defaultdict[str, Account] = defaultdict(lambda: Account(settings.quota))
        self._asked: Counter[str] = Counter()
        self._number = 0

    def chat(self, key: str, body: bytes) -> Reply:
        """The reply to `POST /v1/chat/completions`; it is in the books when this returns."""
        now = self._clock()
        self._number += 1
        question: Question | None = None
        if not self.knows(key):
            said = self._error("invalid_key", key, "")
        else:
            try:
                question = read_question(body)
                said = self._answer(question, key, now)
            except NotAQuestion as error:
                kind = answers.Kind(400, "invalid_request_error", None, "{message}")
                said = _Said(answers.error(kind, message=str(error)))
        self._enter(said, question, key, now)
        return replace(said.reply, headers={"x-request-id": f"req-{self._number}", **said.reply.headers})

    def knows(self, key: str) -> bool:
        """Whether a key is taken."""
        return not self._settings.keys or key in self._settings.keys

    def models(self, key: str) -> Reply:
        """The reply to `GET /v1/models`."""
        if not self.knows(key):
            return self._error("invalid_key", key, "").reply
        models = [{"id": model, "object": "model", "owned_by": "fake-llm"} for model in self._settings.models]
        return Reply(200, json.dumps({"object": "list", "data": models}).encode())

    def spend_elsewhere(self, model: str, requests: int, tokens: int) -> None:
        """Takes from an account what somebody else spends; it stands in no book."""
        self._account(model).spend_elsewhere(self._clock(), requests, tokens)

    def _account(self, model: str) -> Account:
        return self._accounts["" if self._settings.one_account else model]

    def _answer(self, question: Question, key: str, now: float) -> _Said:
        model = question.model
        if self._settings.models and model not in self._settings.models:
            return self._error("model_not_found", key, model)
        attempt = self._asked[question.digest]
        drawn = list(self._drawing.drawn(self._number, question, attempt))
        fault = next((fault for fault in drawn if _has_room(fault, question)), None)
        account = self._account(model)
        if fault and fault.name in SET_UP:
            said = self._error(fault.name, key, model, fault.name)
        elif fault and fault.name in LIMITS:
            account.refuse(now)
            said = self._error(fault.name, key, model, fault.name)
        else:
            refusal = account.spend(now, question.charge)
            if refusal:
                refused = answers.limit_reached(refusal, model)
                return self._with_headers(_Said(refused, wait=refusal.wait), account, now)
            said = self._fail(fault, question, key, now) if fault else self._caption(drawn, question, attempt, now)
        if fault:
            self._drawing.happened(fault)
        self._asked[question.digest] += 1
        return said if fault and fault.name in SET_UP else self._with_headers(said, account, now)

    def _with_headers(self, said: _Said, account: Account, now: float) -> _Said:
        headers = answers.limit_headers(self._settings.headers, account, now)
        if said.wait is not None and self._settings.retry_after:
            headers |= answers.wait_headers(said.wait)
        return replace(said, reply=replace(said.reply, headers=headers))

    def _error(self, name: str, key: str, model: str, fault: str | None = None) -> _Said:
        wait = self._settings.wait if name in TELLING_A_WAIT else None
        reply = answers.error(ERRORS[name], key=key, model=model, wait=answers.go_duration(self._settings.wait))
        return _Said(reply, fault, wait=wait)

    def _fail(self, fault: Fault, question: Question, key: str, now: float) -> _Said:
        """What comes of a fault that leaves no whole caption."""
        name = fault.name
        if name in ERRORS:
            return self._error(name, key, question.model, name)
        if name in _BARE:
            return _Said(_BARE[name], name)
        if name in _WITHOUT_TEXT:
            return self._complete(question, now, *_WITHOUT_TEXT[name], name)
        text = "\n\n".join(self._draft(question).paragraphs)
        if name == "length":
            return self._complete(question, now, {"content": text[: len(text) // 2]}, "length", name)
        said = self._complete(question, now, {"content": text}, "stop", name)
        return replace(said, reply=replace(said.reply, delivery=_delivery(name)))

    def _caption(self, drawn: list[Fault], question: Question, attempt: int, now: float) -> _Said:
        """Captions, with the first of the drawn blemishes that the request has room for."""
        draft = self._draft(question)
        for fault in drawn:
            if fault.name in BLEMISHES:
                draws = Draws(f"{self._settings.seed} {fault.name} {question.digest} {attempt}".encode())
                blemished = BLEMISHES[fault.name].make(draft, draws)
                if blemished:
                    self._drawing.happened(fault)
                    said = self._write(question, now, blemished.text, fault.name)
                    return replace(said, blemished=blemished)
        return self._write(question, now, "\n\n".join(draft.paragraphs), None)

    def _draft(self, question: Question) -> Draft:
        """Good captions: those of a tile are the same alone and among others, and at every attempt."""
        seed = self._settings.seed
        return Draft(
            question.tiles, tuple(describe(tile, Draws(f"{seed} {tile.digest}".encode())) for tile in question.tiles)
        )

    def _write(self, question: Question, now: float, text: str, fault: str | None) -> _Said:
        """An answer of as much text as there is room for."""
        if question.room is not None and tokens_of(text) > question.room:
            text = text[: question.room * LETTERS_OF_A_TOKEN]
            return self._complete(question, now, {"content": text}, "length", fault)
        return self._complete(question, now, {"content": text}, "stop", fault)

    def _complete(
        self, question: Question, now: float, message: dict[str, Any], finish: str, fault: str | None
    ) -> _Said:
        body = answers.completion(question, self._number, now, message, finish)
        reply = Reply(200, json.dumps(body).encode())
        return _Said(reply, fault, completion_tokens=body["usage"]["completion_tokens"])

    def _enter(self, said: _Said, question: Question | None, key: str, now: float) -> None:
        status = said.reply.status
        blemished = said.blemished
        self.books.enter(
            Entry(
                number=self._number,
                time=round(now, 6),
                key=key[-4:] if len(key) > 8 else "",
                model=question.model if question else None,
                status=status,
                code=_code(said.reply),
                outcome=_outcome(said.reply),
                fault=said.fault,
                places=blemished.places if blemished else (),
                detail=blemished.detail if blemished else None,
                tiles=tuple(tile.digest for tile in question.tiles) if question else (),
                prompt_tokens=question.prompt_tokens if question and status == 200 else 0,
                completion_tokens=said.completion_tokens,
                wait=said.wait,
            )
        )


def _has_room(fault: Fault, question: Question) -> bool:
    return fault.name not in BLEMISHES and (fault.name != "image_refused" or question.images > 0)


def _delivery(name: str) -> Delivery:
    return next(delivery for delivery in get_args(Delivery) if delivery == name)


def _outcome(reply: Reply) -> Outcome:
    if reply.delivery != "whole":
        return "broken"
    if reply.status == 200:
        return "answered"
    return "refused" if reply.status == 429 else "failed"


def _code(reply: Reply) -> str | None:
    if reply.status == 200 or reply.content_type != "application/json":
        return None
    code: str | None = json.loads(reply.body)["error"]["code"]
    return code
