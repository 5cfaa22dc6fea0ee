"""How a campaign stands, as markdown for Prefect's pages: what `earthscribe status` tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from prefect.artifacts import create_markdown_artifact
from prefect.context import FlowRunContext

from flows.display.artifacts import artifact_key
from flows.display.preview import preview_place
from flows.display.report import report_place
from flows.display.status import status
from tasks.configuration import Campaign
from tasks.pages.markdown import code, table
from tasks.places import dataset_of
from tasks.storage import Place, exists


def show_summary(config: Campaign) -> None:
    """Leaves on Prefect's pages how the campaign stands after this flow run."""
    if FlowRunContext.get():
        key = artifact_key(config.name, "summary")
        description = f"How {code(config.name)} stands after this run"
        create_markdown_artifact(in_markdown(config, status(config)), key=key, description=description)


def in_markdown(config: Campaign, found: Mapping[str, Any]) -> str:
    """The summary.

    Args:
        config: the campaign.
        found: what `flows.display.status.status` gives.
    """
    sources = found["statistics"]
    lines = [
        f"# {code(config.name)}",
        "",
        "**Tiles**: " + ", ".join(f"{count} {status}" for status, count in found["tiles"].items()),
        "",
        f"**Sources**: {sources['done']} done, {len(sources['missing'])} missing, {len(sources['failed'])} failed",
        "",
        *table(
            ("captioner", "done", "left", "failed", "next slot", "days to go"),
            [_captioner(name, standing) for name, standing in found["captioners"].items()],
        ),
        "",
        *(_spent(name, standing) for name, standing in found["captioners"].items() if standing["quota"]),
        *_places(dataset_of(config)),
    ]
    return "\n".join(lines)


def _captioner(name: str, standing: Mapping[str, Any]) -> tuple[object, ...]:
    """One row. The first slot that comes back is the one to wait for."""
    failed = ", ".join(f"{count} {code(reason)}" for reason, count in standing["failed"].items())
    slots = [quota["next_slot"] for quota in standing["quota"]]
    slot = "" if not standing["pending"] or not slots else "now" if None in slots else _minute(min(slots))
    days = f"{standing['eta_days']:g}" if standing["eta_days"] else ""
    return code(name), f"{standing['done']} of {standing['tiles']}", standing["pending"], failed or 0, slot, days


def _spent(name: str, standing: Mapping[str, Any]) -> str:
    sent = ", ".join(f"{count} {what}" for what, count in standing["requests"].items() if count)
    return f"- requests of {code(name)}: {sent or 'none sent'}; cost {standing['cost']:.2f}"


def _minute(slot: str) -> str:
    """A time as `status` gives it, in UTC."""
    return f"{datetime.fromisoformat(slot):%Y-%m-%d %H:%M} UTC"


def _places(dataset: Place) -> Iterator[str]:
    """The pages and folders that there are; an address is shown, too, where a browser will not open it."""
    pages = {
        "preview page": (preview_place(dataset),) * 2,
        "report of the checks": (report_place(dataset),) * 2,
        "release": _release(dataset),
    }
    for name, (proof, shown) in pages.items():
        if exists(proof):
            yield f"- [{name}]({_address(shown)}): {code(shown.url)}"
    yield f"- dataset: {code(dataset.url)}"


def _release(dataset: Place) -> tuple[Place, Place]:
    """The file that a release ends with, and its folder."""
    release = dataset.join("release")
    return release.join("SHA256SUMS"), release


def _address(place: Place) -> str:
    """An address that cannot end a link's: percent signs stand for all that could."""
    if place.is_local:
        return Path(place.url).as_uri()
    scheme, _, path = place.url.partition("://")
    return f"{scheme}://{Path('/' + path).as_uri().removeprefix('file:///')}"
