"""The requests being answered now, and the way to stop: the last ones, then those to their end."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from aiohttp import web

from databuffer.errors import Stopping

if TYPE_CHECKING:
    from collections.abc import Iterator


class Traffic:
    """Counts requests inside; after `stop` lets none in."""

    def __init__(self) -> None:
        self._inside = 0
        self._empty = asyncio.Event()
        self.leaving = self.stopping = False

    @contextmanager
    def request(self, *, always: bool) -> Iterator[None]:
        """Be inside; raise `Stopping` unless this request is `always` answered."""
        if self.stopping and not always:
            raise Stopping("the databuffer is stopping")
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1
            if self.stopping and not self._inside:
                self._empty.set()

    def leave(self) -> None:
        """Let everybody in as before, but have each answer end its connection."""
        self.leaving = True

    async def stop(self, grace: float) -> None:
        """Let nobody in; return when nobody is inside, or after `grace` seconds."""
        self.leaving = self.stopping = True
        if self._inside:
            with suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await self._empty.wait()


TRAFFIC = web.AppKey("traffic", Traffic)
