"""The server under the application: what is no HTTP at all is refused as JSON too."""

from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from databuffer.web import errors

if TYPE_CHECKING:
    from aiohttp.web_request import BaseRequest

_log = logging.getLogger("databuffer.http")


class Connection(RequestHandler):
    """A connection whose framework errors look like all others."""

    __slots__ = ()

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what never reached the application, then close."""
        if request.writer.output_size > 0:
            raise ConnectionError("half an answer is sent already")
        if isinstance(exc, ConnectionError):
            raise exc  # the client went away in mid-request: there is nobody to answer
        request_id = secrets.token_hex(8)
        reason = " ".join((message or "").split())[:200] or "bad request"
        if status >= 500:
            _log.error("a request failed in the framework [%s]", request_id, exc_info=exc)
            response = errors.answer_bug(request.path)
        else:
            _log.info("no HTTP: %d %s [%s]", status, reason, request_id)
            response = errors.encode(status, {"detail": reason, "code": "malformed"}, request.path)
        response.headers["X-Request-Id"] = request_id
        response.force_close()
        return response


class Server(web.Server):
    """Makes a `Connection` for each client."""

    def __call__(self) -> RequestHandler:
        """Serve one client; a body is what was sent, whatever `Content-Encoding` says it is."""
        return Connection(self, loop=self._loop, auto_decompress=False, **self._kwargs)


class Runner(web.AppRunner):
    """Runs an application on a `Server`."""

    async def _make_server(self) -> web.Server:
        # The framework lets a server be chosen only for handlers without an application.
        made = await super()._make_server()
        return Server(made.request_handler, request_factory=made.request_factory, **self._kwargs)
