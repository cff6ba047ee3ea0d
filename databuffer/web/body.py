"""Reading request bodies: counted, in chunks, and only from senders who go on sending."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp.http import HttpVersion11
from aiohttp.web import RequestPayloadError

from databuffer.errors import Malformed, TooLarge, TooSlow, UnsupportedEncoding
from databuffer.web.keys import CONFIG

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import web

    from databuffer.shape import Shape

CHUNK = 1 << 20
_PLAIN = {"Content-Encoding": "identity", "Transfer-Encoding": "chunked"}
_INVITE = "100-continue"


class BodyReader:
    """One request's body, up to `most` bytes, as it was sent: what is packed is refused.

    A sender may pause for `BODY_TIMEOUT` seconds; who has kept us waiting longer than that in all
    must have sent `MIN_BODY_RATE` bytes for each of these seconds. Our own time is not counted.
    """

    def __init__(self, request: web.Request, most: int) -> None:
        if (request.content_length or 0) > most:
            raise TooLarge(f"a body may have {most} bytes")
        _refuse_packed(request)
        config = request.app[CONFIG]
        self._request, self._content, self._most = request, request.content, most
        self._patience, self._rate = config.body_timeout, config.min_body_rate
        self._size = 0
        self._waited = 0.0
        self._invited = request.headers.get("Expect", "").lower() != _INVITE
        self.complete = False

    async def chunk(self, size: int = CHUNK) -> bytes:
        """Read about `size` bytes, fewer only at the end; raise `TooLarge`, `TooSlow`."""
        pieces, have = [], 0
        while have < size and not self.complete:
            piece = await self._some(have)
            have += len(piece)
            pieces.append(piece)
        self._size += have
        if self._size > self._most:
            raise TooLarge(f"a body may have {self._most} bytes")
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def chunks(self, first: bytes) -> AsyncIterator[bytes]:
        """Give a first chunk that was read already, then all others."""
        yield first
        while not self.complete:
            if chunk := await self.chunk():
                yield chunk

    async def whole(self) -> bytes:
        """Read everything."""
        first = await self.chunk()
        if self.complete:
            return first
        return b"".join([chunk async for chunk in self.chunks(first)])

    async def _some(self, have: int) -> bytes:
        if self._content.at_eof():
            self.complete = True
            return b""
        try:
            # What has come already needs no clock.
            piece = self._content.read_nowait() or await self._next(self._size + have)
        except RequestPayloadError as error:
            raise Malformed(f"the body broke off: {error}") from error
        self.complete = self._content.at_eof()
        return piece

    async def _next(self, received: int) -> bytes:
        """Wait for a piece, not longer than the sender has left."""
        if not self._invited:
            self._invited = True
            await _invite(self._request)
        loop = asyncio.get_running_loop()
        begun, left = loop.time(), self._left(received)
        try:
            async with asyncio.timeout(min(self._patience, left)):
                return await self._content.readany()
        except TimeoutError:
            silent = f"no byte for {self._patience:g} seconds"
            few = f"less than {self._rate} bytes a second"
            raise TooSlow(silent if left >= self._patience else few) from None
        finally:
            self._waited += loop.time() - begun

    def _left(self, received: int) -> float:
        """Say for how many seconds more the sender is fast enough if nothing comes."""
        if not self._rate:
            return self._patience
        return max(self._patience, received / self._rate) - self._waited


def _refuse_packed(request: web.Request) -> None:
    for header, plain in _PLAIN.items():
        for value in request.headers.getall(header, ()):
            if value.strip().lower() != plain:
                raise UnsupportedEncoding(f"nothing is unpacked here: {header} may be {plain}")


async def _invite(request: web.Request) -> None:
    """Ask for a body that the sender holds back until told that it will be read."""
    if request.version == HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # that was no part of the answer


async def read_later(_: web.Request) -> None:
    """Do not ask for the body yet: who may send it is not known."""


def parse_object(body: bytes, shape: Shape) -> dict[str, Any]:
    """Read a JSON object; raise `Malformed`, `TooLarge`."""
    shape.check(body)
    try:
        raw = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"the body is not JSON: {error}") from error
    if not isinstance(raw, dict):
        raise Malformed("the body is not a JSON object")
    return raw
