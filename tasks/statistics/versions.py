"""The versions that decide whether a Dask worker understands a task, and counts as the command that sent it would."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, TypeAlias

from tasks.statistics.table import CODE_VERSION

MUST_AGREE: Final = ("earthscribe", "python", "dask", "distributed", "cloudpickle", "msgpack", "numpy")
"""Packages that must be the same everywhere; of Python the first two parts of the version count."""

Versions: TypeAlias = tuple[tuple[str, str], ...]
"""Pairs of a package and its version, in the order of `MUST_AGREE`, and `CODE_VERSION`."""

_COUNTING = "counting"


@cache
def versions() -> Versions:
    """The versions of this process; ``none`` where a package is not installed."""
    python = ".".join(platform.python_version_tuple()[:2])
    packages = ((name, python if name == "python" else _version(name)) for name in MUST_AGREE)
    return (*packages, (_COUNTING, str(CODE_VERSION)))


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def differences(here: Versions, there: Versions, where: str) -> list[str]:
    """A line for each package of which another version is there."""
    others = dict(there)
    return [
        f"{name}: {own} here, {others.get(name, 'none')} on {where}"
        for name, own in here
        if others.get(name, "none") != own
    ]


def cluster_differences(answers: Mapping[str, Any]) -> list[str]:
    """Compares the versions of the packages that must agree.

    Args:
        answers: what ``Client.get_versions`` gives, asked for `MUST_AGREE`.

    Returns:
        A line for each package that is another one on the scheduler or on a worker than here.
    """
    ours = _told(answers["client"])
    others = {"the scheduler": answers["scheduler"], **answers["workers"]}
    return [line for name, answer in others.items() for line in differences(ours, _told(answer), name)]


def _told(answer: Mapping[str, Any]) -> Versions:
    """The versions that must agree, of one of the answers that Dask collects."""
    return tuple(_pairs(answer["packages"]))


def _pairs(packages: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in MUST_AGREE:
        told = str(packages.get(name) or "none")
        yield name, ".".join(told.split(".")[:2]) if name == "python" else told
