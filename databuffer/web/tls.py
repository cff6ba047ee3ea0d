"""The certificate that callers are shown; replaced while the process runs, never for a worse one.

A connection keeps the certificate it began with. What is no pair of certificate and key is refused.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from databuffer.errors import BadConfiguration

if TYPE_CHECKING:
    from pathlib import Path

CERT, KEY = "TLS_CERT", "TLS_KEY"


class Certificate:
    """A certificate chain and its key, as the two files had them when they last made sense."""

    context: ssl.SSLContext

    def __init__(self, cert: Path, key: Path) -> None:
        self.paths = {CERT: cert, KEY: key}

    def take(self, _: object) -> None:
        """Use what the files hold from the next connection on; raise `BadConfiguration`."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        try:
            context.load_cert_chain(self.paths[CERT], self.paths[KEY], password=_none)
        except OSError as error:  # ssl.SSLError is one
            raise BadConfiguration(f"{CERT} and {KEY} are no pair: {_why(error)}") from error
        self.context = context


def _none() -> str:
    """Give no password where a key wants one, rather than ask whoever sits at the terminal."""
    return ""


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    return error.strerror or "unreadable"
