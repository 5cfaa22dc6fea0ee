"""What can go wrong, as a small tree.

EarthscribeError
├── InputError               the configuration or an input is wrong; nothing was started (exit code 2)
│   ├── ConfigurationError   one or more mistakes in the configuration, all of them listed
│   ├── UnfinishedError      a release would lack what is still to be made
│   └── RefusedError         a bucket refuses what is asked of it (it is a StoreError too)
├── StoreError               a bucket does not answer, or not as it should; a disk cannot be written
│   └── DamagedError         a file in a bucket is not there, or is cut short; the bucket itself does answer
├── ClusterError             a Dask cluster that runs elsewhere does not compute
│   └── ClusterLostError     its scheduler went while it computed: worth another try
└── SourceError              one or more land-cover sources cannot be used; the others go on (exit code 4)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class EarthscribeError(Exception):
    """The root of all errors that earthscribe raises on purpose: the message is for the user."""


class InputError(EarthscribeError):
    """The configuration or an input is wrong: says what was expected and what to do."""


class ConfigurationError(InputError):
    """Every mistake found in a configuration, each with its key's path.

    Attributes:
        mistakes: pairs of key path (such as ``captioners[1].quota.requests_per_day``) and what was expected there.
    """

    def __init__(self, origin: str, mistakes: Sequence[tuple[str, str]]) -> None:
        self.origin = origin
        self.mistakes = list(mistakes)
        lines = "\n".join(f"  {path}: {expected}" for path, expected in self.mistakes)
        count = "1 mistake" if len(self.mistakes) == 1 else f"{len(self.mistakes)} mistakes"
        super().__init__(f"{origin}: {count}\n{lines}")

    def __reduce__(self) -> tuple[type[ConfigurationError], tuple[str, list[tuple[str, str]]]]:
        return type(self), (self.origin, self.mistakes)


class UnfinishedError(InputError):
    """A release would lack what is still to be made, or has nothing to hold yet."""


class StoreError(EarthscribeError, OSError):
    """A bucket does not answer, or not as it should, or a disk cannot be written: with files, an OSError."""


class RefusedError(StoreError, InputError):
    """A bucket refuses what is asked of it: wrong keys, no permission, no such bucket."""


class DamagedError(StoreError):
    """A file in a bucket is not there though it was listed, or ends too early: others there may be whole."""


class ClusterError(EarthscribeError):
    """A Dask cluster does not compute: it has no worker for long, or its workers die of what they are given."""


class ClusterLostError(ClusterError):
    """The connection to a Dask scheduler was lost, and what it computed with it; worth another try."""


class SourceError(EarthscribeError):
    """One or more land-cover sources cannot be used.

    Attributes:
        reasons: what is wrong, by source; a source is named by its path below the configured ``source``.
    """

    def __init__(self, reasons: Mapping[str, str]) -> None:
        self.reasons = dict(reasons)
        super().__init__("; ".join(f"{source}: {reason}" for source, reason in sorted(self.reasons.items())))

    def __reduce__(self) -> tuple[type[SourceError], tuple[dict[str, str]]]:
        return type(self), (self.reasons,)
