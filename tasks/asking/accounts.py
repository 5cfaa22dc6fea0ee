"""A configuration's captioners and endpoints as a ledger knows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tasks.configuration import Campaign, Captioner, Endpoint, mask_text
from tasks.quota.ledger import Ledger, open_ledger
from tasks.quota.windows import Limits


@contextmanager
def ledger_of(
    config: Campaign, captioners: Sequence[Captioner], warn: Callable[[str], None]
) -> Iterator[Ledger | None]:
    """The ledger of a campaign; none where none of some captioners asks endpoints.

    Args:
        config: the campaign.
        captioners: those.
        warn: told of requests that lie in the future.
    """
    if not any(captioner.pool for captioner in captioners):
        yield None
        return
    with open_ledger(config.ledger, warn=warn) as ledger:
        yield ledger


def limits_of(endpoint: Endpoint) -> Limits:
    """What an endpoint's configuration allows its account."""
    quota = endpoint.quota
    if quota is None:
        return Limits()
    return Limits(
        quota.requests_per_day,
        quota.window,
        quota.requests_per_minute,
        quota.tokens_per_minute,
        quota.tokens_per_day,
    )


def campaign_of(config: Campaign) -> str:
    """What a ledger, which may be of many campaigns, calls this one: its dataset."""
    return config.dataset.rstrip("/")


def endpoint_name(endpoint: Endpoint) -> str:
    """What a ledger calls an endpoint: by this its requests are priced. Holds no secret."""
    return f"{mask_text(endpoint.endpoint)} ({endpoint.model})"
