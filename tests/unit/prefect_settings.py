"""The settings that the installed Prefect knows, by the name of their environment variable."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import prefect_redis.cleanup_queue
import prefect_redis.client
from prefect.settings import Settings
from prefect.settings.legacy import _get_settings_fields


@cache
def known() -> Mapping[str, str]:
    """Where the value of each setting of Prefect itself is found, such as ``server.ui.enabled``."""
    return {
        name: field.accessor for name, field in _get_settings_fields(Settings).items() if name.startswith("PREFECT_")
    }


@cache
def known_to_redis() -> frozenset[str]:
    """The settings of prefect-redis."""
    models = (
        prefect_redis.client.RedisMessagingSettings,
        prefect_redis.cleanup_queue.RedisWorkerCleanupQueueSettings,
    )
    return frozenset(
        f"{model.model_config['env_prefix']}{name}".upper() for model in models for name in model.model_fields
    )


def value(settings: Settings, name: str) -> Any:
    """The value of a setting."""
    found: Any = settings
    for part in known()[name].split("."):
        found = getattr(found, part)
    return found
