"""Who has a thread or is about to get one, and whether the threads get anywhere.

A request that has come is handed over at once, however many are before it: those wait there.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from datastore_logic.serving.relief import SOON, end_slowest

if TYPE_CHECKING:
    from datastore_logic.serving.connection import Connection


class Threads:
    """So many threads, and the connections that were handed to them."""

    def __init__(self, many: int, rate: int) -> None:
        self._many, self._rate = many, rate
        self._served: set[Connection] = set()
        self._last_free = monotonic()
        self._crowded_since: float | None = None

    @property
    def busy(self) -> int:
        """How many threads have a request."""
        return min(len(self._served), self._many)

    @property
    def is_crowded(self) -> bool:
        """Whether all of them have one."""
        return len(self._served) >= self._many

    def take(self, conn: Connection) -> None:
        """Note that a connection is theirs."""
        if not self.is_crowded:
            self._last_free = monotonic()
        self._served.add(conn)

    def release(self, conn: Connection) -> None:
        """Note that a thread is done with it."""
        self._served.discard(conn)
        self._last_free = monotonic()

    def nowhere(self, now: float) -> float:
        """Return for how many seconds no thread was free, ended a request, or moved a byte."""
        return now - max([self._last_free, *(conn.sock.moved for conn in self._served)])

    def relieve(self, now: float) -> None:
        """End whom they wait for, where requests have waited for a thread for a while."""
        waiting = len(self._served) - self._many
        if waiting <= 0:
            self._crowded_since = None
        elif self._crowded_since is None:
            self._crowded_since = now
        elif now - self._crowded_since > SOON:
            end_slowest(self._served, waiting, self._rate, now)
