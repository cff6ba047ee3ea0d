"""The tier's TLS: TLS 1.2 or newer, with certificate and key as the two files have them now.

Files are looked at once a second when somebody connects; a new pair is taken without a restart,
for connections that begin then. A pair that does not fit together, as for a moment between two
writes, leaves the old one in force and is logged.
"""

from __future__ import annotations

import logging
import ssl
from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

LOOK_EVERY: Final = 1.0

_log = logging.getLogger(__name__)

Seen = tuple[tuple[int, int, int], ...]


class Certificates:
    """A pair of PEM files and the context made of them. Constructing it reads nothing."""

    def __init__(self, cert: Path, key: Path) -> None:
        self._files = (cert, key)
        self._context: ssl.SSLContext | None = None
        self._seen: Seen = ()
        self._look_at = 0.0

    def context(self) -> ssl.SSLContext:
        """Return the context for a new connection.

        Raises:
            OSError: there has never been a pair that can be used; an SSLError is one.
        """
        if self._context is None or monotonic() >= self._look_at:
            self._context = self._renewed(self._context)
            self._look_at = monotonic() + LOOK_EVERY
        return self._context

    def _renewed(self, old: ssl.SSLContext | None) -> ssl.SSLContext:
        try:
            seen = tuple(_identity(file) for file in self._files)
            if old is not None and seen == self._seen:
                return old
            self._seen = seen
            made = _context(*self._files)
        except OSError as reason:
            if old is None:
                raise
            _log.warning("TLS_CERT, TLS_KEY: the new pair is of no use, the old stays: %s", reason)
            return old
        if old is not None:
            _log.info("TLS_CERT, TLS_KEY: a new pair is in use")
        return made


def _identity(file: Path) -> tuple[int, int, int]:
    found = file.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _context(cert: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    # Without a password OpenSSL would ask for one at the terminal.
    context.load_cert_chain(cert, key, password=lambda: b"")
    return context
