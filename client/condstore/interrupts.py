"""Ending on SIGTERM, or when the terminal closes, as on Ctrl-C: by an exception that cleans up.

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


_ENDS = (signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """SIGTERM or SIGHUP came."""


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise Stopped


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Raise `Stopped` in the block when one of the signals comes (main thread only)."""
    before = [signal.signal(number, _stop) for number in _ENDS]
    try:
        yield
    finally:
        for number, handler in zip(_ENDS, before, strict=True):
            signal.signal(number, handler)


@contextlib.contextmanager
def until_stopped() -> Iterator[None]:
    """Take Ctrl-C or a signal inside the block as the wanted end of it."""
    with contextlib.suppress(KeyboardInterrupt):
        yield


def run(work: Coroutine[None, None, T]) -> T:
    """Do as `asyncio.run` does; inside `terminable` a signal cancels the work first."""
    if signal.getsignal(signal.SIGTERM) is not _stop:
        return asyncio.run(work)
    try:
        return asyncio.run(_cancelled_by_signals(work))
    except asyncio.CancelledError:
        raise Stopped from None
    finally:
        for number in _ENDS:
            signal.signal(number, _stop)


async def _cancelled_by_signals(work: Coroutine[None, None, T]) -> T:
    task = asyncio.current_task()
    if task is not None:
        for number in _ENDS:
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await work
