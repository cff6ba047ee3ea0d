"""Where an issuer's key set is read: a file, or a URL, within five seconds and a megabyte.

A URL is asked directly: through no proxy, whatever the environment says, and no redirect is
followed, for the keys of whoever it led to would be believed. It is https, checked by the system's
certificates (or SSL_CERT_FILE's); http only where nobody is on the way, on this machine.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from datastore_logic.errors import BadConfiguration
from datastore_logic.loopback import is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.client import HTTPResponse

MOST_BYTES: Final = 1 << 20
WITHIN: Final = 5.0
_HEADERS: Final = {
    "Accept": "application/jwk-set+json, application/json",
    "Accept-Encoding": "identity",
    "Connection": "close",
    "User-Agent": "condstore",
}


class Unreadable(Exception):
    """The keys could not be read; says why, in words for the log."""


class KeySource(Protocol):
    """Somewhere keys are read from; `fresh_for` seconds what was read there need not be again."""

    @property
    def fresh_for(self) -> float:
        """For how many seconds it is not to be read again."""

    def read(self) -> bytes:
        """Return the whole of it.

        Raises:
            Unreadable: it cannot be had now.
        """


def key_source(where: str) -> KeySource:
    """Return the source at a URL or a path.

    Raises:
        BadConfiguration: it is neither, or a URL that others could answer for.
    """
    if "://" not in where:
        return KeyFile(Path(where))
    parts = urlsplit(where)
    if parts.scheme not in {"https", "http"} or not parts.hostname or "@" in parts.netloc:
        raise BadConfiguration(f"JWT_JWKS={where} is neither a https:// URL nor a file")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise BadConfiguration(f"JWT_JWKS={where} is fetched in the open: use https://")
    return KeyUrl(where)


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A file, which may be replaced at any time."""

    path: Path
    fresh_for: float = 10.0

    def read(self) -> bytes:
        """Return its bytes."""
        try:
            with self.path.open("rb") as file:
                return _at_most(file.read(MOST_BYTES + 1))
        except OSError as reason:
            raise Unreadable(reason.strerror or "it cannot be read") from reason


@dataclass(frozen=True, slots=True)
class KeyUrl:
    """A resource on an issuer's server."""

    url: str
    fresh_for: float = 300.0
    context: ssl.SSLContext | None = field(default=None, repr=False)
    within: float = WITHIN

    def read(self) -> bytes:
        """Ask for it; an answer other than 200 is none."""
        connection = self._connection()
        try:
            connection.connect()
            with _cut_after(self.within, connection.sock):
                connection.request("GET", self._target(), headers=_HEADERS)
                content = _body(connection.getresponse())
        except (OSError, HTTPException) as reason:
            raise Unreadable(f"{type(reason).__name__}: {reason}"[:200]) from reason
        finally:
            connection.close()
        return content

    def _connection(self) -> HTTPConnection:
        parts = urlsplit(self.url)
        host = str(parts.hostname)
        if parts.scheme == "http":
            return HTTPConnection(host, parts.port, timeout=self.within)
        context = self.context or ssl.create_default_context()
        return HTTPSConnection(host, parts.port, timeout=self.within, context=context)

    def _target(self) -> str:
        return urlsplit(self.url)._replace(scheme="", netloc="", fragment="").geturl() or "/"


@contextlib.contextmanager
def _cut_after(seconds: float, connected: socket.socket) -> Iterator[None]:
    """End a connection after so long, however often a byte comes that keeps it alive.

    Raises:
        Unreadable: at the end, if it was: what came until then may be cut short.
    """
    is_cut = threading.Event()

    def cut() -> None:
        is_cut.set()
        with contextlib.suppress(OSError):
            socket.socket.shutdown(connected, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
    if is_cut.is_set():
        raise Unreadable(f"it took longer than {seconds:g} s")


def _body(response: HTTPResponse) -> bytes:
    if response.status != 200:
        raise Unreadable(f"the answer was {response.status}")
    return _at_most(response.read(MOST_BYTES + 1))


def _at_most(content: bytes) -> bytes:
    if len(content) > MOST_BYTES:
        raise Unreadable(f"it is larger than {MOST_BYTES} bytes")
    return content
