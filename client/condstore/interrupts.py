"""Ending on Ctrl-C, on SIGTERM, or when the terminal closes: by an exception that cleans up.

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
    """One of the signals came."""


def _ends() -> tuple[signal.Signals, ...]:
    """Return the signals that end us.

    A shell starts what a script puts into the background with SIGINT ignored; who then sends one
    means it. But what `nohup` starts is to outlive its terminal.
    """
    always = (signal.SIGINT, signal.SIGTERM)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return always
    return (*always, signal.SIGHUP)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise Stopped


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Raise `Stopped` in the block when one of the signals comes (main thread only)."""
    before = {number: signal.signal(number, _stop) for number in _ends()}
    try:
        yield
    finally:
        for number, handler in before.items():
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
        for number in _ends():
            signal.signal(number, _stop)


async def _cancelled_by_signals(work: Coroutine[None, None, T]) -> T:
    task = asyncio.current_task()
    if task is not None:
        for number in _ends():
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await work
