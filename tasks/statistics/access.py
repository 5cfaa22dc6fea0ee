"""How Dask workers come to know the access options of a place: by a plugin, outside of any task graph."""

from __future__ import annotations

from distributed import Worker, WorkerPlugin

from tasks.storage import Place, access_options, register_access


class ShareAccess(WorkerPlugin):
    """Hands the access options of places to each worker, as it starts or as the plugin is registered."""

    def __init__(self, *places: Place) -> None:
        self.options = {where.access: access_options(where) for where in places if where.access}
        self.name = "earthscribe-access-" + "-".join(sorted(self.options))

    def setup(self, worker: Worker) -> None:
        """Called by Dask on each worker."""
        del worker
        register_access(self.options)
