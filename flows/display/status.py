"""Where a campaign stands, from its tables alone: no server is needed, and no run is disturbed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from flows.display.terminal import warn
from tasks.asking.accounts import campaign_of, endpoint_name, ledger_of, limits_of
from tasks.asking.forecast import USUAL_TOKENS, Demand, days_to_go, demand
from tasks.captions.claims import claimed
from tasks.captions.keeping import described, kept_ids, restore
from tasks.captions.state import State, Status, open_state
from tasks.captions.wanting import by_code, failures, to_be_asked_again
from tasks.configuration import Campaign, Captioner, Endpoint, mask_text
from tasks.imagery.table import counts
from tasks.places import dataset_of
from tasks.planning.table import STATUSES, read_columns, status_counts, tiles_place
from tasks.quota.ledger import Ledger
from tasks.quota.sums import Sums
from tasks.quota.terms import Standing
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
    images = {"imagery": counts(dataset, pa.array(kept, pa.string()))} if config.imagery else {}
    with open_state(config.state, config.dataset) as state, ledger_of(config, config.captioners, warn) as ledger:
        restore(state, dataset)
        ahead: list[Demand] = []
        for captioner in config.captioners:
            captioners[captioner.name] = _of(config, captioner, described(captioner, kept), state, ledger, ahead)
    return {"tiles": tiles, "statistics": read_sources(dataset), **images, "captioners": captioners}


def _of(
    config: Campaign,
    captioner: Captioner,
    tile_ids: list[str],
    state: State,
    ledger: Ledger | None,
    ahead: list[Demand],
) -> dict[str, Any]:
    """A captioner's part of the status; adds what it has yet to ask to what those before it have."""
    counts = state.counts(captioner.name, tile_ids)
    failed = by_code(failures(state, captioner.name, tile_ids)) if counts["failed"] else {}
    found = _standing(captioner, len(tile_ids), counts["pending"], counts["failed"])
    found["failed"] = dict(failed)
    if ledger is None or not captioner.pool:
        return found
    waiting = {*state.missing(captioner.name, tile_ids), *to_be_asked_again(state, captioner.name, tile_ids)}
    found["in_flight"] = len(claimed(state, captioner.name) & waiting)
    names = {endpoint_name(endpoint): endpoint for endpoint in captioner.pool}
    sums = {place[1]: one for place, one in ledger.sums(campaign_of(config)).items() if place[0] == captioner.name}
    total = sum(sums.values(), Sums())
    found["requests"] = {name: getattr(total, name) for name in found["requests"]}
    found["tokens"] = {"prompt": total.prompt_tokens, "completion": total.completion_tokens}
    found["cost"] = round(sum(_cost(names.get(name), one) for name, one in sums.items()), 6)
    standings = {
        endpoint.account: ledger.standing(endpoint.account, limits_of(endpoint)) for endpoint in captioner.pool
    }
    found["quota"] = [_quota(endpoint, standings[endpoint.account]) for endpoint in captioner.pool]
    tokens = (total.prompt_tokens + total.completion_tokens) / total.answered if total.answered else USUAL_TOKENS
    own = demand(captioner, counts["pending"], tokens, ledger)
    found["eta_days"] = days_to_go(own, ahead)
    ahead.append(own)
    return found


def _quota(endpoint: Endpoint, standing: Standing) -> dict[str, Any]:
    """One endpoint's entry: the whole account's."""
    quota = endpoint.quota
    limit = quota.requests_per_day if quota else None
    slot = standing.next_slot
    return {
        "account": endpoint.account,
        "endpoint": mask_text(endpoint.endpoint),
        "model": endpoint.model,
        "window": quota.window if quota else None,
        "limit": limit,
        "left": standing.left if limit is not None else None,
        "next_slot": None if slot is None else datetime.fromtimestamp(slot, UTC).isoformat(timespec="seconds"),
    }


def _cost(endpoint: Endpoint | None, sums: Sums) -> float:
    """What an endpoint's tokens have cost; nothing where it has no price, or is no longer configured."""
    if endpoint is None or endpoint.price is None:
        return 0.0
    return (sums.prompt_tokens * endpoint.price.prompt + sums.completion_tokens * endpoint.price.completion) / 1e6


def _standing(captioner: Captioner, tiles: int, pending: int, failed: int) -> dict[str, Any]:
    """A captioner's part of the status before anything was asked."""
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
    if images := found.get("imagery"):
        standing = ", ".join(f"{images[name]} {name}" for name in ("done", "rejected", "pending"))
        lines.append(
            f"imagery     {standing}, {len(images['failed'])} of them failed"
            if images["failed"]
            else f"imagery     {standing}"
        )
        lines += [f"  failed    {tile_id}: {reason}" for tile_id, reason in images["failed"].items()]
    judged = _judged(config)
    for name, standing in found["captioners"].items():
        lines += _captioner_in_words(name, standing, judged.get(name, {}))
    return "\n".join(lines)


def _judged(config: Campaign) -> dict[str, dict[Status, int]]:
    """How the captions stand that there are, by captioner."""
    dataset = dataset_of(config)
    if not exists(tiles_place(dataset)):
        return {}
    kept = kept_ids(dataset)
    with open_state(config.state, config.dataset) as state:
        return {
            captioner.name: {
                status: count
                for status, count in sorted(state.counts(captioner.name, described(captioner, kept)).items())
                if count and status not in {"pending", "failed"}
            }
            for captioner in config.captioners
        }


def _captioner_in_words(name: str, standing: dict[str, Any], judged: dict[Status, int]) -> list[str]:
    line = f"{name:<11} {standing['done']} of {standing['tiles']} tiles captioned, {standing['pending']} pending"
    if standing["failed"]:
        line += ", failed: " + ", ".join(f"{count} {code}" for code, count in standing["failed"].items())
    lines = [line]
    if judged:
        lines.append("  captions  " + ", ".join(f"{count} {status}" for status, count in judged.items()))
    if standing["quota"]:
        requests, tokens = standing["requests"], standing["tokens"]
        told = ", ".join(f"{count} {what}" for what, count in requests.items() if count)
        lines.append(f"  requests  {told or 'none sent'}")
        lines.append(
            f"  tokens    {tokens['prompt']} asked, {tokens['completion']} answered; cost {standing['cost']:.2f}"
        )
    for quota in standing["quota"]:
        if quota["limit"] is not None:
            slot = f", next slot {quota['next_slot']}" if quota["next_slot"] else ""
            lines.append(f"  quota     {quota['account']}: {quota['left']} of {quota['limit']} left{slot}")
    if standing["quota"] and standing["pending"]:
        lines.append(f"  to go     {standing['eta_days']:g} days")
    return lines
