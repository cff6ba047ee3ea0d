"""Long work in a thread that leaves the interpreter to others: they answer who reads and writes.

A thread that computes keeps the others waiting for five milliseconds at each of their turns, and
the event loop has several a request. So it works for a fifth of a millisecond and sleeps as long.
"""

from __future__ import annotations

import time

_TURN = 0.0002


class Turns:
    """The turns of one thread: `end` is called often, and sleeps when the turn was long enough."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    def end(self) -> None:
        """Let others go on if this turn was long enough."""
        took = time.perf_counter() - self._began
        if took > _TURN:
            time.sleep(took)
            self._began = time.perf_counter()
