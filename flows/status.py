"""Where a campaign stands, from its tables alone: no server is needed, and no run is disturbed."""

from __future__ import annotations

from typing import Any

from tasks.captions.keeping import described, kept_ids, restore
from tasks.captions.state import open_state
from tasks.configuration import Campaign, Captioner
from tasks.places import dataset_of
from tasks.planning.table import STATUSES, read_columns, status_counts, tiles_place
from tasks.statistics.sources import read_sources
from tasks.storage import exists


def status(config: Campaign) -> dict[str, Any]:
    """The campaign's status, as `earthscribe status --json` prints it."""
    dataset = dataset_of(config)
    captioners: dict[str, Any] = {}
    if not exists(tiles_place(dataset)):
        # Nothing is planned: asking how it stands must not make a dataset.
        tiles = dict.fromkeys(STATUSES, 0)
        captioners = {captioner.name: _standing(captioner, 0, 0, 0) for captioner in config.captioners}
        return {"tiles": tiles, "statistics": read_sources(dataset), "captioners": captioners}
    tiles = status_counts(read_columns(dataset, "status"))
    kept = kept_ids(dataset)
    with open_state(config.state, config.dataset) as state:
        restore(state, dataset)
        for captioner in config.captioners:
            mine = described(captioner, kept)
            counts = state.counts(captioner.name, mine)
            captioners[captioner.name] = _standing(captioner, len(mine), counts["pending"], counts["failed"])
    return {"tiles": tiles, "statistics": read_sources(dataset), "captioners": captioners}


def _standing(captioner: Captioner, tiles: int, pending: int, failed: int) -> dict[str, Any]:
    """A captioner's part of the status."""
    requests = dict.fromkeys(("sent", "answered", "refused", "failed", "in_flight", "unknown"), 0)
    return {
        "tiles": tiles,
        "done": tiles - pending - failed,
        "pending": pending,
        "in_flight": 0,
        "failed": {},
        "requests": requests,
        "tokens": {"prompt": 0, "completion": 0},
        "cost": 0.0,
        "quota": [],
        "eta_days": 0.0 if not captioner.pool or not pending else None,
    }


def in_words(config: Campaign, found: dict[str, Any]) -> str:
    """The status for people."""
    tiles, sources = found["tiles"], found["statistics"]
    lines = [
        f"{config.name}: {config.dataset}",
        "tiles       " + ", ".join(f"{count} {status}" for status, count in tiles.items()),
        f"sources     {sources['done']} done, {len(sources['missing'])} missing, {len(sources['failed'])} failed",
    ]
    lines += [f"  missing   {source} (taken as no data)" for source in sources["missing"]]
    lines += [f"  failed    {source}: {reason}" for source, reason in sources["failed"].items()]
    for name, standing in found["captioners"].items():
        lines.append(
            f"{name:<11} {standing['done']} of {standing['tiles']} tiles captioned, {standing['pending']} pending"
        )
    return "\n".join(lines)
