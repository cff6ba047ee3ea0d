"""Ending on SIGTERM as on Ctrl-C: by an exception in the main thread, so that clean-up runs.

Inside asyncio an exception out of a signal handler would tear the loop; there the running work is
cancelled first, as asyncio itself does on Ctrl-C.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from types import FrameType

T = TypeVar("T")


class Stopped(KeyboardInterrupt):
    """SIGTERM came."""


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise Stopped


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Raise `Stopped` in the block when SIGTERM comes (in the main thread only)."""
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def until_stopped() -> Iterator[None]:
    """Take Ctrl-C or SIGTERM inside the block as the wanted end of it."""
    with contextlib.suppress(KeyboardInterrupt):
        yield


def run(work: Coroutine[None, None, T]) -> T:
    """Do as `asyncio.run` does; inside `terminable` SIGTERM cancels the work, then raises."""
    if signal.getsignal(signal.SIGTERM) is not _stop:
        return asyncio.run(work)
    try:
        return asyncio.run(_cancelled_by_sigterm(work))
    except asyncio.CancelledError:
        raise Stopped from None
    finally:
        signal.signal(signal.SIGTERM, _stop)


async def _cancelled_by_sigterm(work: Coroutine[None, None, T]) -> T:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work
