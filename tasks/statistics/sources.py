"""What became of the sources: `DATASET/statistics/sources.json`, for `status`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tasks.storage import Place, exists, read_bytes, write


def _place(dataset: Place) -> Place:
    return dataset.join("statistics", "sources.json")


def write_sources(dataset: Place, done: int, missing: Sequence[str], failed: Mapping[str, str]) -> None:
    """Writes what became of the sources.

    Args:
        dataset: the dataset's folder.
        done: how many were counted.
        missing: those that planned tiles need and the source does not list.
        failed: those that could not be used, with the reason.
    """
    content = json.dumps({"done": done, "missing": list(missing), "failed": dict(failed)}, indent=1).encode()
    write(_place(dataset), lambda stream: stream.write(content))


def read_sources(dataset: Place) -> dict[str, Any]:
    """What became of the sources; nothing where none was counted yet."""
    where = _place(dataset)
    if not exists(where):
        return {"done": 0, "missing": [], "failed": {}}
    content: dict[str, Any] = json.loads(read_bytes(where))
    return content
