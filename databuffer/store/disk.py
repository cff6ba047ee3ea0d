"""Threads for calls that wait on the disk; an `OSError` leaves here as `StorageFailed`."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from databuffer.errors import from_os_error

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


class Disk:
    """A bounded pool of threads; threads start with the first call."""

    def __init__(self, threads: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the call in a thread; it runs to its end even if the caller is cancelled."""
        loop = asyncio.get_running_loop()
        work = partial(call, *args, **kwargs) if kwargs else call
        try:
            return await loop.run_in_executor(self._pool, work, *(() if kwargs else args))
        except OSError as error:
            raise from_os_error(error) from error

    def close(self) -> None:
        """Wait for what runs and end the threads."""
        self._pool.shutdown(wait=True)
