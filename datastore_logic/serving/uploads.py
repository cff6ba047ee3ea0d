"""Places for uploads: half of the threads, so that threads for all other requests are left.

An upload is a body that is too long to be gathered, or that wants to be asked for: a thread has to
wait for it. It gives its place back as soon as it has come, whatever is then done with it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from datastore_logic.serving.connection import Stage
from datastore_logic.serving.relief import SOON, end_slowest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from datastore_logic.serving.connection import Connection

NO_PLACE: Final = "Too many large bodies are on their way; come again."


class Uploads:
    """Those that have a place, and those that wait for one; `serve` is called with who gets one."""

    def __init__(self, threads: int, rate: int, serve: Callable[[Connection], None]) -> None:
        self._places = max(1, threads // 2)
        self._rate, self._serve = rate, serve
        self._placed: set[Connection] = set()
        self._queue: deque[Connection] = deque()

    def add(self, conn: Connection) -> None:
        """Have an upload served, or wait until there is a place for it."""
        conn.enter(Stage.QUEUED)
        self._queue.append(conn)
        self._give_places()

    def has_come(self, conn: Connection) -> None:
        """Give its place to another, if it had one: of its body nothing is missing any more."""
        self._placed.discard(conn)
        self._give_places()

    def _give_places(self) -> None:
        """Serve those that have waited longest, as far as there are places for them."""
        while self._queue and len(self._placed) < self._places:
            conn = self._queue.popleft()
            self._placed.add(conn)
            self._serve(conn)

    def late(self, now: float, *, stopping: bool) -> Iterator[Connection]:
        """Let those go, one after another, that have waited too long."""
        while self._queue and self._queue[0].is_late(now, stopping=stopping):
            yield self._queue.popleft()

    def relieve(self, now: float) -> None:
        """End those that are too slow, as many as others have waited for a while."""
        if self._queue and now - self._queue[0].since > SOON:
            end_slowest(self._placed, len(self._queue), self._rate, now)
