"""Captions of a model with faults, checked: what is wrong is found, mended, asked again or flagged."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from campaigns import TILES, Campaign, fake_llm, text

CODES = {
    "absent_class": "absent-class",
    "wrong_dominant": "wrong-dominant",
    "dominant_missing": "dominant-missing",
    "forbidden_word": "forbidden-word",
    "prompt_leak": "prompt-leak",
    "percentage": "number",
}


def history(campaign: Campaign, captioner: str) -> list[dict[str, Any]]:
    rows = pq.read_table(campaign.folder / "c" / "captions" / f"{captioner}.parquet").to_pylist()
    return sorted(rows, key=lambda row: (row["tile_id"], row["version"]))


def injected(log: Path) -> Counter[str]:
    """The faults that an endpoint has put into captions, as flags."""
    entries = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    return Counter(
        CODES[entry["fault"]] + (f":{entry['detail']}" if entry["detail"] else "")
        for entry in entries
        if entry["fault"] in CODES and entry["places"]
    )


def test_a_run_asks_again_with_the_reason_and_flags_what_stays_wrong(campaign: Campaign) -> None:
    log = campaign.folder / "log.jsonl"
    faults = ",".join(f"{name}=0.12" for name in CODES)
    with fake_llm("--seed", 3, "--faults", faults, "--log", log) as endpoint:
        campaign.configure(text(endpoint), {"name": "rules", "prompt": "rules"})
        done = campaign("run")
        assert done.code == 0, done.stderr
        audit = endpoint.audit()
    rows = history(campaign, "text")
    asked_again = [row for row in rows if row["status"] == "pending"]
    flagged = [row for row in rows if row["status"] == "flagged"]
    found = Counter(flag for row in asked_again + flagged for flag in row["flags"])
    assert found == injected(log), "every fault that was put in is found, and no other"
    assert asked_again
    assert audit["requests"] == TILES + len(asked_again)
    assert max(Counter(row["tile_id"] for row in asked_again).values()) <= 2
    assert all(row["reason"] and row["text"] and row["flags"] for row in asked_again + flagged)
    report = campaign.folder / "c" / "report.html"
    told = report.read_text("utf-8")
    assert all(f"<code>{flag.split(':')[0]}</code>" in told for flag in found)

    shown = {(row["captioner"], row["tile_id"]): row for row in campaign.rows()}
    states = Counter((captioner, row["status"]) for (captioner, _), row in shown.items())
    assert set(states) <= {("text", "accepted"), ("text", "flagged"), ("rules", "accepted")}
    assert states["rules", "accepted"] == TILES, "captions by rules are clean"
    assert states["text", "flagged"] == len(flagged)
    standing = campaign.status()["text"]
    assert (standing["done"], standing["pending"]) == (TILES, 0)
    assert f"captions  {states['text', 'accepted']} accepted" in campaign("status").stdout
    report.unlink()  # as where a run was killed before it came to it
    assert "checks of text: none to do" in campaign("verify").stderr, "checked once is checked"
    assert report.read_text("utf-8") == told


def test_what_waits_keeps_its_text_and_is_asked_after_the_others(campaign: Campaign) -> None:
    log = campaign.folder / "log.jsonl"
    with fake_llm("--seed", 3, "--faults", "forbidden_word@1-10", "--log", log) as endpoint:
        campaign.configure(text(endpoint, concurrency=1))
        assert campaign("caption", "--max-requests", 10).code == 0
        checked = campaign("verify")
        assert checked.code == 0
        assert "checks of text: 10 to be asked again" in checked.stderr
        waiting = [row for row in campaign.rows() if row["text"]]
        assert {row["status"] for row in waiting} == {"pending"}
        assert {tuple(row["flags"]) for row in waiting} == {("forbidden-word",)}
        prompt = json.loads(campaign("prompt", waiting[0]["tile_id"]).stdout)
        assert "could not be used: it says" in prompt["messages"][-1]["content"]
        standing = campaign.status()["text"]
        assert (standing["done"], standing["pending"]) == (0, TILES)
        assert json.loads(campaign("estimate", "--json").stdout)["captioners"]["text"]["requests"] == TILES
        assert campaign("run").code == 0
    entries = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    first = {digest for entry in entries[:TILES] for digest in entry["tiles"]}
    assert len(entries) == TILES + 10
    assert len(first) == TILES, "each tile once, before any is asked again"
    assert {row["status"] for row in campaign.rows()} == {"accepted"}


def test_talk_of_other_images_is_mended_and_before_and_after_are_kept(campaign: Campaign) -> None:
    with fake_llm("--seed", 5, "--faults", "cross_image=0.5") as endpoint:
        vision = {"name": "vision", "prompt": "vision", "images_per_request": 4, "endpoint": endpoint.url, "model": "m"}
        campaign.configure(vision)
        assert campaign("run").code == 0
    rows = history(campaign, "vision")
    mended = [row for row in rows if row["status"] == "mended"]
    assert mended
    before = {(row["tile_id"], row["version"]): row for row in rows}
    for row in mended:
        was = before[row["tile_id"], row["revises"]]
        assert was["status"] == "unchecked"
        assert was["text"] != row["text"]
        assert row["reason"].startswith("mended: it speaks of other images")
        assert row["flags"] == []
    assert {row["status"] for row in campaign.rows()} == {"accepted", "mended"}
