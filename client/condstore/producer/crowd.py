"""A bounded number of workers that draw from one source, and stop together.

At the first failure nobody draws any more, but what is on its way may still come home for `GRACE`
seconds: an answer that is given up would leave done what nobody has counted. Cancelled, the crowd
leaves no task behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from condstore.errors import CondstoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

T = TypeVar("T")

GRACE: Final = 5.0
"""Seconds that those at work get to finish what they hold, once one has failed."""


async def each(
    items: Iterable[T] | AsyncIterable[T], act: Callable[[T], Awaitable[object]], workers: int
) -> None:
    """Act on every item, at most `workers` at a time and as many drawn; raise the first failure."""
    crowd = _Crowd(items, act)
    try:
        async with asyncio.TaskGroup() as group:
            crowd.tasks = [group.create_task(crowd.work()) for _ in range(workers)]
    except BaseExceptionGroup as several:
        raise _innermost(several) from several
    finally:
        crowd.forget_grace()
    if crowd.failure is not None:
        raise crowd.failure


class _Crowd(Generic[T]):
    def __init__(
        self, items: Iterable[T] | AsyncIterable[T], act: Callable[[T], Awaitable[object]]
    ) -> None:
        self._items = drawn(items)
        self._act = act
        self._turn = asyncio.Lock()  # an asynchronous generator suffers one caller at a time
        self._grace: asyncio.TimerHandle | None = None
        self.tasks: list[asyncio.Task[None]] = []
        self.failure: CondstoreError | None = None

    async def work(self) -> None:
        """Act on one item after the other until there is none, or somebody has failed."""
        try:
            while self.failure is None:
                async with self._turn:
                    item = await anext(self._items)
                await self._act(item)
        except StopAsyncIteration:
            return
        except CondstoreError as failure:
            self._stop(failure)

    def _stop(self, failure: CondstoreError) -> None:
        if self.failure is None:
            self.failure = failure
            self._grace = asyncio.get_running_loop().call_later(GRACE, self._cancel)

    def _cancel(self) -> None:
        for task in self.tasks:
            task.cancel()

    def forget_grace(self) -> None:
        """Leave nothing behind in the loop."""
        if self._grace is not None:
            self._grace.cancel()


def drawn(items: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    """Return what yields the items one by one, whichever kind of source they come from."""
    return aiter(items) if isinstance(items, AsyncIterable) else _one_by_one(items)


async def _one_by_one(items: Iterable[T]) -> AsyncIterator[T]:
    for item in items:
        yield item


def _innermost(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _innermost(first) if isinstance(first, BaseExceptionGroup) else first
