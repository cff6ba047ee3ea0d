"""The gunicorn worker of this tier: gunicorn's threads, but what is no HTTP is answered in JSON."""

from __future__ import annotations

import contextlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import orjson
from gunicorn import util
from gunicorn.http.errors import (
    ExpectationFailed,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
)
from gunicorn.workers.gthread import ThreadWorker

if TYPE_CHECKING:
    import socket

STATUS: Final[dict[type[Exception], HTTPStatus]] = {
    ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
    LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
}
"""What the parser refuses is the caller's mistake: 400, unless HTTP has a word for it."""


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn is not typed
    """Answers a request that cannot be parsed as it answers any other that is wrong."""

    def handle_error(
        self, req: object, client: socket.socket, addr: object, exc: Exception
    ) -> None:
        """Send `{"detail","code"}` for what the parser refused; leave the rest to gunicorn."""
        if not isinstance(exc, ParseException):
            super().handle_error(req, client, addr, exc)
            return
        status = STATUS.get(type(exc), HTTPStatus.BAD_REQUEST)
        code = status.phrase.lower().replace(" ", "_").replace("-", "_")
        body = orjson.dumps({"detail": f"This is not HTTP as we speak it: {exc}", "code": code})
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        with contextlib.suppress(OSError):  # who sent it may be gone
            util.write_nonblock(client, head.encode() + body)
