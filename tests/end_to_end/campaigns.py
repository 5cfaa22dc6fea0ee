"""Campaigns that ask a real `fake-llm`, for the end-to-end tests."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
from commands import Commands, Ended, write_config

TILES = 65
"""Kept tiles of the made scene in `Campaign`'s area."""


@dataclass(frozen=True)
class Endpoint:
    """A running `earthscribe fake-llm`."""

    url: str
    process: subprocess.Popen[str]

    def audit(self) -> dict[str, Any]:
        return dict(httpx.get(f"{self.url.removesuffix('/v1')}/audit").json())


@contextlib.contextmanager
def fake_llm(*options: object, day: float | None = None) -> Iterator[Endpoint]:
    environment = os.environ | ({} if day is None else {"EARTHSCRIBE_DAY_SECONDS": str(day)})
    command = [sys.executable, "-m", "flows", "fake-llm", *map(str, options)]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield Endpoint(process.stdout.readline().strip(), process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10)


@dataclass(frozen=True)
class Campaign:
    """A campaign whose tiles are counted."""

    earthscribe: Commands
    folder: Path
    landcover: Path

    def configure(self, *captioners: dict[str, Any], **keys: Any) -> Path:
        default = {
            "landcover": {"product": "worldcover-2020", "source": str(self.landcover)},
            "ledger": f"sqlite:///{self.folder}/ledger.db",
            "tiles": {"area": [6.40, 0.00, 6.62, 0.18]},
            "cluster": {"threads": 1},
            "captioners": list(captioners),
        }
        return write_config(self.folder, **default | keys)

    def __call__(self, command: str, *options: object, **environment: str) -> Ended:
        return self.earthscribe(command, "c.yaml", *options, folder=self.folder, **environment)

    def status(self, **environment: str) -> dict[str, Any]:
        return dict(json.loads(self("status", "--json", **environment).stdout)["captioners"])

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self("captions").stdout.splitlines()]

    def versions(self, captioner: str) -> Counter[str]:
        """How many versions of each tile there are."""
        table = pq.read_table(self.folder / "c" / "captions" / f"{captioner}.parquet")
        return Counter(table.column("tile_id").to_pylist())


def text(endpoint: Endpoint, **keys: Any) -> dict[str, Any]:
    return {"name": "text", "prompt": "text", "endpoint": endpoint.url, "model": "m", **keys}


def sent_agrees(status: dict[str, Any], audit: dict[str, Any]) -> bool:
    requests = status["requests"]
    parts = sum(requests[name] for name in ("answered", "refused", "failed", "in_flight", "unknown"))
    return bool(requests["sent"] == parts == audit["requests"])
