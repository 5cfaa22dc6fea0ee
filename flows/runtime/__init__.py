"""What a flow run stands on: Prefect's server, the Dask cluster, locks, task runs, and how a run ends."""
