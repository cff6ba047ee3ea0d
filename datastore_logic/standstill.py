"""How many requests of a worker wait for the databuffer at once, where it does not answer.

One that hangs would take BUFFER_TIMEOUT of every thread that asks it, and soon have them all: then
nobody is told what the view alone would answer, and no probe either. So some threads never wait for
it. As long as calls begin and end, one more waits for its turn; where nothing moves any more it is
told so at once.
"""

from __future__ import annotations

from contextlib import contextmanager
from threading import Condition, local
from time import monotonic
from typing import TYPE_CHECKING, Final

from datastore_logic.errors import BufferStandsStill
from datastore_logic.logs import REQUEST_ID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datastore_logic.watch import Call

STANDSTILL: Final = 1.0
"""Seconds in which no call began or ended."""


class Turns:
    """The calls of requests; those of threads that answer nobody, or within one, do not count."""

    def __init__(self, threads: int) -> None:
        self._most = threads - threads // 4
        self._inside = 0
        self._moved = monotonic()
        self._changed = Condition()
        self._own = local()

    @contextmanager
    def calling(self, _call: Call) -> Iterator[None]:
        """Be one of them.

        Raises:
            BufferStandsStill: there are as many as may be, and nothing moves.
        """
        if REQUEST_ID.get() is None or getattr(self._own, "is_inside", False):
            yield
            return
        self._begin()
        try:
            self._own.is_inside = True
            yield
        finally:
            self._own.is_inside = False
            self._end()

    def _begin(self) -> None:
        with self._changed:
            while self._inside >= self._most:
                left = self._moved + STANDSTILL - monotonic()
                if left <= 0:
                    raise BufferStandsStill("The databuffer does not answer; come again.")
                self._changed.wait(left)
            self._inside += 1
            self._moved = monotonic()

    def _end(self) -> None:
        with self._changed:
            self._inside -= 1
            self._moved = monotonic()
            self._changed.notify()
