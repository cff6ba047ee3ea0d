"""One connection's socket, with or without TLS: whoever waits on it keeps the peer to a pace.

The main thread never waits: it takes what has come (`take`). A thread that serves a request may
wait, for a body it was handed with a `Pace`, and for the peer to take its answer; it looks up every
half second whether that pace is spent, or whether the worker needs the thread more (`give_up`).
Without a pace there is nothing to wait for: what has not come by then does not come.
"""

from __future__ import annotations

import contextlib
import errno
import math
import select
import socket
import ssl
from selectors import EVENT_READ, EVENT_WRITE
from time import monotonic
from typing import TYPE_CHECKING, Final

from datastore_logic.serving.pace import Pace, TooSlow

if TYPE_CHECKING:
    from collections.abc import Callable

LOOK_UP: Final = 0.5
"""Seconds after which a thread that waits looks whether it still should."""

_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Line:
    """A socket that never blocks; gunicorn's parser and responses take it for an ordinary one."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self.fileno = sock.fileno
        self.close = sock.close
        self.sending: Pace | None = None
        """How the peer's body has to come; None where nothing more is waited for."""
        self.taking: Pace | None = None
        """How the peer has to take the answer."""
        self.missing = math.inf
        """Bytes of the body that have not come yet."""
        self.moved = 0.0
        """When a thread last took or sent a byte, on the clock that never goes back."""
        self._has_come: Callable[[], None] = lambda: None
        self._waits: tuple[Pace, float] | None = None
        self._is_given_up = False

    # for the main thread ------------------------------------------------------------------------

    def take(self, size: int) -> bytes | None:
        """Return up to `size` bytes that have come: b"" at the end, None where none have."""
        try:
            return self._sock.recv(size)
        except _NOT_NOW:
            return None

    def offer(self, data: bytes) -> None:
        """Send a few bytes if that is possible at once."""
        with contextlib.suppress(OSError):
            self._sock.send(data)

    def part(self) -> None:
        """Say that nothing more will be sent."""
        with contextlib.suppress(OSError, ValueError):
            if isinstance(self._sock, ssl.SSLSocket):
                self._sock.unwrap()
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    @property
    def has_more(self) -> bool:
        """Whether TLS holds what the kernel will not tell of again."""
        return isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0

    def shake_hands(self) -> int | None:
        """Go on with TLS; return the event that it waits for, None when it is done."""
        try:
            if isinstance(self._sock, ssl.SSLSocket):
                self._sock.do_handshake()
        except ssl.SSLWantReadError:
            return EVENT_READ
        except ssl.SSLWantWriteError:
            return EVENT_WRITE
        return None

    def speed(self, now: float) -> float:
        """Return how fast the peer is while a thread waits for it; else as fast as can be."""
        waits = self._waits
        return math.inf if waits is None else waits[0].speed(now - waits[1])

    def begin(
        self, sending: Pace | None, taking: Pace, missing: float, has_come: Callable[[], None]
    ) -> None:
        """Make ready for a thread: who has to send, and take, how fast."""
        self.sending, self.taking = sending, taking
        self.missing, self._has_come = missing, has_come
        self._is_given_up = False

    def give_up(self) -> None:
        """End the waiting of the thread that is on this line."""
        self._is_given_up = True

    # for a thread -------------------------------------------------------------------------------

    def recv(self, size: int) -> bytes:
        """Return up to `size` bytes of the body, b"" if the peer closed.

        Raises:
            TooSlow: the peer does not keep to the pace.
        """
        began = monotonic()
        while (piece := self._received(size)) is None:
            self._wait(select.POLLIN, self.sending, began)
        self.moved = monotonic()
        if self.sending is not None:
            self.sending.after(self.moved - began, len(piece))
            self.missing -= len(piece)
            if self.missing <= 0:
                self._has_come()
        return piece

    def sendall(self, data: bytes) -> None:
        """Send everything.

        Raises:
            BrokenPipeError: the peer takes it too slowly, or not at all.
        """
        rest = memoryview(data)
        while rest:
            began = monotonic()
            while not (sent := self._sent(rest)):
                try:
                    self._wait(select.POLLOUT, self.taking, began)
                except TooSlow as reason:
                    raise BrokenPipeError(errno.EPIPE, "the answer is not taken") from reason
            rest = rest[sent:]
            self.moved = monotonic()
            if self.taking is not None:
                self.taking.after(self.moved - began, sent)

    def send(self, data: bytes) -> int:
        """Send everything: gunicorn's `100 Continue`."""
        self.sendall(data)
        return len(data)

    def _received(self, size: int) -> bytes | None:
        if self.sending is None:
            raise TooSlow
        return self.take(size)

    def _sent(self, data: memoryview) -> int:
        try:
            return self._sock.send(data)
        except _NOT_NOW:
            return 0

    def _wait(self, event: int, pace: Pace | None, began: float) -> None:
        if pace is None or self._is_given_up or pace.would_be_spent(monotonic() - began):
            raise TooSlow
        self._waits = (pace, began)
        try:
            poll = select.poll()
            poll.register(self._sock, event)
            poll.poll(LOOK_UP * 1000)
        finally:
            self._waits = None

    # what gunicorn asks of a socket -------------------------------------------------------------

    def shutdown(self, how: int) -> None:
        """End one direction."""
        self._sock.shutdown(how)

    def setblocking(self, flag: bool) -> None:
        """Leave it as it is."""

    def settimeout(self, value: float | None) -> None:
        """Leave it as it is: time-outs are paces."""

    def gettimeout(self) -> float | None:
        """Return no time-out."""
        return None
