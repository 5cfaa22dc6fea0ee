"""How Dask workers come to know the access options of a place: by a plugin, outside of any task graph."""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Mapping
from typing import Any

from distributed import Worker, WorkerPlugin

from tasks.storage import Place, access_options, forget_access, register_access


class ShareAccess(WorkerPlugin):
    """Hands the access options of places to each worker, also to one that joins later, until it is taken back.

    For workers in other processes: what is taken back is gone from the whole process.
    """

    def __init__(self, *places: Place) -> None:
        self._options = {where.access: access_options(where) for where in places if where.access}
        self.name = "earthscribe-access-" + "-".join(sorted(self._options))

    def setup(self, worker: Worker) -> None:
        """Called by Dask on each worker."""
        del worker
        register_access(self._options)

    def teardown(self, worker: Worker) -> None:
        """Called by Dask on each worker when the plugin is taken back."""
        del worker
        forget_access(self._options)

    def __getstate__(self) -> dict[str, Any]:
        # Packed: a worker that lacks this package logs the bytes that it cannot read.
        options = {name: dict(of_place) for name, of_place in self._options.items()}
        return {"name": self.name, "packed": zlib.compress(pickle.dumps(options))}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.name = state["name"]
        self._options = pickle.loads(zlib.decompress(state["packed"]))  # noqa: S301 - Dask has just unpickled the rest
