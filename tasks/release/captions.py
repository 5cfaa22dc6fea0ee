"""The captions that go into a release, on disk: a campaign's would fill the memory."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tasks.captions.state import Caption, State

RELEASED = ("accepted", "mended", "edited")
"""Statuses of captions that have passed."""

UNCHECKED = "unchecked"

_BATCH = 1_000


@dataclass
class Taken:
    """What became of a captioner's captions.

    Attributes:
        rows: tiles whose caption goes in, by their row in the plan.
        pending: tiles that it is still to describe.
        others: why captions of other tiles do not go in, by row.
        statuses: how many captions do not go in, by status.
        models: how many captions go in, by the model that wrote them.
        unchecked: how many of those that go in no check has met.
    """

    rows: set[int] = field(default_factory=set)
    pending: set[int] = field(default_factory=set)
    others: dict[int, str] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    unchecked: int = 0


@dataclass(frozen=True)
class Captions:
    """Captions by the row of their tile in the plan.

    Attributes:
        database: where they lie while the release is written.
    """

    database: sqlite3.Connection

    def take(self, state: State, captioner: str, rows: Mapping[str, int], statuses: Collection[str]) -> Taken:
        """Takes in a captioner's captions, those after those of captioners taken before.

        Args:
            state: all captions.
            captioner: its name.
            rows: the tiles that it describes, by ID.
            statuses: statuses of captions that go in.
        """
        (place,) = self.database.execute("SELECT coalesce(max(place), -1) + 1 FROM captions").fetchone()
        taken = Taken(pending=set(rows.values()))
        chosen = self._chosen(state, captioner, rows, statuses, taken)
        listed = ((row, place, json.dumps(_published(caption), ensure_ascii=False)) for row, caption in chosen)
        self.database.executemany("INSERT INTO captions VALUES (?, ?, ?)", listed)
        return taken

    @staticmethod
    def _chosen(
        state: State, captioner: str, rows: Mapping[str, int], statuses: Collection[str], taken: Taken
    ) -> Iterator[tuple[int, Caption]]:
        for caption in state.current(captioner):
            row = rows.get(caption.tile_id)
            if row is None or caption.status == "pending":
                continue  # Not its tile, or one whose caption was checked and is asked for again.
            taken.pending.discard(row)
            if caption.text is not None and caption.status in statuses:
                taken.rows.add(row)
                taken.models[caption.model or "unknown"] += 1
                taken.unchecked += caption.status == UNCHECKED
                yield row, caption
            else:
                detail = ", ".join(caption.flags) or caption.reason
                taken.others[row] = caption.status + (f" ({detail})" if detail else "")
                taken.statuses[caption.status] += 1

    def of(self, rows: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
        """The captions of tiles, in the order of the captioners."""
        found: dict[int, list[dict[str, Any]]] = {row: [] for row in rows}
        for start in range(0, len(rows), _BATCH):
            some = rows[start : start + _BATCH]
            marks = ",".join("?" * len(some))
            query = f"SELECT row, caption FROM captions WHERE row IN ({marks}) ORDER BY row, place"  # noqa: S608 - marks alone
            for row, caption in self.database.execute(query, some):
                found[row].append(json.loads(caption))
        return found


@contextmanager
def scratch() -> Iterator[Captions]:
    """A place for captions that is gone with the block."""
    with TemporaryDirectory(prefix="earthscribe-release-") as folder:
        database = sqlite3.connect(Path(folder) / "captions.db", check_same_thread=False)
        with closing(database):
            database.execute("PRAGMA journal_mode = OFF")
            database.execute("PRAGMA synchronous = OFF")
            columns = "row INTEGER, place INTEGER, caption TEXT, PRIMARY KEY (row, place)"
            database.execute(f"CREATE TABLE captions ({columns}) WITHOUT ROWID")
            yield Captions(database)


def _published(caption: Caption) -> dict[str, Any]:
    """What a release tells of a caption."""
    return {
        "captioner": caption.captioner,
        "text": caption.text,
        "status": caption.status,
        "flags": list(caption.flags),
        "model": caption.model,
        "prompt_sha256": caption.prompt_sha256,
        "created_at": caption.created_at,
    }
