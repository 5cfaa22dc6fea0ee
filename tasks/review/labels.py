"""Verdicts as files: JSON lines, and the tasks of Label Studio (https://labelstud.io)."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TextIO, TypeVar

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from tasks.errors import InputError
from tasks.review.verdicts import Judgement

LABELING = """<View>
  <Image name="map" value="$image"/>
  <Text name="caption" value="$text"/>
  <Choices name="verdict" toName="caption" required="true">
    <Choice value="accept"/><Choice value="edit"/><Choice value="reject"/>
  </Choices>
  <TextArea name="edited" toName="caption" maxSubmissions="1"/>
  <TextArea name="reason" toName="caption" maxSubmissions="1"/>
  <TextArea name="reviewer" toName="caption" maxSubmissions="1"/>
</View>
"""
"""The labelling interface to set up in Label Studio, so that what comes back can be read."""

_PIECE: Final = 2**20
"""Characters read at a time."""

_LONGEST_TASK: Final = 2**26
"""Characters of a task, with its picture, that are read at most."""

_SPACE: Final = re.compile(r"[ \t\n\r]*")


def _in_utc(time: str) -> str:
    """A time of any zone (none is UTC) as it is kept here."""
    given = datetime.fromisoformat(time)
    try:
        return (given if given.tzinfo else given.replace(tzinfo=UTC)).astimezone(UTC).isoformat(timespec="seconds")
    except OverflowError:
        raise ValueError("expected a time of this age") from None


@dataclass(frozen=True)
class Verdict:
    """One reviewer's verdict on one text.

    Attributes:
        captioner, tile_id, version: the text that is judged.
        reviewer: who judged it.
        verdict: what was said.
        text: what an edit left; None for the others.
        reason: why; None where none was given.
        reviewed_at: when, ISO 8601 in UTC; None where it is not known.
    """

    captioner: str
    tile_id: str
    version: int
    reviewer: Annotated[str, Field(min_length=1)]
    verdict: Judgement
    text: str | None = None
    reason: str | None = None
    reviewed_at: Annotated[str, AfterValidator(_in_utc)] | None = None


@dataclass(frozen=True)
class _Result:
    """What was entered in one field of the labelling interface."""

    from_name: str = ""
    value: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Annotation:
    """What one person entered for a task."""

    result: list[_Result]
    completed_by: Any = None
    created_at: str | None = None
    updated_at: str | None = None


@dataclass(frozen=True)
class _Task:
    """A task as Label Studio exports it."""

    data: dict[str, Any]
    annotations: list[_Annotation] | None = None


_Shape = TypeVar("_Shape")
_VERDICT: Final = TypeAdapter(Verdict)
_VERDICTS: Final = TypeAdapter(list[Verdict])
_TASK: Final = TypeAdapter(_Task)


@dataclass(frozen=True)
class Question:
    """A text to be judged elsewhere.

    Attributes:
        captioner, tile_id, version: which it is.
        text: the caption.
        flags: what the checks raised.
        land_cover: its map as a PNG.
        verdicts: those that it has.
    """

    captioner: str
    tile_id: str
    version: int
    text: str
    flags: tuple[str, ...]
    land_cover: bytes
    verdicts: tuple[Verdict, ...] = ()


def to_jsonl(verdicts: Iterable[Verdict]) -> Iterator[str]:
    """One JSON object a line."""
    return (json.dumps(vars(verdict), ensure_ascii=False) + "\n" for verdict in verdicts)


def to_label_studio(questions: Iterable[Question]) -> Iterator[str]:
    """A JSON array of tasks, in pieces: what Label Studio imports, with the verdicts as annotations."""
    opening = "["
    for question in questions:
        yield opening + json.dumps(_task(question), ensure_ascii=False)
        opening = ",\n"
    yield "[]" if opening == "[" else "]\n"


def read_verdicts(content: TextIO) -> list[Verdict]:
    """The verdicts of a file of either form.

    Args:
        content: the file, which can be sought in.

    Raises:
        InputError: the file is of neither, naming the line or the task.
    """
    try:
        return list(_verdicts(content))
    except UnicodeDecodeError:
        raise InputError("the file is not text in UTF-8; expected JSON") from None
    except RecursionError:
        raise InputError("the file is nested too deeply to hold verdicts") from None


def _verdicts(content: TextIO) -> Iterator[Verdict]:
    while (first := content.read(1)).isspace():
        pass
    if first == "[":
        # Not as lines: Label Studio writes an array as one.
        for number, task in enumerate(_elements(content), 1):
            yield from _of_task(_read(_TASK, task, f"task {number}"), f"task {number}")
        return
    if not first:
        raise InputError("the file holds no verdict; expected JSON lines, or the tasks of Label Studio as JSON")
    content.seek(0)
    for number, line in enumerate(content, 1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise InputError(f"line {number} is no JSON: {error}") from None
            yield _read(_VERDICT, row, f"line {number}")


def _task(question: Question) -> dict[str, Any]:
    return {
        "data": {
            "captioner": question.captioner,
            "tile_id": question.tile_id,
            "version": question.version,
            "text": question.text,
            "flags": ", ".join(question.flags),
            "verdicts": [vars(verdict) for verdict in question.verdicts],
            "image": "data:image/png;base64," + base64.b64encode(question.land_cover).decode("ascii"),
        },
        "annotations": [_annotation(verdict) for verdict in question.verdicts],
    }


def _annotation(verdict: Verdict) -> dict[str, Any]:
    """A verdict as it is entered in Label Studio: its accounts are others, so the reviewer's name is an entry too."""
    result = [_result("verdict", "choices", "choices", verdict.verdict)]
    entries = {"edited": verdict.text, "reason": verdict.reason, "reviewer": verdict.reviewer}
    result += [_result(name, "textarea", "text", text) for name, text in entries.items() if text is not None]
    return {"created_at": verdict.reviewed_at, "result": result}


def _result(name: str, kind: str, key: str, value: str) -> dict[str, Any]:
    return {"from_name": name, "to_name": "caption", "type": kind, "value": {key: [value]}}


def _elements(content: TextIO) -> Iterator[Any]:
    """The elements of a JSON array whose bracket has been read, one by one: with all its pictures a queue is large."""
    decode = json.JSONDecoder().raw_decode
    held, number = content.read(_PIECE), 1
    at = _behind_space(held, 0)
    mark = held[at : at + 1]
    while mark != "]":
        try:
            element, end = decode(held, _behind_space(held, at))
            end = _behind_space(held, end)
            mark = held[end]
        except (ValueError, IndexError) as error:
            # Where an element ends too early it goes on in the next piece; twice as much is read each time.
            held, at = held[at:], 0
            more = content.read(_PIECE + len(held)) if len(held) <= _LONGEST_TASK else ""
            if not more:
                raise InputError(f"task {number} is no JSON: {error}") from None
            held += more
            continue
        if mark not in ",]":
            raise InputError(f"task {number} is no JSON: expected a comma behind it, not {mark}")
        yield element
        at, number = end + 1, number + 1


def _behind_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _of_task(task: _Task, where: str) -> Iterator[Verdict]:
    known = _read(_VERDICTS, task.data.get("verdicts", []), where)
    for annotation in task.annotations or []:
        entered = {result.from_name: _entered(result.value) for result in annotation.result}
        if "verdict" not in entered:
            continue
        row = {name: task.data.get(name) for name in ("captioner", "tile_id", "version")}
        row |= {"reviewer": entered.get("reviewer") or _account(annotation.completed_by)}
        row |= {"verdict": entered["verdict"], "text": entered.get("edited"), "reason": entered.get("reason")}
        given = _read(_VERDICT, row | {"reviewed_at": annotation.updated_at or annotation.created_at}, where)
        # Label Studio dates what it takes in anew: a verdict that comes back as it went was given when it was given.
        yield next((verdict for verdict in known if replace(given, reviewed_at=verdict.reviewed_at) == verdict), given)


def _entered(value: Mapping[str, Any]) -> object:
    found = value.get("choices", value.get("text"))
    return next(iter(found), None) if isinstance(found, list) else found


def _account(completed_by: object) -> str:
    """Label Studio names a person by number, or by an object with an address."""
    if isinstance(completed_by, dict):
        completed_by = completed_by.get("email") or completed_by.get("id")
    return "" if completed_by is None else str(completed_by)


def _read(shape: TypeAdapter[_Shape], found: object, where: str) -> _Shape:
    try:
        return shape.validate_python(found)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        wrong = "expected an object" if first["type"] == "dataclass_type" else first["msg"]
        raise InputError(f"{where}: {f'`{name}`: ' if name else ''}{wrong}") from None
