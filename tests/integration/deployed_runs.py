"""Campaigns that a worker runs, each to another end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tasks.configuration import Campaign, load_for_worker
from tasks.scene import write_scene

UNSET: Mapping[str, Any] = {"__prefect_kind": "json"}
"""What Prefect's form sends for a mapping that is left empty."""


def asking(name: str, url: str = "http://127.0.0.1:9/v1", **keys: Any) -> dict[str, Any]:
    """A captioner of the text prompt."""
    return {"name": name, "prompt": "text", "endpoint": url, "model": f"model-of-{name}", **keys}


def campaign(folder: Path, name: str, *captioners: Mapping[str, Any], **keys: Any) -> Campaign:
    """A campaign on the made map, read as `deploy` reads it."""
    if not (folder / "landcover").exists():
        write_scene(folder / "landcover")
    said = {
        "dataset": f"./{name}",
        "ledger": f"sqlite:///{name}.ledger.db",
        "landcover": {"product": "worldcover-2020", "source": "./landcover"},
        "tiles": {"area": [6.40, 0.00, 6.62, 0.18]},
        "splits": {"by": "none"},
        "captioners": list(captioners),
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(said | keys))
    return load_for_worker(path)


def as_the_form_sends(config: Campaign) -> dict[str, Any]:
    """A configuration as Prefect's form sends it when nothing was edited: with every default of its schema."""
    written = config.written
    no_endpoint = dict.fromkeys(("endpoint", "model", "api_key", "price", "quota", "endpoints", "tiles"))
    captioner = no_endpoint | {
        "overall": "names",
        "images_per_request": 1,
        "max_tokens": 300,
        "parameters": UNSET,
        "concurrency": 16,
        "timeout": 60,
        "attempts": 5,
    }
    no_limit = dict.fromkeys(
        ("requests_per_day", "requests_per_minute", "tokens_per_minute", "tokens_per_day", "shared_as")
    )
    return written | {
        "storage_options": UNSET,
        "landcover": written["landcover"] | {"storage_options": UNSET},
        "tiles": {
            "grid": "webmercator",
            "min_valid": 0.5,
            "max_share": UNSET,
            "min_classes": 1,
            "include": None,
            "sample": {"strategy": "all", "seed": 0, "count": None},
        }
        | written["tiles"],
        "splits": {"train": 0.6, "val": 0.1, "test": 0.3, "seed": 0} | written["splits"],
        "imagery": None,
        "cluster": {"workers": None, "address": None},
        "captioners": [
            captioner | one | ({"quota": no_limit | {"window": "sliding"} | one["quota"]} if "quota" in one else {})
            for one in written["captioners"]
        ],
    }
