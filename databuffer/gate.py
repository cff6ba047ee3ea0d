"""Letting requests through.

`Places`: a bounded number at once. `Gate`: any number, unless one wants to be alone.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from databuffer.errors import Busy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Places:
    """At most `count` inside; the others wait, up to `patience` seconds, then `Busy`."""

    def __init__(self, count: int, patience: float, what: str = "writes") -> None:
        self.count, self._patience, self._what = count, patience, what
        self._free = asyncio.Semaphore(count)
        self.taken = self.waiting = 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[Place]:
        """Hold a place."""
        place = Place(self)
        await place.take()
        try:
            yield place
        finally:
            place.give_up()

    async def enter(self) -> None:
        """Take one of the places; raise `Busy`."""
        if self._free.locked():
            await self._wait()
        else:
            await self._free.acquire()
        self.taken += 1

    def leave(self) -> None:
        """Make room."""
        self.taken -= 1
        self._free.release()

    async def _wait(self) -> None:
        self.waiting += 1
        try:
            async with asyncio.timeout(self._patience):
                await self._free.acquire()
        except TimeoutError:
            raise Busy(f"{self.count} {self._what} are in flight") from None
        finally:
            self.waiting -= 1


class Place:
    """One of the places. Who has it may be made to wait by others, and then must not hold it."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._held = False

    async def take(self) -> None:
        """Have the place, or have it again; raise `Busy`."""
        if not self._held:
            await self._places.enter()
            self._held = True

    def give_up(self) -> None:
        """Let somebody else have it; harmless when that is done already."""
        if self._held:
            self._held = False
            self._places.leave()

    @asynccontextmanager
    async def while_waiting(self, patience: float) -> AsyncIterator[None]:
        """Keep the place for so many seconds; if the wait is longer, take one again after it."""
        timer = asyncio.get_running_loop().call_later(patience, self.give_up)
        try:
            yield
        finally:
            timer.cancel()
        await self.take()


class Gate:
    """Any number pass while it is open; whoever closes it is alone once those inside left."""

    def __init__(self) -> None:
        self._inside = 0
        self._empty = asyncio.Event()
        self._empty.set()
        self._alone = asyncio.Lock()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Pass, after whoever is alone now."""
        if self._alone.locked():
            async with self._alone:
                self._enter()
        else:
            self._enter()
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._empty.set()

    @asynccontextmanager
    async def closed(self) -> AsyncIterator[None]:
        """Be alone."""
        async with self._alone:
            await self._empty.wait()
            yield

    def _enter(self) -> None:
        self._inside += 1
        self._empty.clear()
