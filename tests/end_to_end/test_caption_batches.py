"""Batches of captions against an endpoint that enforces quotas, fails, and counts for itself."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import signal
import sqlite3
import time
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import numpy as np
import pyarrow.parquet as pq
import rasterio
from campaigns import TILES, Campaign, fake_llm, sent_agrees, text
from commands import RULES, flow_runs, write_config


def test_a_batch_ends_at_the_quota_and_the_next_goes_on(campaign: Campaign) -> None:
    day = {"EARTHSCRIBE_DAY_SECONDS": "25"}
    with fake_llm("--requests-per-day", 40, "--seed", 1, day=25) as endpoint:
        config = campaign.configure(text(endpoint, quota={"requests_per_day": 40}), RULES)
        first = campaign("caption", **day)
        assert first.code == 0, first.stderr
        status = campaign.status(**day)["text"]
        assert (status["done"], status["pending"]) == (40, 25)
        assert (status["quota"][0]["limit"], status["quota"][0]["left"]) == (40, 0)
        assert status["quota"][0]["next_slot"]
        assert status["eta_days"] == 1
        told = json.loads(campaign("estimate", "--json", **day).stdout)["captioners"]["text"]
        assert (told["requests"], told["days"]["sliding"], told["days"]["bucket"]) == (25, 1, 0.62), "today is spent"
        assert sent_agrees(status, endpoint.audit())
        rest = campaign("caption", "--wait", **day)
        assert rest.code == 0, rest.stderr
        audit = endpoint.audit()
        status = campaign.status(**day)["text"]
    assert (status["done"], status["pending"]) == (TILES, 0)
    assert (audit["requests"], audit["refused"], audit["tiles"]["answered_again"]) == (TILES, 0, 0)
    assert audit["most_in_a_day"] <= 40
    assert set(campaign.versions("text").values()) == {1}
    # A batch that has waited visits the captioner whose quota has returned, and nobody else.
    lines = [line.split(": ")[0] for line in rest.stderr.splitlines() if line.startswith("captions by")]
    assert lines == ["captions by text", "captions by rules", "captions by text"]
    with campaign.earthscribe.prefect() as database:
        names = [(run["name"], run["state_name"]) for run in flow_runs(database, config)]
    assert names == [
        ("captions c", "QuotaReached"),
        ("captions c", "QuotaReached"),
        ("captions c by text", "Completed"),
    ]


def test_killed_at_any_instant_it_is_taken_up(campaign: Campaign) -> None:
    draws = random.Random(4)
    with fake_llm("--latency", 150) as endpoint:
        config = campaign.configure(text(endpoint, concurrency=4))
        for _ in range(2):
            command = campaign.earthscribe.start("caption", "c.yaml", folder=campaign.folder)
            before = endpoint.audit()["requests"]
            deadline = time.monotonic() + 20
            while endpoint.audit()["requests"] == before and time.monotonic() < deadline:
                time.sleep(0.02)
            time.sleep(draws.uniform(0.0, 0.5))
            command.signal(signal.SIGKILL)
            assert command.wait().code == -signal.SIGKILL
        ended = campaign("caption")
        audit = endpoint.audit()
        status = campaign.status()["text"]
    assert ended.code == 0, ended.stderr
    assert (status["done"], status["pending"], status["in_flight"]) == (TILES, 0, 0)
    assert audit["requests"] <= status["requests"]["sent"] <= TILES + 2 * 4
    assert status["requests"]["unknown"] <= 2 * 4
    assert set(campaign.versions("text").values()) == {1}
    with campaign.earthscribe.prefect() as database:
        runs = flow_runs(database, config)
        told = dict(database.execute("SELECT flow_run_id, data FROM artifact WHERE key = 'c-unfinished'").fetchall())
    assert [run["state_name"] for run in runs] == ["Crashed", "Crashed", "Completed"]
    for run in runs[:2]:
        assert "its process was killed" in told[run["id"]]
        assert "run it again: it does what is missing" in told[run["id"]]


def test_two_runs_share_the_work(campaign: Campaign) -> None:
    with fake_llm("--latency", 100) as endpoint:
        campaign.configure(text(endpoint, concurrency=2))
        runs = [campaign.earthscribe.start("caption", "c.yaml", folder=campaign.folder) for _ in range(2)]
        ended = [run.wait() for run in runs]
        audit = endpoint.audit()
    assert [one.code for one in ended] == [0, 0], [one.stderr for one in ended]
    assert audit["requests"] == TILES
    assert campaign.status()["text"]["done"] == TILES
    assert set(campaign.versions("text").values()) == {1}


def test_captioners_that_share_an_account_share_its_days(campaign: Campaign) -> None:
    with fake_llm("--requests-per-day", 20) as endpoint:
        quota = {"requests_per_day": 20, "shared_as": "one-key"}
        campaign.configure(text(endpoint, quota=quota), text(endpoint, name="again", model="n", quota=quota))
        estimate = json.loads(campaign("estimate", "--json").stdout)["captioners"]
        status = campaign.status()
    assert [estimate[name]["days"]["sliding"] for name in ("text", "again")] == [3, 6], "65 and 130 at 20 a day"
    assert [status[name]["eta_days"] for name in ("text", "again")] == [3, 6]


def test_a_bad_key_stops_one_captioner_and_no_other(campaign: Campaign) -> None:
    secret = "sk-planted-wrong-4711"
    with fake_llm("--key", "sk-right-key-0815") as endpoint:
        campaign.configure(
            text(endpoint, api_key="${KEY}"),
            text(endpoint, name="good", api_key="${GOOD}", tiles={"count": 5}),
        )
        ended = campaign("caption", KEY=secret, GOOD="sk-right-key-0815")
        audit = endpoint.audit()
    assert ended.code == 3, ended.stderr
    assert audit["requests"] == 1 + 5
    assert ended.stderr.count("no longer asked") == ended.stderr.count("invalid_api_key") == 1, "one clear message"
    assert f"captions by text: 0 captioned, {TILES} left, no endpoint that can be used" in ended.stderr
    assert secret not in ended.stderr + ended.stdout
    rows = Counter((row["captioner"], row["status"]) for row in campaign_rows(campaign, secret))
    assert rows == {("text", "pending"): TILES, ("good", "unchecked"): 5}


def campaign_rows(campaign: Campaign, secret: str) -> list[dict[str, Any]]:
    ended = campaign("captions", KEY=secret, GOOD="x" * 8)
    return [json.loads(line) for line in ended.stdout.splitlines()]


FAULTS = (
    "500=0.05,502=0.03,503=0.03,504=0.02,408=0.02,409=0.02,reset=0.04,close=0.03,stall=0.02,truncated=0.03,"
    "malformed=0.03,error_body=0.03,length=0.1,filtered=0.05,refusal=0.05,empty=0.05,"
    "content_filter=0.05,context_length_exceeded=0.03,rate_limit_minute=0.03,slow_down*1@30-,preamble=0.1"
)


def test_every_tile_ends_whatever_goes_wrong(campaign: Campaign) -> None:
    with fake_llm("--faults", FAULTS, "--wait", 0.2, "--seed", 3) as endpoint:
        campaign.configure(text(endpoint, timeout=1.5))
        ended = campaign("caption")
        status = campaign.status()["text"]
        audit = endpoint.audit()
        assert ended.code == 4, ended.stderr
        assert status["done"] + sum(status["failed"].values()) == TILES
        assert status["done"] > 50
        assert {"content_filter"} <= set(status["failed"]) <= {
            "content_filter", "context_length", "cut_off", "refusal", "format", "transport",
        }  # fmt: skip
        assert sent_agrees(status, audit)
        again = campaign("caption", "--retry-failed", "transport")
        assert again.code == 4
        assert endpoint.audit()["requests"] - audit["requests"] <= 10 * status["failed"].get("transport", 0)


def test_vision_in_fours_loses_no_companion(campaign: Campaign) -> None:
    with fake_llm("--faults", "image_refused=0.05,merged=0.1,missing=0.1,length=0.05", "--seed", 6) as endpoint:
        campaign.configure(
            {
                "name": "maps",
                "prompt": "vision",
                "endpoint": endpoint.url,
                "model": "v",
                "images_per_request": 4,
            }
        )
        ended = campaign("caption")
        status = campaign.status()["maps"]
        audit = endpoint.audit()
    assert ended.code == 4, ended.stderr
    assert set(status["failed"]) == {"content_filter"}
    assert status["done"] == TILES - status["failed"]["content_filter"]
    assert audit["requests"] < TILES
    assert sent_agrees(status, audit)


def test_interrupted_it_keeps_the_answers_under_way(campaign: Campaign) -> None:
    with fake_llm("--latency", 1500) as endpoint:
        campaign.configure(text(endpoint, concurrency=8))
        command = campaign.earthscribe.start("caption", "c.yaml", folder=campaign.folder)
        while endpoint.audit()["in_flight"] < 8:
            time.sleep(0.05)
        command.signal(signal.SIGINT)
        sent = endpoint.audit()["requests"]
        ended = command.wait()
        audit = endpoint.audit()
        status = campaign.status()["text"]
    assert ended.code == 130, ended.stderr
    assert audit["requests"] <= sent + 8
    assert status["done"] == audit["answered"] == status["requests"]["answered"] > 8
    assert status["requests"]["unknown"] == 0


def test_cancelled_on_prefects_page_it_keeps_the_answers_under_way(campaign: Campaign) -> None:
    with fake_llm("--latency", 500) as endpoint:
        config = campaign.configure(text(endpoint, concurrency=2))
        command = campaign.earthscribe.start("caption", "c.yaml", folder=campaign.folder)
        while endpoint.audit()["answered"] < 2:
            time.sleep(0.05)
        with campaign.earthscribe.prefect() as database:
            (run,) = flow_runs(database, config)
        home = Path(campaign.earthscribe.environment["PREFECT_HOME"])
        api = json.loads((home / "earthscribe-server" / "server.json").read_text())["url"]
        cancelling = {"state": {"type": "CANCELLING"}}
        assert httpx.post(f"{api}/flow_runs/{UUID(run['id'])}/set_state", json=cancelling).is_success
        ended = command.wait()
        audit = endpoint.audit()
        status = campaign.status()["text"]
    assert ended.code == 143, ended.stderr
    assert ended.stderr.endswith("interrupted: what was done is kept; run the command again to go on\n")
    assert audit["requests"] < TILES
    assert status["done"] == audit["answered"] == status["requests"]["answered"] == status["requests"]["sent"]
    with campaign.earthscribe.prefect() as database:
        assert [run["state_name"] for run in flow_runs(database, config)] == ["Cancelled"]


def test_what_is_asked_again_and_what_is_not(campaign: Campaign) -> None:
    with fake_llm() as endpoint:
        campaign.configure(text(endpoint, tiles={"count": 10}))
        assert campaign("caption", "--max-requests", 6).code == 0
        assert campaign.status()["text"]["done"] == 6
        assert endpoint.audit()["requests"] == 6
        campaign.configure(text(endpoint, tiles={"count": 10}, parameters={"temperature": 0.5}))
        assert campaign("caption").code == 0
        assert endpoint.audit()["requests"] == 10, "another prompt asks nothing again by itself"
        assert campaign("caption", "--renew").code == 0
        assert endpoint.audit()["requests"] == 16, "but for what the old one had"
        assert campaign("caption", "--renew", "--reparse").code == 0
        assert endpoint.audit()["requests"] == 16
    assert Counter(campaign.versions("text").values()) == {1: 4, 2: 6}


def test_a_renewal_leaves_failures_of_the_present_prompt_to_retry_failed(campaign: Campaign) -> None:
    with fake_llm("--faults", "refusal=0.1,content_filter=0.1", "--seed", 2) as endpoint:
        campaign.configure(text(endpoint, attempts=1))
        assert campaign("caption").code == 4
        failed = campaign.status()["text"]["failed"]
        assert set(failed) == {"refusal", "content_filter"}
        assert endpoint.audit()["requests"] == TILES
        assert campaign("caption", "--renew").code == 4
        assert endpoint.audit()["requests"] == TILES, "nothing has changed"
        assert campaign("caption", "--retry-failed", "refusal").code == 4
        sent = endpoint.audit()["requests"]
        assert sent == TILES + failed["refusal"], "the others are left as they are"
        campaign.configure(text(endpoint, attempts=1, parameters={"temperature": 0.5}))
        assert campaign("caption", "--renew").code == 4
        assert endpoint.audit()["requests"] == sent + TILES, "another prompt: also what had failed"


def test_rules_are_renewed_where_the_counts_have_changed(campaign: Campaign) -> None:
    campaign.configure({"name": "rules", "prompt": "rules"})
    assert campaign("caption").code == 0
    file = next((campaign.folder / "c" / "statistics").glob("*.parquet"))
    rows = pq.read_table(file)
    changed = rows.to_pylist()
    for row in changed[:2]:  # all of it snow
        row |= {patch: [0] * 8 + [sum(row[patch])] + [0] * 3 for patch in row if isinstance(row[patch], list)}
    pq.write_table(rows.from_pylist(changed, rows.schema), file)
    mine = {row["tile_id"] for row in changed[:2]} & campaign.versions("rules").keys()
    assert campaign("caption").code == 0
    assert set(campaign.versions("rules").values()) == {1}, "nothing is made anew by itself"
    assert campaign("caption", "--renew").code == 0
    assert {tile_id for tile_id, count in campaign.versions("rules").items() if count == 2} == mine
    assert all("snow" in row["text"] for row in campaign.rows() if row["tile_id"] in mine)


def test_a_larger_run_is_cut_into_slices(campaign: Campaign, tmp_path: Path) -> None:
    count = 510
    chips = tmp_path / "chips"
    chips.mkdir()
    profile = {"driver": "GTiff", "width": 16, "height": 16, "count": 1, "dtype": "uint8", "crs": "EPSG:32632"}
    with rasterio.open(chips / "0.tif", "w", **profile, transform=rasterio.Affine(10, 0, 5e5, 0, -10, 4e6)) as raster:
        raster.write(np.full((16, 16), 10, np.uint8), 1)
    for number in range(1, count):
        shutil.copy(chips / "0.tif", chips / f"{number}.tif")
    with fake_llm() as endpoint:
        config = write_config(
            tmp_path,
            "sliced",
            landcover={"product": "worldcover-2020", "source": str(chips)},
            tiles={"grid": "chips"},
            ledger=f"sqlite:///{tmp_path}/ledger.db",
            cluster={"threads": 1},
            captioners=[text(endpoint)],
        )
        assert campaign.earthscribe("statistics", config.name, folder=tmp_path).code == 0
        ended = campaign.earthscribe("caption", config.name, folder=tmp_path)
        audit = endpoint.audit()
    assert ended.code == 0, ended.stderr
    assert (audit["requests"], audit["answered"]) == (count, count)
    with campaign.earthscribe.prefect() as database:
        names = database.execute("SELECT name FROM task_run WHERE name LIKE 'text: requests % to %'").fetchall()
    parts = sorted(tuple(int(number) for number in name.split(" ")[2::2]) for (name,) in names)
    assert [first for first, _ in parts] == [1, *(last + 1 for _, last in parts[:-1])]
    assert parts[-1][1] == count
    assert len(parts) <= 10


def test_maps_that_cannot_be_read_cost_nothing(campaign: Campaign, tmp_path: Path) -> None:
    with fake_llm() as endpoint:
        campaign.configure({"name": "maps", "prompt": "vision", "endpoint": endpoint.url, "model": "v"})
        gone = shutil.copytree(campaign.landcover, tmp_path / "landcover")
        config = tmp_path / "c.yaml"
        config.write_text(config.read_text().replace(str(campaign.landcover), str(gone)))
        (raster,) = gone.rglob("*.tif")
        raster.write_bytes(raster.read_bytes()[:20_000])
        ended = campaign("caption")
        audit = endpoint.audit()
        status = campaign.status()["maps"]
    assert ended.code == 4, ended.stderr
    assert f"{TILES - audit['requests']} whose maps cannot be read" in ended.stderr
    assert audit["requests"] == status["done"] < TILES
    assert status["pending"] == TILES - status["done"], "they wait for their map"


def test_a_clock_set_back_between_runs_is_told_of(campaign: Campaign) -> None:
    with fake_llm() as endpoint:
        campaign.configure(text(endpoint, quota={"requests_per_day": 40}))
        assert campaign("caption", "--max-requests", 30).code == 0
        with contextlib.closing(sqlite3.connect(campaign.folder / "ledger.db")) as ledger, ledger:
            ledger.execute("UPDATE requests SET granted = granted + 7200000000, ended = ended + 7200000000")
        ended = campaign("caption")
        audit = endpoint.audit()
    assert ended.code == 0
    assert "which is yet to come" in ended.stderr
    assert audit["requests"] <= 40, "what lies in the future counts all the same"


def test_what_somebody_else_spends_costs_one_refusal_at_most(campaign: Campaign) -> None:
    with fake_llm("--requests-per-day", 40, "--window", "bucket") as endpoint:
        httpx.post(f"{endpoint.url.removesuffix('/v1')}/spend", json={"model": "m", "requests": 25}).raise_for_status()
        campaign.configure(text(endpoint, quota={"requests_per_day": 40, "window": "bucket"}))
        ended = campaign("caption")
        audit = endpoint.audit()
        status = campaign.status()["text"]
    assert ended.code == 0, ended.stderr
    assert audit["refused"] <= 1
    assert status["done"] == audit["answered"] == 15
    assert status["quota"][0]["left"] == 0
    assert "the quota is out" in ended.stderr
