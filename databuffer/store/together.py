"""Calls that are cheaper together: whatever waits is done by one call into the pool.

A call into the pool costs more than writing a small file: two wake-ups, and a fight for the
interpreter at every system call. With a few such calls at once and many callers, each carries
several. It knows nothing of what is done.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from databuffer.store.disk import Disk

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class Together(Generic[Item, Outcome]):
    """Does items in up to `lanes` calls at once, each of items that weigh about `most` together.

    `act` gives an outcome or an exception for each item, in their order; what it raises itself goes
    to all of them.
    """

    def __init__(
        self,
        disk: Disk,
        act: Callable[[Sequence[Item]], Sequence[Outcome | BaseException]],
        lanes: int,
        most: int,
    ) -> None:
        self._disk, self._act, self._lanes, self._most = disk, act, lanes, most
        self._waiting: deque[tuple[Item, int, asyncio.Future[Outcome]]] = deque()
        self._busy = 0
        self._tasks: set[asyncio.Task[None]] = set()  # the loop alone would let them be collected

    async def do(self, item: Item, weight: int) -> Outcome:
        """Return the item's outcome, or raise it. It is done even if the caller is cancelled."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, weight, future))
        if self._busy < self._lanes:
            self._busy += 1
            task = asyncio.create_task(self._run())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await future

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._call(*self._take())
        finally:
            # Here, not when the task is done: between the two an item could come, find all lanes
            # busy, and wait for a lane that will never look again.
            self._busy -= 1

    async def _call(self, items: list[Item], futures: list[asyncio.Future[Outcome]]) -> None:
        call = asyncio.create_task(self._disk.run(self._act, items))
        await asyncio.wait([call])
        failure = call.exception()
        outcomes = [failure] * len(items) if failure is not None else call.result()
        for future, outcome in zip(futures, outcomes, strict=True):
            resolve(future, outcome)

    def _take(self) -> tuple[list[Item], list[asyncio.Future[Outcome]]]:
        items: list[Item] = []
        futures: list[asyncio.Future[Outcome]] = []
        room = self._most
        while self._waiting and room > 0:
            item, weight, future = self._waiting.popleft()
            room -= weight
            items.append(item)
            futures.append(future)
        return items, futures


def resolve(future: asyncio.Future[Outcome], outcome: Outcome | BaseException) -> None:
    """Tell a caller its outcome, if it still waits."""
    if future.done():  # its caller was cancelled
        return
    if isinstance(outcome, BaseException):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
