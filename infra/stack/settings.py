"""The files of settings in ``deployments/``, as the local stack uses them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

DEPLOYMENTS: Final = Path(__file__).parents[2] / "deployments"


def read_settings(path: Path) -> dict[str, str]:
    """Reads a file of ``NAME=VALUE`` lines; lines that begin with ``#`` are comments.

    Raises:
        ValueError: a line is neither; names it.
    """
    settings = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if line and not line.startswith("#"):
            name, equals, value = line.partition("=")
            if not equals or not name.isidentifier():
                raise ValueError(f"{path}, line {number}: expected NAME=VALUE, found {line!r}")
            settings[name] = value
    return settings


def server_settings(*, with_redis: bool) -> dict[str, str]:
    """The team's settings; without Redis, what would be kept there is kept as on one machine, or as by default."""
    team = read_settings(DEPLOYMENTS / "server-team.env")
    if with_redis:
        return team
    alone = read_settings(DEPLOYMENTS / "server-one-machine.env")
    in_redis = {name for name, value in team.items() if value.startswith("prefect_redis.")}
    return {name: value for name, value in team.items() if name not in in_redis} | {
        name: alone[name] for name in in_redis if name in alone
    }


def worker_settings() -> dict[str, str]:
    """The settings of workers and their flow runs."""
    return read_settings(DEPLOYMENTS / "worker.env")
