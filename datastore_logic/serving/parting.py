"""How a connection ends: with an answer if there is anything to answer, and never waited for.

gunicorn's own closing waits up to two seconds for each client that does not close its end, in the
thread that everybody else depends on. Here we say that nothing more will be said, throw away what
still comes, and close when the client has, or when its time is over.
"""

from __future__ import annotations

from http import HTTPStatus
from selectors import EVENT_READ
from typing import TYPE_CHECKING, Final

from datastore_logic.serving.connection import Stage
from datastore_logic.serving.guests import FULL
from datastore_logic.serving.incoming import MOST_HEAD
from datastore_logic.serving.refusal import refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from datastore_logic.serving.connection import Connection
    from datastore_logic.serving.waiting import Waiting

LATE: Final = "The request did not come to its end in time."


class Parting:
    """Ends connections; `gone` is told of each that is about to be closed."""

    def __init__(self, waiting: Waiting, gone: Callable[[Connection], None]) -> None:
        self._waiting, self._gone = waiting, gone

    def end(self, conn: Connection) -> None:
        """End the waiting for a request: with an answer, if there is any of it to be answered."""
        is_begun = conn.stage is Stage.HEAD and conn.incoming.held
        if conn.is_guest and conn.stage is Stage.HEAD:
            self.refuse(conn, HTTPStatus.SERVICE_UNAVAILABLE, FULL)
        elif is_begun or conn.stage is Stage.BODY:
            self.refuse(conn, HTTPStatus.REQUEST_TIMEOUT, LATE)
        else:
            self.close(conn)

    def refuse(self, conn: Connection, status: HTTPStatus, words: str) -> None:
        """Answer that it is not served, and part."""
        retry_after = 1 if status is HTTPStatus.SERVICE_UNAVAILABLE else None
        self.answer(conn, refusal(status, words, retry_after=retry_after))

    def answer(self, conn: Connection, words: bytes) -> None:
        """Say the last there is to say, and part."""
        conn.sock.offer(words)
        self.part(conn)

    def part(self, conn: Connection) -> None:
        """Say that nothing more will be said, and let the client have it before we close."""
        if conn.sock.fileno() < 0:
            self.close(conn)
            return
        conn.sock.part()
        conn.enter(Stage.PARTING)
        self._waiting.add(conn, EVENT_READ)

    def throw_away(self, conn: Connection) -> None:
        """Read what still comes, and close if that is the end, or too much.

        Raises:
            OSError: the connection broke.
        """
        piece = conn.sock.take(MOST_HEAD)
        conn.thrown_away += len(piece or b"")
        if piece == b"" or conn.thrown_away > MOST_HEAD:
            self.close(conn)

    def turn_out(self, conn: Connection) -> None:
        """Close at once for others who come: who may still listen is told why."""
        if conn.stage is Stage.HEAD:
            conn.sock.offer(refusal(HTTPStatus.SERVICE_UNAVAILABLE, FULL, retry_after=1))
        self.close(conn)

    def close(self, conn: Connection) -> None:
        """Close without a word."""
        self._waiting.discard(conn)
        self._gone(conn)
        conn.close()
