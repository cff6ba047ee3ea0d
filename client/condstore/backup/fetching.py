"""Fetching payloads in bulk: several requests at a time, each for some hundreds of digests.

A payload that is too large for that is asked for alone, and so is every one where the databuffer is
too old to know the route. One that is lost, or comes damaged twice, is the store's loss and not the
backup's: it is noted, and all others are fetched.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
from collections import deque
from typing import TYPE_CHECKING, Final

from condstore import bulk
from condstore.errors import DamagedPayload, NotFound
from condstore.producer.exchange import Asked
from condstore.retry import PATIENT
from condstore.retry_async import persist_async

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from condstore.backup.shelf import Shelf
    from condstore.bulk import Record
    from condstore.producer.exchange import Exchange

_QUEUED: Final = 64  # batches: who reads the ledger waits then
_HEARD: Final = 0.1  # seconds
_TOGETHER: Final = 1 << 20  # bytes for one call into a thread
_AS_IT_IS: Final = {"Accept-Encoding": "identity"}
_FOUND: Final = frozenset({200})


class Fetching:
    """Payloads on their way from the databuffer to a shelf; use as `async with`.

    `got` and `size` count what has come, `wanted` what was asked for, `missing` names what the
    store does not have any more.
    """

    def __init__(self, exchange: Exchange, shelf: Shelf) -> None:
        self._exchange, self._shelf = exchange, shelf
        self._queue: asyncio.Queue[list[str]] = asyncio.Queue(_QUEUED)
        self._waiting: list[str] = []
        self._workers: list[asyncio.Task[None]] = []
        self._bulk = True
        self.wanted = self.got = self.size = 0
        self.missing: list[str] = []

    async def __aenter__(self) -> Fetching:
        self._workers = [asyncio.create_task(self._work()) for _ in range(bulk.AT_ONCE)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    async def want(self, names: Iterable[str]) -> None:
        """Have these fetched; wait while too many are under way. Raises what a worker met."""
        self._waiting += names
        while len(self._waiting) >= bulk.BATCH:
            await self._ask(bulk.BATCH)

    async def finish(self, hear: Callable[[], object]) -> None:
        """Return when all have come; `hear` is called now and then meanwhile."""
        if self._waiting:
            await self._ask(len(self._waiting))
        await self._unless_one_fails(self._queue.join(), hear)

    async def _ask(self, count: int) -> None:
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        self.wanted += len(batch)
        await self._unless_one_fails(self._queue.put(batch))

    async def _unless_one_fails(
        self, waited: Coroutine[None, None, None], hear: Callable[[], object] = bool
    ) -> None:
        """Wait for something that workers bring about, or raise what one of them met."""
        task = asyncio.ensure_future(waited)
        try:
            while not task.done():
                either = (task, *self._workers)
                await asyncio.wait(either, timeout=_HEARD, return_when=asyncio.FIRST_COMPLETED)
                for worker in self._workers:
                    if worker.done():
                        worker.result()
                hear()
        finally:
            task.cancel()

    async def _work(self) -> None:
        while True:
            batch = await self._queue.get()
            await self._fetch(batch)
            self._queue.task_done()

    async def _fetch(self, batch: list[str]) -> None:
        left, alone = deque(batch), list[str]()
        if self._bulk:
            await persist_async(functools.partial(self._some, left, alone), PATIENT)
        for name in (*alone, *left):
            await self._single(name)

    async def _some(self, left: deque[str], alone: list[str]) -> None:
        """Fetch what is left, taking out what has come; what is to be asked for alone is noted."""
        names = [*left]
        try:
            async with contextlib.aclosing(bulk.read(self._exchange, names)) as answer:
                async for records in answer:
                    await self._take(records, left, alone)
        except bulk.TooOld:
            self._bulk = False

    async def _take(self, records: list[Record], left: deque[str], alone: list[str]) -> None:
        damaged = await asyncio.to_thread(self._keep, records)
        for name, length, _ in records:
            left.popleft()
            if length == bulk.MISSING:
                self.missing.append(name)
                self.got += 1
            elif length == bulk.LARGE or name in damaged:
                alone.append(name)
            else:
                self.got += 1
                self.size += length

    def _keep(self, records: list[Record]) -> set[str]:
        """Write what came whole; return the names of what did not."""
        damaged = set()
        for name, length, content in records:
            if length >= bulk.LARGE:
                continue
            if hashlib.sha256(content).hexdigest() == name:
                self._shelf.keep(name, content)
            else:
                damaged.add(name)
        return damaged

    async def _single(self, name: str) -> None:
        try:
            self.size += await persist_async(functools.partial(self._alone, name), PATIENT)
        except (NotFound, DamagedPayload):
            self.missing.append(name)
        self.got += 1

    async def _alone(self, name: str) -> int:
        request = Asked("GET", f"/blobs/sha256/{name}", headers=_AS_IT_IS, accept=_FOUND)
        async with self._exchange.open(request) as response:
            with self._shelf.large(name) as pouring:
                async for piece in response.content.iter_chunked(_TOGETHER):
                    await asyncio.to_thread(pouring.write, piece)
        return pouring.size
