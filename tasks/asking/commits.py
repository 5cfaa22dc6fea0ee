"""Group commits: what many wait for is written in one transaction, while the next is gathering."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_MOST = 500
"""Items of one transaction: it stays short, and its statements below what databases take."""


class GroupCommit(Generic[Item, Result]):
    """Commits items that arrive while one commit is under way together in the next, in order of arrival.

    There is one writer, so that nobody waits for a lock of its own process. Within one event loop.

    Args:
        commit: writes items for good and returns a result for each, in order; called in a thread, never twice at once.
    """

    def __init__(self, commit: Callable[[Sequence[Item]], Sequence[Result]]) -> None:
        self._commit = commit
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def __call__(self, item: Item) -> Result:
        """Commits one item. Who is cancelled while waiting has it committed all the same.

        Raises:
            Exception: what the commit raised, to all of a group.
        """
        return await self.put(item)

    def put(self, item: Item) -> asyncio.Future[Result]:
        """Has one item committed; the future has its result, or what the commit raised."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        return future

    async def drained(self) -> None:
        """Waits until everything is committed."""
        while self._writer is not None:
            await asyncio.wait([self._writer])

    async def _write(self) -> None:
        await asyncio.sleep(0)  # whoever is about to ask comes along
        while self._waiting:
            group, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
            try:
                results = await asyncio.to_thread(self._commit, [item for item, _ in group])
            except Exception as error:
                for _, future in group:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), result in zip(group, results, strict=True):
                if not future.done():
                    future.set_result(result)
        self._writer = None
