"""What has come is taken without ever waiting, and given to a thread when there is enough of it.

That is when a request is whole, or when 64 KiB of it are there. So who drips a head or an ordinary
body costs a descriptor and some memory. What a thread would only refuse is refused here.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from selectors import EVENT_READ
from time import monotonic
from typing import TYPE_CHECKING

from datastore_logic.serving import alive, guests
from datastore_logic.serving.connection import Stage
from datastore_logic.serving.incoming import MOST_HEAD, Outlook

if TYPE_CHECKING:
    from collections.abc import Callable

    from datastore_logic.serving.connection import Connection
    from datastore_logic.serving.parting import Parting
    from datastore_logic.serving.threads import Threads
    from datastore_logic.serving.uploads import Uploads
    from datastore_logic.serving.waiting import Waiting

log = logging.getLogger(__name__)


class Gathering:
    """Takes what comes on a connection and decides what is next; `serve` gives it to a thread."""

    def __init__(
        self,
        waiting: Waiting,
        parting: Parting,
        threads: Threads,
        uploads: Uploads,
        serve: Callable[[Connection], None],
    ) -> None:
        self._waiting, self._parting = waiting, parting
        self._threads, self._uploads, self._serve = threads, uploads, serve

    def go_on(self, conn: Connection) -> None:
        """Take what has come, and do what is to be done with it."""
        try:
            if conn.stage is Stage.PARTING:
                self._parting.throw_away(conn)
            elif (event := self._handshake(conn)) is not None:
                self._waiting.add(conn, event)
            else:
                self._decide(conn, conn.gather())
        except OSError as reason:
            log.debug("a connection broke: %s", reason)
            self._parting.close(conn)

    def begin_next(self, conn: Connection) -> None:
        """Begin with the next request of a connection whose thread is done."""
        conn.take_back()
        if conn.incoming.held or conn.sock.has_more:
            self.go_on(conn)
        else:
            self._waiting.add(conn, EVENT_READ)

    @staticmethod
    def _handshake(conn: Connection) -> int | None:
        """Return what TLS waits for to begin, None if it has begun."""
        if conn.stage is not Stage.HANDSHAKE:
            return None
        event: int | None = conn.sock.shake_hands()
        if event is None:
            conn.stage = Stage.HEAD
        return event

    def _decide(self, conn: Connection, outlook: Outlook | None) -> None:
        match outlook:
            case None:
                self._parting.close(conn)
            case Outlook.BODY | Outlook.PART | Outlook.WHOLE if guests.is_refused(conn, outlook):
                self._parting.refuse(conn, HTTPStatus.SERVICE_UNAVAILABLE, guests.FULL)
            case Outlook.HEAD | Outlook.BODY:
                self._waiting.add(conn, EVENT_READ)
            case Outlook.WHOLE if self._threads.is_crowded and alive.is_asked(conn.incoming.held):
                nowhere = self._threads.nowhere(monotonic())
                self._parting.answer(conn, alive.answer(nowhere, conn.limits.stuck))
            case Outlook.WHOLE:
                self._serve(conn)
            case Outlook.PART:
                self._waiting.discard(conn)
                self._uploads.add(conn)
            case Outlook.TOO_LONG:
                words = f"Request line and headers are longer than {MOST_HEAD} bytes."
                self._parting.refuse(conn, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, words)
