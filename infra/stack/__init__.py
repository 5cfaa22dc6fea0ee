"""The local stack: the parts of ``infra/compose.yaml`` as processes of one machine, without containers.

``python -m infra.stack start`` (``make stack``) starts PostgreSQL, Prefect's server, a process worker, a Dask scheduler
with two workers, an S3 server that checks keys, and Redis where it is installed. Everything lies in one folder
(``infra.stack.layout``). What runs is asked of the kernel: every process of a stack carries a mark in its environment,
which its descendants inherit (``infra.stack.processes``), so that nothing that was killed can leave a wrong record.
"""
