"""Taking connections: as many as may be open, those still shaking hands among them.

One more is a guest: it may say for a moment, with only so many others, what it wants, and is told
503 unless that is a probe or a scrape. Otherwise whoever opens enough connections would have the
process killed. So it never runs out of files, where it could accept nobody and would be told of
each attempt.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
from typing import TYPE_CHECKING

from databuffer.errors import CannotStart

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from databuffer.config import Config
    from databuffer.web.metrics import Metrics
    from databuffer.web.server import Connection
    from databuffer.web.tls import Certificate

_log = logging.getLogger("databuffer.http")
_BACKLOG = 1024
_AT_ONCE = 64  # connections taken before others get their turn
_GUESTS = 128  # above what may be open
_GUESTS_AT_ONCE = 16  # so that each has had its turn before so many others come
_GUEST_SPEAKS = 1.0
_FILES_ELSEWHERE = 256  # the ledger, blobs being written, and the like
_FILES_EACH = 2  # a connection and the payload it sends
_FEWEST = 16
_LINGER = 2.0
_DEAF = 10  # times BODY_TIMEOUT that a reader may take nothing; jobs may pause to compute
_LONGEST_MS = 2**31 - 1  # that the kernel takes: 25 days
_PAUSE = 1.0
_SAY_EVERY = 10.0


class Listener:
    """Listens on an address and makes connections, while there are fewer than there may be."""

    def __init__(
        self,
        config: Config,
        make: Callable[[], Connection],
        certificate: Certificate | None,
        metrics: Metrics,
    ) -> None:
        self._config, self._make, self._certificate = config, make, certificate
        self._metrics = metrics
        self._deaf = min(int(config.body_timeout * _DEAF * 1000), _LONGEST_MS)
        self._most = most_connections(config.max_connections)
        self._sockets: list[socket.socket] = []
        self._beginning: set[asyncio.Task[None]] = set()
        self._open: set[Connection] = set()
        self._guests: dict[Connection, asyncio.Task[None]] = {}
        self._said = -_SAY_EVERY

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._sockets[0].getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        return f"{'https' if self._certificate else 'http'}://{shown}:{port}"

    async def open(self) -> None:
        """Listen; raise `CannotStart` where that cannot be."""
        host, port = self._config.host, self._config.port
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            for family, address in dict.fromkeys((info[0], info[4]) for info in found):
                made = socket.create_server(address, family=family, backlog=_BACKLOG)
                self._sockets.append(made)
                made.setblocking(False)
        except OSError as error:
            self.close()
            raise CannotStart(f"cannot listen on {host}:{port}: {error.strerror}") from error
        for listening in self._sockets:
            loop.add_reader(listening, self._accept, listening)

    def close(self) -> None:
        """Take the last that are waiting, for a closed port resets them; all of them go on."""
        loop = asyncio.get_running_loop()
        for listening in self._sockets:
            self._accept(listening)
            loop.remove_reader(listening)
            listening.close()
        self._sockets.clear()

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_AT_ONCE if len(self._open) < self._most else _GUESTS_AT_ONCE):
            try:
                taken, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(listening, error)
                return
            taken.setblocking(False)
            taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, self._deaf)
            if len(self._open) < self._most:
                self._take(taken)
            else:
                self._receive(taken)

    def _pause(self, listening: socket.socket, error: OSError) -> None:
        """Come back in a while: there is no file left, and trying at once would be all we do."""
        _log.error("no connection can be taken: %s", error.strerror)
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)
        loop.call_later(_PAUSE, self._resume, listening)

    def _resume(self, listening: socket.socket) -> None:
        if listening in self._sockets:
            asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    def _begin(self, making: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(making)
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)
        return task

    def _take(self, taken: socket.socket) -> None:
        connection = self._make()
        connection.when_lost(lambda: self._went(connection))
        self._open.add(connection)
        self._metrics.connections.set(len(self._open))
        self._begin(self._serve(connection, taken))

    def _went(self, connection: Connection) -> None:
        self._open.discard(connection)
        self._metrics.connections.set(len(self._open))

    async def _serve(self, connection: Connection, taken: socket.socket) -> None:
        if not await self._connect(connection, taken, self._config.header_timeout):
            self._went(connection)

    def _receive(self, taken: socket.socket) -> None:
        """Take one for whom there is no place; who has been here longest makes room."""
        self._metrics.turned_away.inc()
        now = asyncio.get_running_loop().time()
        if now - self._said >= _SAY_EVERY:
            self._said = now
            _log.warning("%d connections are open: more are turned away", len(self._open))
        if len(self._guests) >= _GUESTS:
            self._send_off(next(iter(self._guests)))
        guest = self._make()
        guest.is_given(_GUEST_SPEAKS)
        guest.when_lost(lambda: self._forget(guest))
        self._guests[guest] = self._begin(self._attend(guest, taken))

    async def _attend(self, guest: Connection, taken: socket.socket) -> None:
        if not await self._connect(guest, taken, _GUEST_SPEAKS):
            self._forget(guest)

    def _send_off(self, guest: Connection) -> None:
        self._guests.pop(guest).cancel()  # hands may not be shaken yet
        guest.send_off()

    def _forget(self, guest: Connection) -> None:
        self._guests.pop(guest, None)

    async def _connect(self, connection: Connection, taken: socket.socket, patience: float) -> bool:
        """Hand a socket over, once hands are shaken; say whether that came to pass."""
        loop = asyncio.get_running_loop()
        try:
            if self._certificate is None:
                await loop.connect_accepted_socket(lambda: connection, taken)
            else:
                await loop.connect_accepted_socket(
                    lambda: connection,
                    taken,
                    ssl=self._certificate.context,
                    ssl_handshake_timeout=patience,
                    ssl_shutdown_timeout=_LINGER,
                )
        except OSError:  # of TLS too
            taken.close()
            return False
        return True


def most_connections(wanted: int) -> int:
    """Say how many connections the process has files for, at most those wanted."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = max(_FEWEST, (files - _FILES_ELSEWHERE - _GUESTS) // _FILES_EACH)
    if files == resource.RLIM_INFINITY or room >= wanted:
        return wanted
    _log.warning("MAX_CONNECTIONS is %d: the process may have %d open files", room, files)
    return room
