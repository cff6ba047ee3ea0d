"""Who waits for the peer: what the poller is to tell of each connection, and who waits too long.

A connection is here, or in a thread's hands, or among the uploads that wait for a place.
"""

from __future__ import annotations

from functools import partial
from heapq import nsmallest
from typing import TYPE_CHECKING, Final

from datastore_logic.serving.connection import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from selectors import BaseSelector

    from datastore_logic.serving.connection import Connection
    from datastore_logic.serving.line import Line

TOGETHER: Final = 256
"""How many idle connections are closed at once when all places are taken."""


class Waiting:
    """The connections that the poller watches, by when that began; `go_on` is called for each."""

    def __init__(self, poller: BaseSelector, go_on: Callable[[Connection, Line], None]) -> None:
        self._poller, self._go_on = poller, go_on
        self._events: dict[Connection, int] = {}

    def __contains__(self, conn: Connection) -> bool:
        return conn in self._events

    def __iter__(self) -> Iterator[Connection]:
        """Go through those who are here now; they may leave meanwhile."""
        return iter([*self._events])

    def add(self, conn: Connection, event: int) -> None:
        """Have the poller tell when the connection can go on."""
        if self._events.get(conn) == event:
            return
        self.discard(conn)
        self._poller.register(conn.sock, event, partial(self._go_on, conn))
        self._events[conn] = event

    def discard(self, conn: Connection) -> None:
        """Have the poller tell nothing more of it."""
        if self._events.pop(conn, None) is not None:
            self._poller.unregister(conn.sock)

    def late(self, now: float, *, stopping: bool) -> list[Connection]:
        """Return those for whom something has not come in time."""
        return [conn for conn in self._events if conn.is_late(now, stopping=stopping)]

    def longest_idle(self) -> list[Connection]:
        """Return a quarter of those that are idle, `TOGETHER` at most: who has been so longest."""
        idle = [conn for conn in self._events if conn.stage is Stage.IDLE]
        return nsmallest(min(TOGETHER, len(idle) // 4 + 1), idle, key=lambda conn: conn.since)

    def begin_anew(self) -> None:
        """Let who is silent, or in a head, have that time once more: a request may be coming."""
        for conn in self._events:
            if conn.stage in {Stage.IDLE, Stage.HEAD}:
                conn.enter(conn.stage)
