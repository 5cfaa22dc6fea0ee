"""Verdicts as files: JSON lines, and the tasks of Label Studio (https://labelstud.io)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

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
</View>
"""
"""The labelling interface to set up in Label Studio, so that what comes back can be read."""


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
    reviewed_at: str | None = None


_READ = TypeAdapter(Verdict)


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


def read_verdicts(content: str) -> list[Verdict]:
    """The verdicts of a file of either form.

    Raises:
        InputError: the file is of neither, naming the line or the task.
    """
    if content.lstrip().startswith("["):
        return [verdict for number, task in enumerate(_array(content), 1) for verdict in _of_task(task, number)]
    lines = [(number, line) for number, line in enumerate(content.split("\n"), 1) if line.strip()]
    if not lines:
        raise InputError("the file holds no verdict; expected JSON lines, or the tasks of Label Studio as JSON")
    return [_verdict(_object(line, f"line {number}"), f"line {number}") for number, line in lines]


def _task(question: Question) -> dict[str, Any]:
    return {
        "data": {
            "captioner": question.captioner,
            "tile_id": question.tile_id,
            "version": question.version,
            "text": question.text,
            "flags": ", ".join(question.flags),
            "image": "data:image/png;base64," + base64.b64encode(question.land_cover).decode("ascii"),
        },
        "annotations": [_annotation(verdict) for verdict in question.verdicts],
    }


def _annotation(verdict: Verdict) -> dict[str, Any]:
    result = [_result("verdict", "choices", "choices", verdict.verdict)]
    if verdict.text is not None:
        result.append(_result("edited", "textarea", "text", verdict.text))
    if verdict.reason is not None:
        result.append(_result("reason", "textarea", "text", verdict.reason))
    return {"completed_by": {"email": verdict.reviewer}, "created_at": verdict.reviewed_at, "result": result}


def _result(name: str, kind: str, key: str, value: str) -> dict[str, Any]:
    return {"from_name": name, "to_name": "caption", "type": kind, "value": {key: [value]}}


def _array(content: str) -> list[Any]:
    try:
        tasks = json.loads(content)
    except ValueError as error:
        raise InputError(f"the file is no JSON: {error}") from None
    return list(tasks)


def _object(line: str, where: str) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise InputError(f"{where} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"{where}: expected an object")
    return found


def _of_task(task: object, number: int) -> Iterator[Verdict]:
    where = f"task {number}"
    if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
        raise InputError(f"{where}: expected an object with `data`, as Label Studio exports it")
    for annotation in task.get("annotations") or []:
        values = {
            str(result.get("from_name")): next(iter(next(iter(result["value"].values()), [])), None)
            for result in annotation.get("result", [])
            if isinstance(result.get("value"), dict)
        }
        if "verdict" not in values:
            continue
        row = {name: task["data"].get(name) for name in ("captioner", "tile_id", "version")}
        row |= {"reviewer": _reviewer(annotation.get("completed_by")), "verdict": values["verdict"]}
        row |= {"text": values.get("edited"), "reason": values.get("reason")}
        yield _verdict(row | {"reviewed_at": annotation.get("created_at")}, where)


def _reviewer(completed_by: object) -> str:
    """Label Studio names a person by number, or by an object with an address."""
    if isinstance(completed_by, dict):
        completed_by = completed_by.get("email") or completed_by.get("id")
    return "" if completed_by is None else str(completed_by)


def _verdict(row: Mapping[str, Any], where: str) -> Verdict:
    try:
        return _READ.validate_python(row)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{where}: `{name}`: {first['msg']}") from None
