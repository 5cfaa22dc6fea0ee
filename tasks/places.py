"""Where a campaign's dataset and land cover lie, with their access options registered."""

from __future__ import annotations

from tasks.configuration import Campaign
from tasks.storage import Place, place


def dataset_of(config: Campaign) -> Place:
    """The place of a campaign's dataset."""
    return place(config.dataset, config.storage_options)


def source_of(config: Campaign) -> Place:
    """The place of a campaign's land cover."""
    return place(config.landcover.source, config.landcover.storage_options)
