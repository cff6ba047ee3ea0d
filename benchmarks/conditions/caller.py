"""One client of the logic tier that reads what it is answered: to prepare, check and time."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any, Self

import orjson

from benchmarks.load import Refused, length

if TYPE_CHECKING:
    from benchmarks.servers import Server

_PIECE = 1 << 20
_PATIENCE = 600.0


class Caller:
    """A connection that is kept; as lean as it can be, for what it costs is in every latency."""

    def __init__(self, server: Server) -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.port), _PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def get(self, path: str, *headers: str) -> Any:  # noqa: ANN401 - JSON
        """Return the JSON of a read that must succeed."""
        return orjson.loads(self.ask("GET", path, b"", *headers))

    def send(self, method: str, path: str, told: object = None) -> Any:  # noqa: ANN401 - JSON
        """Return the JSON of a write that must succeed, None where it has no body."""
        found = self.ask(method, path, b"" if told is None else orjson.dumps(told))
        return orjson.loads(found) if found else None

    def timed(self, method: str, path: str, told: object = None) -> tuple[float, Any]:
        """Return how many seconds a request that must succeed took, and its JSON."""
        begin = time.perf_counter()
        found = self.send(method, path, told)
        return time.perf_counter() - begin, found

    def etag(self, path: str) -> str:
        """Return by what an answer can be revalidated."""
        head, _ = self._answer("GET", path, b"")
        fields = (line.partition(b": ") for line in head.split(b"\r\n")[1:])
        return {name.lower(): value.decode() for name, _, value in fields}[b"etag"]

    def ask(self, method: str, path: str, body: bytes, *headers: str) -> bytes:
        """Return the body of an answer.

        Raises:
            Refused: it is no success.
        """
        return self._answer(method, path, body, *headers)[1]

    def _answer(self, method: str, path: str, body: bytes, *headers: str) -> tuple[bytes, bytes]:
        lines = (
            f"{method} {path} HTTP/1.1",
            *("Host: benchmark", "Content-Type: application/json"),
            *(f"Content-Length: {len(body)}", *headers),
        )
        self._socket.sendall("\r\n".join((*lines, "", "")).encode() + body)
        head, begun = self._head()
        if head[9:10] != b"2":
            raise Refused(f"{method} {path}: " + " ".join((head + begun).decode().split())[:600])
        pieces, missing = [begun], length(head) - len(begun)
        while missing:
            pieces.append(self._some())
            missing -= len(pieces[-1])
        return head, b"".join(pieces)

    def _head(self) -> tuple[bytes, bytes]:
        got = self._some()
        while b"\r\n\r\n" not in got:
            got += self._some()
        head, _, rest = got.partition(b"\r\n\r\n")
        return head, rest

    def _some(self) -> bytes:
        got = self._socket.recv(_PIECE)
        if not got:
            raise Refused("the connection ended within an answer")
        return got
