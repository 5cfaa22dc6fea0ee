"""Steps of a flow as Prefect task runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import cache
from typing import Any, Final, TypeVar, cast

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

_Result = TypeVar("_Result")

_current: ContextVar[tuple[str, Callable[[], None]]] = ContextVar("step")
"""Name and work of the step that begins."""

MOST_TASK_RUNS: Final = 500
"""About as many as a flow run makes: a run's page bears no more, nor does the server's recorder in a burst."""


def step(name: str, work: Callable[[], _Result], *tags: str) -> _Result:
    """Does a piece of work as a task run of that name; outside a flow run simply does it.

    Before a task run that has tags, Prefect asks its server for limits on these tags: 7 to 20 ms, and seconds while
    the server is busy with what it was told of hundreds of task runs. That is too much for a single request to an
    endpoint, and for what follows many of them.

    The work takes no arguments: Prefect walks and hashes what a task is given, which tables of tiles are too large for.
    Nor does the task return anything: a flow run keeps its tasks' results in memory until it ends.
    """
    if not FlowRunContext.get():
        return work()
    made: list[_Result] = []
    before = _current.set((name, lambda: made.append(work())))
    try:
        _task(tags)()
    finally:
        _current.reset(before)
    return made.pop()


@cache
def _task(tags: tuple[str, ...]) -> Task[[], None]:
    """One task for all steps with some tags: to make one takes Prefect longer than much of what they do."""

    # A name is text from outside: in braces it would be a template.
    @task(name="step", task_run_name=lambda: _current.get()[0], tags=tags, cache_policy=NO_CACHE, persist_result=False)
    def step_of_the_flow() -> None:
        _, work = _current.get()
        work()

    return step_of_the_flow


def share_out(wanted: Mapping[str, int], most: int) -> dict[str, int]:
    """Shares a number of task runs out: who wants few gets them all, and the others the same number each, at least one.

    Args:
        wanted: how many task runs each would make.
        most: how many there are for all of them.
    """
    shares: dict[str, int] = {}
    for name, count in sorted(wanted.items(), key=lambda item: item[1]):
        shares[name] = max(1, min(count, most // (len(wanted) - len(shares))))
        most -= shares[name]
    return shares


def task_threads() -> TaskRunner[PrefectFuture[Any]]:
    """Runs a flow's tasks on a few threads: enough to keep a cluster busy while one of them writes its file.

    Prefect's default is a thread for every task run, however many there are.
    """
    return cast(TaskRunner[PrefectFuture[Any]], ThreadPoolTaskRunner(max_workers=4))
