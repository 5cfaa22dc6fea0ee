"""The published campaign at a twentieth of its size: weeks by a simulated clock, with real processes and kills."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.campaigns import figures
from tests.benchmarks.simulated.audit import DAY, least_days, most_spent
from tests.benchmarks.simulated.campaign import Result, published, run_campaign
from tests.benchmarks.simulated.tiers import Tier
from tests.benchmarks.sizes import QUICK

SECOND = 1_000_000


def check(result: Result, pause: float = 0.0) -> None:
    for account in result.accounts:
        tier = account.tier
        assert account.captions == Counter({1: tier.tiles}), "every tile is captioned exactly once"
        assert account.most_arrived <= tier.daily, "by the endpoint's own count"
        assert account.most_granted <= tier.daily + 1e-6, "by the trace of all grants, at its worst"
        assert account.refused == account.sums.refused == 0
        assert account.sums.in_flight == account.sums.failed == 0
        assert account.arrived <= account.sums.sent == account.sums.answered + account.sums.unknown
        assert account.answered_again <= account.sums.unknown
        assert account.days <= 1.01 * account.least_days + pause
    unknown = sum(account.sums.unknown for account in result.accounts)
    assert unknown >= result.in_flight, "what died with its process counts as spent"


@pytest.mark.timeout(900)
def test_a_twentieth_of_the_published_campaign(tmp_path: Path) -> None:
    result = run_campaign(tmp_path, published("sliding", QUICK.campaign))
    assert result.kills == 20
    check(result)
    assert all(figure.holds for figure in figures(result))


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("window", "text", "vision"), [("bucket", 140, 32), ("utc", 250, 60)])
def test_other_windows(tmp_path: Path, window: str, text: int, vision: int) -> None:
    tiers = (
        Tier("text", "text", text, 1, 100, window, concurrency=8),
        Tier("vision", "vision", vision, 4, 6, window, concurrency=4),
    )
    result = run_campaign(tmp_path, tiers, kills=4)
    assert result.kills == 4
    check(result, pause=1 / 48)


def test_the_audit_finds_one_request_too_many() -> None:
    instants = np.arange(10, dtype=np.int64) * SECOND + DAY
    again = instants + DAY
    both = np.concatenate([instants, again + 1])
    assert most_spent(both, both, 10, "sliding") == 10
    early = np.concatenate([instants, again - 1])
    assert most_spent(early, early, 10, "sliding") == 11
    assert most_spent(both, both + 30 * SECOND, 10, "sliding") == 20, "each counts for a day from its end"
    assert most_spent(both, both, 10, "utc") == 10
    late = both + 12 * 3600 * SECOND
    assert most_spent(late, late + 12 * 3600 * SECOND, 10, "utc") == 20, "what is in flight at midnight counts twice"


def test_the_audit_knows_how_a_bucket_refills() -> None:
    full = np.zeros(10, np.int64)
    slots = np.arange(1, 30, dtype=np.int64) * (DAY // 10)
    kept = np.concatenate([full, slots])
    assert most_spent(kept, kept, 10, "bucket") == pytest.approx(10)
    hasty = np.concatenate([full, slots - DAY // 100])
    assert most_spent(hasty, hasty, 10, "bucket") > 10
    assert most_spent(kept, kept + DAY // 10, 10, "bucket") == pytest.approx(11), (
        "one in flight counts from its grant to its end"
    )


def test_the_least_days() -> None:
    assert least_days(163_488, 10_000, "sliding") == least_days(163_488, 10_000, "utc") == 16
    assert least_days(163_488, 10_000, "bucket") == pytest.approx(15.3488)
    assert least_days(10_000, 10_000, "bucket") == 0
