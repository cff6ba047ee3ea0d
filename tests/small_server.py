"""A little HTTP server in a thread, by https where a certificate is given."""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Say nothing: a handshake that fails is what some tests want."""


@contextlib.contextmanager
def served(
    handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext | None, host: str
) -> Iterator[str]:
    """Serve on a port of its own of this machine; give the URL, in which it is called `host`."""
    with _Server(("127.0.0.1", 0), handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "http" if context is None else "https"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"{scheme}://{host}:{server.server_port}"
        server.shutdown()
        thread.join(30)
