"""Steps of a flow as Prefect task runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

_Result = TypeVar("_Result")


def step(name: str, work: Callable[[], _Result]) -> _Result:
    """Does a piece of work as a task run of that name.

    The work takes no arguments: Prefect walks and hashes what a task is given, which tables of tiles are too large for.
    Nor does the task return anything: a flow run keeps its tasks' results in memory until it ends.
    """
    made: list[_Result] = []

    def run() -> None:
        made.append(work())

    task(name=name, task_run_name=name, cache_policy=NO_CACHE, persist_result=False)(run)()
    return made.pop()


def task_threads() -> TaskRunner[PrefectFuture[Any]]:
    """Runs a flow's tasks on a few threads: enough to keep a cluster busy while one of them writes its file.

    Prefect's default is a thread for every task run, however many there are.
    """
    return cast(TaskRunner[PrefectFuture[Any]], ThreadPoolTaskRunner(max_workers=4))
