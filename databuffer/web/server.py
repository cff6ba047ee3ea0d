"""The server under the application: what is no HTTP at all is refused as JSON too."""

from __future__ import annotations

import logging
import re
import secrets
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from databuffer import logs
from databuffer.web import errors, raw
from databuffer.web.keys import REQUEST_ID, SERVER

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from aiohttp.web_request import BaseRequest

_log = logging.getLogger("databuffer.http")
_SAID = re.compile(r"[A-Z](?:can't|[A-Za-z0-9 /_-]){0,80}(?=$|[:.]|\n)")


class Connection(RequestHandler):
    """A connection whose framework errors look like all others, and on which a head must come.

    The head of the first request must be there `header_timeout` seconds after the connection, that
    of a later one as long after its first byte. An idle connection is the framework's to close.
    """

    __slots__ = ("_heads", "_heard", "_late", "_lost", "_patience", "is_guest")

    def __init__(
        self,
        manager: web.Server,
        *,
        header_timeout: float,
        **settings: Any,  # noqa: ANN401 - the framework's own
    ) -> None:
        super().__init__(manager, **settings)
        self._patience = header_timeout
        self._late: asyncio.TimerHandle | None = None
        self._lost: Callable[[], None] | None = None
        self._heard = False
        self._heads = 0
        self.is_guest = False
        """Whether there is no place for it: only a probe is answered on it."""

    def is_given(self, patience: float) -> None:
        """Be a guest, who must have said within so many seconds what it wants."""
        self.is_guest, self._patience = True, min(patience, self._patience)

    def send_off(self) -> None:
        """Tell a guest that there is no place, and close."""
        self._stop_expecting()
        if self.transport is not None and not self._request_count:
            self.transport.write(raw.too_many())
        self.force_close()

    def when_lost(self, call: Callable[[], None]) -> None:
        """Have this called when the connection is over."""
        self._lost = call

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a head."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Stop waiting."""
        super().connection_lost(exc)
        self._stop_expecting()
        if self._lost is not None:
            self._lost()
            self._lost = None

    def data_received(self, data: bytes) -> None:
        """Note whether this ended a head, or began one."""
        super().data_received(data)
        self._heard = True
        if self._request_count != self._heads:
            self._heads = self._request_count
            self._stop_expecting()
        elif self._late is None and self._waiter is not None and not self._waiter.done():
            self._expect_head()  # nobody is being answered, so this is no body

    def _expect_head(self) -> None:
        self._late = self._loop.call_later(self._patience, self._give_up)

    def _stop_expecting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _give_up(self) -> None:
        self._late = None
        if self.is_guest:
            self.send_off()
            return
        if self._heard and self.transport is not None:
            self.transport.write(raw.too_slow(self._patience))
        self.force_close()

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
        logs.REQUEST_ID.set(request_id)  # of the connection's own task, which ends with this
        if status >= 500:
            _log.error("a request failed in the framework", exc_info=exc)
            response = errors.answer_bug(request)
        else:
            reason = _reason(message)
            _log.info("no HTTP: %d %s", status, reason)
            response = errors.encode(status, {"detail": reason, "code": "malformed"}, request)
        response.headers["X-Request-Id"] = request_id
        response.headers["Server"] = SERVER
        response.force_close()
        return response


def _reason(message: str | None) -> str:
    """Take what the framework says is wrong, without what was sent: there may be a secret in it."""
    said = _SAID.match(message or "")
    return said[0].strip() if said else "bad request"


class Server(web.Server):
    """Makes a `Connection` for each client."""

    def __call__(self) -> Connection:
        """Serve one client; nothing that it sends is unpacked."""
        return Connection(self, loop=self._loop, auto_decompress=False, **self._kwargs)


class Runner(web.AppRunner):
    """Runs an application on a `Server`."""

    async def _make_server(self) -> web.Server:
        # The framework lets a server be chosen only for handlers without an application.
        try:
            made = await super()._make_server()
        except BaseException:
            await self.app.cleanup()  # what has begun of it ends here, and not when the loop closes
            raise
        return Server(made.request_handler, request_factory=made.request_factory, **self._kwargs)

    def make_connection(self) -> Connection:
        """Serve one more client, once the application is set up."""
        server = self.server
        if not isinstance(server, Server):
            raise TypeError("setup comes first")
        return server()
