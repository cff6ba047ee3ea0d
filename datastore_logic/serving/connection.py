"""One connection, from its first byte to its last: what has come, and what it waits for.

A connection is reused only if where the next request begins is beyond doubt: the body of the one
before must have come and parsed to its end. Else its answer already says `Connection: close`.
"""

from __future__ import annotations

import math
from enum import Enum, auto
from time import monotonic
from typing import TYPE_CHECKING, Final

from gunicorn.http.errors import ParseException
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser
from gunicorn.workers.gthread import TConn

from datastore_logic.serving.incoming import Incoming, Outlook
from datastore_logic.serving.line import Line

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from gunicorn.config import Config as Settings

    from datastore_logic.serving.pace import Limits

_DRAINED: Final = 1 << 16


class Stage(Enum):
    """Where a connection is; how long it may be there, `Connection.is_late` says."""

    HANDSHAKE = auto()
    IDLE = auto()
    """Nothing of a next request has come."""
    HEAD = auto()
    BODY = auto()
    QUEUED = auto()
    """An upload that waits for a place."""
    SERVED = auto()
    """A thread has it."""
    PARTING = auto()
    """We have said all; what still comes is thrown away."""


class Connection(TConn):  # type: ignore[misc]  # gunicorn is not typed
    """What gunicorn keeps of a connection, and what has come of its next request."""

    is_guest = False
    """Whether there is no place for it: only a probe is answered on it."""

    def __init__(
        self, cfg: Settings, sock: socket.socket, client: object, server: object, limits: Limits
    ) -> None:
        super().__init__(cfg, sock, client, server)
        self.sock = Line(sock)
        self.parser = _Parser(cfg, self.sock, client)
        self.initialized = self.data_ready = True  # nothing is left for a thread to begin with
        self.limits = limits
        self.incoming = Incoming()
        self.pace = limits.pace()
        self.thrown_away = 0
        self.enter(Stage.HANDSHAKE if cfg.is_ssl else Stage.HEAD)

    def enter(self, stage: Stage) -> None:
        """Begin a stage."""
        self.stage, self.since = stage, monotonic()

    def is_late(self, now: float, *, stopping: bool) -> bool:
        """Tell whether what it waits for has not come in time."""
        limits, seconds = self.limits, now - self.since
        match self.stage:
            case Stage.BODY:
                return self.pace.would_be_spent(seconds)
            case Stage.QUEUED:
                return seconds > limits.body
            case Stage.PARTING:
                return seconds > limits.linger
            case Stage.IDLE:
                return seconds > (limits.farewell if stopping else limits.idle)
            case Stage.HEAD | Stage.HANDSHAKE:
                return seconds > (min(limits.farewell, limits.head) if stopping else limits.head)
            case _:
                return False

    def gather(self) -> Outlook | None:
        """Take what has come; return what is to be done with it, None if the peer closed.

        Raises:
            OSError: the connection broke.
        """
        outlook, before = self.incoming.outlook(), len(self.incoming.held)
        while outlook in {Outlook.HEAD, Outlook.BODY}:
            piece = self.sock.take(self.incoming.room)
            if piece is None:
                break
            if not piece:
                return None
            self.incoming.add(piece)
            outlook = self.incoming.outlook()
        self._count(outlook, len(self.incoming.held) - before)
        return outlook

    def _count(self, outlook: Outlook, came: int) -> None:
        """Keep the time of a head that has begun, and the pace of a body."""
        if self.stage is Stage.BODY:
            had = self.since
            self.enter(Stage.BODY)
            self.pace.after(self.since - had, came)
        elif outlook in {Outlook.BODY, Outlook.PART}:
            self.pace = self.limits.pace()
            self.enter(Stage.BODY)
        elif self.stage is Stage.IDLE and came:
            self.enter(Stage.HEAD)

    def hand_over(self, has_come: Callable[[], None]) -> None:
        """Make ready for a thread: what came is the parser's, what is missing comes at its pace."""
        missing = math.inf if self.incoming.missing is None else self.incoming.missing
        sending = self.pace if missing > 0 else None
        self.sock.begin(sending, self.limits.pace(), missing, has_come)
        self.parser.unreader.unread(bytes(self.incoming.held))
        self.incoming = Incoming()
        self.enter(Stage.SERVED)

    def take_back(self) -> None:
        """Take from the parser what came behind the request that was served."""
        self.sock.sending = None
        self.incoming = Incoming(self.parser.unreader.take_buffered())
        self.enter(Stage.HEAD if self.incoming.held else Stage.IDLE)


class _Asked(Request):  # type: ignore[misc]  # gunicorn is not typed
    """A request after which the connection closes unless its body is over."""

    _is_over: bool | None = None

    def should_close(self) -> bool:
        """Tell it as soon as an answer begins; a body nobody read is read as far as it came."""
        if self._is_over is None:
            self._is_over = self._drained()
        return super().should_close() or not self._is_over

    def _drained(self) -> bool:
        self.unreader.sock.sending = None  # nobody waits for the rest
        try:
            while self.body.read(_DRAINED):
                pass
        except (OSError, ParseException):
            return False
        return not self.body.failed


class _Parser(RequestParser):  # type: ignore[misc]  # gunicorn is not typed
    mesg_class = _Asked
