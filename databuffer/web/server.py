"""The server under the application: what is no HTTP at all is refused as JSON too."""

from __future__ import annotations

import logging
import re
import secrets
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from databuffer.web import errors
from databuffer.web.keys import REQUEST_ID

if TYPE_CHECKING:
    from aiohttp.web_request import BaseRequest

_log = logging.getLogger("databuffer.http")
_SAID = re.compile(r"[A-Z][A-Za-z0-9 /_-]{0,80}(?=$|[:.]|\n)")


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
        request_id = request[REQUEST_ID] = secrets.token_hex(8)
        if status >= 500:
            _log.error("a request failed in the framework [%s]", request_id, exc_info=exc)
            response = errors.answer_bug(request)
        else:
            reason = _reason(message)
            _log.info("no HTTP: %d %s [%s]", status, reason, request_id)
            response = errors.encode(status, {"detail": reason, "code": "malformed"}, request)
        response.headers["X-Request-Id"] = request_id
        response.force_close()
        return response


def _reason(message: str | None) -> str:
    """Take what the framework says is wrong, without what was sent: there may be a secret in it."""
    said = _SAID.match(message or "")
    return said[0].strip() if said else "bad request"


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
