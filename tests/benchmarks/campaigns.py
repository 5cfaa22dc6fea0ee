"""The published campaign under its quotas, simulated: four processes, twenty of which are killed on the way."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.measuring import Figure
from tests.benchmarks.simulated.campaign import KILLS, Account, Result, published, run_campaign
from tests.benchmarks.sizes import Sizes


def whole_campaign(sizes: Sizes, scratch: Path) -> list[Figure]:
    """Both tiers, with a sliding window."""
    return figures(run_campaign(scratch, published("sliding", sizes.campaign)))


def figures(result: Result) -> list[Figure]:
    """What a campaign must have kept to."""
    killed = Figure("workers killed on the way", result.kills, "kills", ">=", KILLS)
    return [killed, *(figure for account in result.accounts for figure in _of_account(account))]


def _of_account(account: Account) -> list[Figure]:
    tier = account.tier
    of = f"{tier.name}: {tier.tiles:,} tiles at {tier.daily:,} a day"
    unlike = tier.tiles - account.captions[1]
    return [
        Figure(f"{of}, most at the endpoint at any instant", account.most_arrived, "requests", "<=", tier.daily),
        Figure(f"{of}, most granted at any instant", account.most_granted, "requests", "<=", tier.daily),
        Figure(f"{of}, refused", account.refused, "requests", "<=", 0),
        Figure(f"{of}, not captioned exactly once", unlike, "tiles", "<=", 0),
        Figure(f"{of}, days / least for its requests", account.days / account.least_days, "x", "<=", 1.01),
    ]
