"""`earthscribe check`: rows in, rows out."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from tasks.checks.rows import check_rows
from tasks.errors import InputError
from tasks.statistics.patches import PATCHES
from tests.checks_corpus import tiles

CLEAN = "Trees dominate the scene in every quarter, with grass in the bottom right and shrubs in the bottom left of it."
COUNTED = f"The third image shows it well. {CLEAN}"


def row(text: Any = CLEAN, *, nested: bool = False, **more: Any) -> dict[str, Any]:
    statistics = dict(zip(PATCHES, tiles()["forest"], strict=True))
    return {"text": text, **({"statistics": statistics} if nested else statistics), **more}


def run(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flows", "check", str(path), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def written(folder: Path, *rows: object) -> Path:
    path = folder / "captions.jsonl"
    path.write_text("".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in rows), "utf-8")
    return path


def test_rows_come_out_in_order_with_what_is_wrong(tmp_path: Path) -> None:
    rows = [row(id=1), row(f"{CLEAN} Perhaps.", nested=True, id=2), row(COUNTED, recipe="vision", id=3)]
    done = run(written(tmp_path, *rows))
    assert (done.returncode, done.stderr) == (0, "")
    out = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["id"] for one in out] == [1, 2, 3]
    assert [one["flags"] for one in out] == [[], ["forbidden-word"], ["cross-image"]]
    assert [one["mended"] for one in out] == [None, None, COUNTED.replace("The third image", "This image")]
    assert {key: out[1][key] for key in rows[1]} == rows[1]


def test_the_recipe_of_the_command_is_that_of_rows_that_name_none(tmp_path: Path) -> None:
    path = written(tmp_path, row(COUNTED), row(COUNTED, recipe="text"))
    flags = [json.loads(line)["flags"] for line in run(path, "--recipe", "vision").stdout.splitlines()]
    assert flags == [["cross-image"], []]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("{", "expected a JSON object in UTF-8"),
        ("[1]", "expected a JSON object, got [1]"),
        (row(None), "text: expected a caption, got null"),
        ({"text": CLEAN}, "overall: expected 12 counts of pixels, got null"),
        (row(middle=[1] * 11), "middle: expected 12 counts of pixels"),
        (row(middle=[-1] * 12), "middle: expected 12 counts of pixels"),
        (row(recipe="audio"), "recipe: expected text, vision, rules; got"),
    ],
)
def test_a_row_that_cannot_be_read_is_named_and_nothing_printed(tmp_path: Path, bad: object, said: str) -> None:
    output = BytesIO()
    with pytest.raises(InputError, match=re.escape(f"captions.jsonl: line 2: {said}")):
        check_rows(written(tmp_path, row(), bad, "also bad"), "text", output)
    assert output.getvalue() == b""


def test_a_wrong_input_ends_with_2(tmp_path: Path) -> None:
    done = run(tmp_path / "none.jsonl")
    assert (done.returncode, done.stdout) == (2, "")
    assert "none.jsonl: No such file" in done.stderr
