"""Our flows by name: what the command line runs and what is deployed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect import Flow

from flows.campaign import campaign
from flows.captions import captions
from flows.imagery import imagery
from flows.plan import plan
from flows.release import release
from flows.statistics import statistics
from flows.verification import verification

FLOWS: Mapping[str, Flow[Any, Any]] = {
    "campaign": campaign,
    "plan": plan,
    "statistics": statistics,
    "imagery": imagery,
    "captions": captions,
    "verification": verification,
    "release": release,
}
"""Our flows, by name."""
