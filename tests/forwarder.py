"""An L4 forwarder, as kube-proxy is one: a connection goes to one replica and stays there.

A replica that is `taken_out` gets no new connections; those it has stay. What a replica refuses is
refused to the caller, as a packet filter would: nothing is tried twice.
"""

from __future__ import annotations

import contextlib
import itertools
import selectors
import socket
import struct
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PIECE = 1 << 16


class Forwarder:
    """Listens at `url` and gives each connection to the next replica that is not taken out."""

    def __init__(self, replicas: Sequence[str]) -> None:
        self._addresses = {url: _address(url) for url in replicas}
        self._out: set[str] = set()
        self._turn = itertools.cycle(replicas)
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.given: dict[str, int] = dict.fromkeys(replicas, 0)
        self.refused = 0

    def take_out(self, replica: str) -> None:
        """Give it no more connections."""
        with self._lock:
            self._out.add(replica)

    def put_back(self, replica: str) -> None:
        """Give it connections again."""
        with self._lock:
            self._out.discard(replica)

    def serve(self) -> None:
        """Take connections until closed."""
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(caller,), daemon=True).start()

    def close(self) -> None:
        """Take no more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _next(self) -> str:
        with self._lock:
            for replica in itertools.islice(self._turn, len(self._addresses)):
                if replica not in self._out:
                    self.given[replica] += 1
                    return replica
        raise ConnectionRefusedError

    def _pass_on(self, caller: socket.socket) -> None:
        with caller:
            try:
                replica = socket.create_connection(self._addresses[self._next()], timeout=30)
            except OSError:
                self.refused += 1
                _reset(caller)
                return
            with replica:
                replica.settimeout(None)
                try:
                    _both_ways(caller, replica)
                except OSError:
                    _reset(caller)
                    _reset(replica)


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return str(parts.hostname), int(parts.port or 0)


def _reset(end: socket.socket) -> None:
    """Have closing say that something broke, as the end behind it did."""
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _both_ways(one: socket.socket, other: socket.socket) -> None:
    """Pass on what comes, and its end, until both have ended.

    Raises:
        OSError: one of them broke.
    """
    with selectors.DefaultSelector() as selector:
        selector.register(one, selectors.EVENT_READ, other)
        selector.register(other, selectors.EVENT_READ, one)
        while selector.get_map():
            for key, _ in selector.select():
                came, to = key.fileobj, key.data
                assert isinstance(came, socket.socket)
                if piece := came.recv(_PIECE):
                    to.sendall(piece)
                else:
                    selector.unregister(came)
                    to.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def forwarding(*replicas: str) -> Iterator[Forwarder]:
    """Forward to the replicas inside the block."""
    forwarder = Forwarder(replicas)
    thread = threading.Thread(target=forwarder.serve)
    thread.start()
    try:
        yield forwarder
    finally:
        forwarder.close()
        thread.join(30)
