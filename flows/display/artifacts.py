"""What a flow run leaves on Prefect's pages beside its log: progress, and tables of failures.

Each artifact has a key that is the same day after day, so that Prefect's page of that key is its history. Outside a
flow run there is no page to leave anything on, and nothing is done.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final
from uuid import UUID

from httpx import HTTPError
from prefect.artifacts import (
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.context import FlowRunContext
from prefect.exceptions import PrefectException

from tasks.captions.state import Caption
from tasks.configuration import Campaign
from tasks.pages.markdown import code

MOST_ROWS: Final = 200
"""Rows of a table of failures: a page shows no more well, and each run keeps its own."""


def artifact_key(*parts: str) -> str:
    """The key of an artifact: Prefect takes lower case, digits and dashes.

    Args:
        parts: campaign, stage, captioner and the like.
    """
    return "-".join(re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-") for part in parts)


class ProgressArtifact:
    """The progress of one stage.

    Args:
        campaign: the campaign's name.
        stage: what is done.
        description: the same with numbers.
        percent: how far it is already.
    """

    def __init__(self, campaign: str, stage: str, description: str, percent: float) -> None:
        self._id: UUID | None = None
        if FlowRunContext.get():
            made = create_progress_artifact(percent, key=artifact_key(campaign, stage), description=description)
            self._id = made if isinstance(made, UUID) else None

    def show(self, percent: float) -> None:
        """Shows how far the stage is. A server that does not answer must not stop the work."""
        if self._id:
            with contextlib.suppress(HTTPError, PrefectException):
                update_progress_artifact(self._id, percent)


def show_failed_sources(config: Campaign, reasons: Mapping[str, str]) -> None:
    """Lists sources that could not be used, with the reason; nothing where there are none."""
    _show_reasons(config, "failed-sources", "source", "Sources that could not be used", reasons)


def show_failed_chips(config: Campaign, reasons: Mapping[str, str]) -> None:
    """Lists tiles whose images could not be read, with the reason; nothing where there are none."""
    _show_reasons(config, "failed-chips", "tile", "Tiles whose images could not be read", reasons)


def _show_reasons(config: Campaign, name: str, what: str, description: str, reasons: Mapping[str, str]) -> None:
    if not reasons or not FlowRunContext.get():
        return
    rows = [{what: code(one), "reason": code(reason)} for one, reason in islice(sorted(reasons.items()), MOST_ROWS)]
    described = f"{description}: {_count(len(reasons))}"
    create_table_artifact(rows, key=artifact_key(config.name, name), description=described)


def show_failed_tiles(config: Campaign, captioner: str, failed: Iterable[Caption]) -> None:
    """Lists tiles that a captioner has no caption for, with the code; nothing where there are none."""
    captions = list(failed)
    if not captions or not FlowRunContext.get():
        return
    rows = [
        {
            "tile": code(caption.tile_id),
            "code": code(caption.reason or "unknown"),
            "model": code(caption.model or ""),
            "answer": code(caption.raw or ""),
        }
        for caption in captions[:MOST_ROWS]
    ]
    description = f"Tiles without a caption by {code(captioner)}: {_count(len(captions))}"
    key = artifact_key(config.name, "captions-by", captioner, "failed-tiles")
    create_table_artifact(rows, key=key, description=description)


def _count(count: int) -> str:
    return f"{count}, of which {MOST_ROWS} are listed" if count > MOST_ROWS else str(count)
