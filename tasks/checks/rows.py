"""Checks of captions from anywhere: rows of JSON in, the same rows out with what is wrong with them."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, cast, get_args

from tasks.checks.checking import check
from tasks.checks.facts import Counts
from tasks.checks.flags import Recipe, names
from tasks.checks.mending import mend
from tasks.errors import InputError
from tasks.json_lines import json_line
from tasks.landcover.classes import N_IDS
from tasks.statistics.patches import PATCHES


def check_rows(file: Path, recipe: str, output: BinaryIO) -> None:
    """Prints the rows of a file with `flags` and `mended`, in order; nothing where one of them cannot be read.

    Args:
        file: JSON, one object a line; ``-`` is standard input.
        recipe: of rows that name none.
        output: where to.

    Raises:
        InputError: the file, or a row of it, cannot be read; names the first such line.
    """
    with TemporaryFile() as results:
        with _opened(file) as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    try:
                        results.write(json_line(_checked(line, recipe)))
                    except ValueError as error:
                        raise InputError(f"{file}: line {number}: {error}") from error
        results.seek(0)
        shutil.copyfileobj(results, output)
    output.flush()


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = file.open("rb")
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}; expected a file of captions, one JSON object a line") from error
    with stream:
        yield stream


def _checked(line: bytes, default: str) -> dict[str, Any]:
    """A row with what is wrong with its caption.

    Raises:
        ValueError: what was expected of the row.
    """
    row = _row(line)
    text = row.get("text")
    recipe = row.get("recipe") or default
    if recipe not in get_args(Recipe):
        raise ValueError(f"recipe: expected {', '.join(get_args(Recipe))}; got {_shown(recipe)}")
    if isinstance(text, str):
        counts = _counts(row)
        flags = check(text, counts, cast(Recipe, recipe))
        return row | {"flags": names(flags), "mended": mend(text, counts, cast(Recipe, recipe), flags)}
    raise ValueError(f"text: expected a caption, got {_shown(text)}")


def _row(line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"expected a JSON object in UTF-8: {error}") from error
    if isinstance(row, dict):
        return row
    raise ValueError(f"expected a JSON object, got {_shown(row)}")


def _counts(row: dict[str, Any]) -> Counts:
    statistics = row.get("statistics", row)
    if isinstance(statistics, dict):
        return [_pixels(statistics, patch) for patch in PATCHES]
    raise ValueError(f"statistics: expected an object of {', '.join(PATCHES)}; got {_shown(statistics)}")


def _pixels(statistics: dict[str, Any], patch: str) -> list[int]:
    pixels = statistics.get(patch)
    if isinstance(pixels, list) and len(pixels) == N_IDS and all(type(one) is int and one >= 0 for one in pixels):
        return pixels
    raise ValueError(f"{patch}: expected {N_IDS} counts of pixels, got {_shown(pixels)}")


def _shown(value: object) -> str:
    """A value as messages show it: short."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
