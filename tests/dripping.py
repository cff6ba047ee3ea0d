"""Clients that send a byte at a time, many at once, from one thread; and raw requests."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator


def connect(url: str, timeout: float = 20.0) -> socket.socket:
    """Return a socket to the server."""
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout)


def everything(connection: socket.socket) -> bytes:
    """Return all that comes until the server closes."""
    answered = b""
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        while piece := connection.recv(65536):
            answered += piece
    return answered


def raw(url: str, sent: bytes, timeout: float = 20.0) -> bytes:
    """Send bytes as they are; return all that came back until the server closed."""
    with connect(url, timeout) as connection:
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            connection.sendall(sent)
        return everything(connection)


def status(answered: bytes) -> int:
    """Return the status of the first answer, 0 for none."""
    return int(answered.split(b" ", 2)[1]) if answered else 0


class Drip:
    """Connections that have sent `begun`, and send one more byte every `pause` seconds."""

    def __init__(self, url: str, begun: bytes, many: int, pause: float = 1.0) -> None:
        self.answers: list[bytes] = []
        """What each connection that the server ended had been told."""
        self._pause = pause
        self._stopped = threading.Event()
        self._selector = selectors.DefaultSelector()
        for _ in range(many):
            connection = connect(url)
            connection.sendall(begun)
            self._selector.register(connection, selectors.EVENT_READ, bytearray())
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def open(self) -> int:
        """How many connections the server has not ended."""
        return len(self._selector.get_map())

    def stop(self) -> None:
        """Close them all."""
        self._stopped.set()
        self._thread.join(30)
        for key in [*self._selector.get_map().values()]:
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def _run(self) -> None:
        drip_at = time.monotonic()
        while not self._stopped.is_set() and self._selector.get_map():
            for key, _ in self._selector.select(min(0.05, self._pause)):
                self._read(key)
            if time.monotonic() >= drip_at:
                drip_at += self._pause
                for key in [*self._selector.get_map().values()]:
                    with contextlib.suppress(OSError):
                        key.fileobj.send(b"x")  # type: ignore[union-attr]

    def _read(self, key: selectors.SelectorKey) -> None:
        connection: socket.socket = key.fileobj  # type: ignore[assignment]
        try:
            piece = connection.recv(65536)
        except OSError:
            piece = b""
        key.data.extend(piece)
        if not piece:
            self._selector.unregister(connection)
            connection.close()
            self.answers.append(bytes(key.data))


@contextlib.contextmanager
def dripping(url: str, begun: bytes, many: int, pause: float = 1.0) -> Iterator[Drip]:
    """Have so many clients drip."""
    drip = Drip(url, begun, many, pause)
    try:
        yield drip
    finally:
        drip.stop()
