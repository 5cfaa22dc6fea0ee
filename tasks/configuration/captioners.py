"""The captioners of a campaign: what is asked, of whom, and within which quotas."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from tasks.configuration.base import Part
from tasks.configuration.values import Count, HttpAddress, Key, Name, Number, OpenMapping, Options, Seed, Text, Window

BUILT_IN_PROMPTS = ("text", "vision", "rules")

Recipe = Literal["text", "vision", "rules"]
"""How a caption comes about: from statistics, from statistics and pictures, or from fixed rules."""


class Price(Part):
    """What an endpoint charges, for `estimate` and `status`."""

    prompt: Number = Field(ge=0, description="Price of a million prompt tokens.")
    completion: Number = Field(ge=0, description="Price of a million completion tokens.")


class Quota(Part):
    """The limits of one account; a limit that is absent is none."""

    requests_per_day: Count | None = Field(None, description="Most requests in a day.")
    window: Window = Field(
        "sliding",
        description="A day: sliding (any 24 hours), bucket (refilled evenly), utc or a time zone's calendar day.",
    )
    requests_per_minute: Count | None = Field(None, description="Most requests in a minute.")
    tokens_per_minute: Count | None = Field(None, description="Most tokens, asked and answered, in a minute.")
    tokens_per_day: Count | None = Field(None, description="Most tokens, asked and answered, in a day.")
    shared_as: Text | None = Field(
        None, description="The account's name, where several share it; default: the endpoint's host, port and model."
    )


class Endpoint(Part):
    """One model at one address, and how it may be used."""

    endpoint: HttpAddress = Field(description="Base address of an OpenAI-compatible API, such as https://host/v1.")
    model: Text = Field(description="The model's name at that endpoint.")
    api_key: Key | None = Field(None, description="${NAME} from the environment, or prefect-secret:BLOCK.")
    concurrency: Count = Field(16, description="Most requests in flight at once.")
    price: Price | None = Field(None, description="Price per million tokens.")
    quota: Quota | None = Field(None, description="Limits of the account; absent: as fast as it goes.")

    @property
    def account(self) -> str:
        """The account whose quota is used: `shared_as`, else host and port and model."""
        if self.quota is not None and self.quota.shared_as is not None:
            return self.quota.shared_as
        return default_account(self.endpoint, self.model)


class Subset(Part):
    """A seeded random subset of the kept tiles."""

    count: Count = Field(description="Number of tiles.")
    seed: Seed = Field(0, description="Seed of the draw.")


class Captioner(Part):
    """One way to caption the tiles, under one name in every table."""

    name: Name = Field(description="Name in the tables; letters, digits, dots, dashes and underscores.")
    prompt: Text = Field(description="text, vision, rules, or a folder of your own templates.")
    recipe: Recipe = Field(
        default_factory=lambda data: data.get("prompt") if data.get("prompt") in BUILT_IN_PROMPTS else "text",
        description="With a folder of templates: text or vision, the built-in prompt that they stand in for.",
    )
    overall: Literal["names", "shares"] = Field(
        "names", description="First line of the text prompt: names of the classes, or their shares too."
    )
    endpoint: HttpAddress | None = Field(None, description="Base address of an OpenAI-compatible API.")
    model: Text | None = Field(None, description="The model's name at that endpoint.")
    api_key: Key | None = Field(None, description="${NAME} from the environment, or prefect-secret:BLOCK.")
    images_per_request: Count = Field(1, le=4, description="Tiles in one request; more than one for vision only.")
    max_tokens: Count = Field(300, description="Budget of an answer, tokens per tile.")
    parameters: OpenMapping = Field(
        default_factory=Options, description="Sent to the model as they are, such as temperature."
    )
    concurrency: Count = Field(16, description="Most requests in flight at once.")
    timeout: Number = Field(60, gt=0, description="Seconds until a request is given up.")
    attempts: Count = Field(5, description="Attempts per tile.")
    price: Price | None = Field(None, description="Price per million tokens.")
    quota: Quota | None = Field(None, description="Limits of the account; absent: as fast as it goes.")
    endpoints: tuple[Endpoint, ...] | None = Field(
        None, min_length=1, description="A pool of endpoints, of which the freest takes the next request."
    )
    tiles: Subset | None = Field(None, description="A seeded random subset; absent: every kept tile.")

    @property
    def pool(self) -> tuple[Endpoint, ...]:
        """Every endpoint that may be asked, one or several; none for rules."""
        if self.endpoints is not None:
            return self.endpoints
        if self.endpoint is None or self.model is None:
            return ()
        own: dict[str, Any] = {key: getattr(self, key) for key in Endpoint.model_fields}
        return (Endpoint.model_construct(**own),)


def default_account(endpoint: str, model: str) -> str:
    """The name of an account that no `shared_as` names: the endpoint's host and port, and the model.

    Raises:
        ValueError: the endpoint is no address.
    """
    parts = urlsplit(endpoint)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{parts.hostname}:{port} {model}"
