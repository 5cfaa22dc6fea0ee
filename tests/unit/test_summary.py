"""The summary on Prefect's pages: what `status` tells, as markdown in which nothing from outside can act."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from flows.display.summary import in_markdown
from tasks.configuration import Campaign

NONE_SENT = dict.fromkeys(("sent", "answered", "refused", "failed", "in_flight", "unknown"), 0)
QUOTA = {"limit": 40, "left": 0, "next_slot": "2026-11-22T00:00:01+00:00"}


@pytest.fixture
def config(tmp_path: Path) -> Campaign:
    dataset = tmp_path / "a folder (with] `marks`"
    dataset.mkdir()
    (dataset / "preview.html").write_text("<html>")
    source = {"product": "worldcover-2020", "source": str(tmp_path)}
    return Campaign.model_validate({"name": "island", "dataset": str(dataset), "landcover": source})


def standing(**changes: Any) -> dict[str, Any]:
    one = {"tiles": 65, "done": 40, "pending": 24, "failed": {"refusal": 1}, "requests": NONE_SENT | {"sent": 41}}
    return one | {"cost": 0.5, "quota": [QUOTA], "eta_days": 1.5} | changes


def summary(config: Campaign, **captioners: dict[str, Any]) -> list[str]:
    sources = {"done": 1, "missing": ["a.tif"], "failed": {}}
    tiles = {"planned": 0, "kept": 65, "excluded": 15, "failed": 0}
    return in_markdown(config, {"tiles": tiles, "statistics": sources, "captioners": captioners}).splitlines()


def cells(lines: list[str], name: str) -> list[str]:
    (row,) = (line for line in lines if line.startswith(f"| `{name}`"))
    return [cell.strip() for cell in row.strip("|").split("|")][1:]


def test_it_tells_what_is_done_left_and_failed_and_when_it_goes_on(config: Campaign) -> None:
    free = standing(quota=[QUOTA, QUOTA | {"next_slot": None}])
    rules = standing(done=65, pending=0, failed={}, quota=[], eta_days=0.0)
    lines = summary(config, gpt=standing(), pool=free, rules=rules)
    assert cells(lines, "gpt") == ["40 of 65", "24", "1 `refusal`", "2026-11-22 00:00 UTC", "1.5"]
    assert cells(lines, "pool")[3] == "now"
    assert cells(lines, "rules") == ["65 of 65", "0", "0", "", ""]
    assert "**Tiles**: 0 planned, 65 kept, 15 excluded, 0 failed" in lines
    assert "**Sources**: 1 done, 1 missing, 0 failed" in lines
    assert "- requests of `gpt`: 41 sent; cost 0.50" in lines


def test_it_links_what_there_is_and_nothing_else(config: Campaign) -> None:
    markdown = MarkdownIt("commonmark")
    markdown.validateLink = lambda _: True  # type: ignore[method-assign]  # it leaves out those to files

    def links() -> list[str]:
        tokens = markdown.parse("\n".join(summary(config, **{"www.evil.example": standing()})))
        pieces = [piece for token in tokens for piece in token.children or []]
        return [str(piece.attrGet("href")) for piece in pieces if piece.type == "link_open"]

    dataset = Path(config.dataset)
    assert links() == [(dataset / "preview.html").as_uri()]
    (dataset / "release").mkdir()
    (dataset / "release" / "SHA256SUMS").write_text("")
    assert links() == [(dataset / "preview.html").as_uri(), (dataset / "release").as_uri()]
