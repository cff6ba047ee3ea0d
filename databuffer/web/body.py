"""Reading request bodies: counted, in chunks, and only from senders who go on sending."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp.web import RequestPayloadError

from databuffer.errors import Malformed, TooLarge, TooSlow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import web

CHUNK = 1 << 20


class BodyReader:
    """One request's body, up to `most` bytes; a sender may pause for `patience` seconds."""

    def __init__(self, request: web.Request, most: int, patience: float) -> None:
        if (request.content_length or 0) > most:
            raise TooLarge(f"a body may have {most} bytes")
        self._content, self._most, self._patience = request.content, most, patience
        self._size = 0
        self.complete = False

    async def chunk(self, size: int = CHUNK) -> bytes:
        """Read about `size` bytes, fewer only at the end; raise `TooLarge`, `TooSlow`."""
        pieces, have = [], 0
        while have < size and not self.complete:
            piece = await self._some()
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

    async def _some(self) -> bytes:
        if self._content.at_eof():
            self.complete = True
            return b""
        try:
            piece = self._content.read_nowait()  # what has come already needs no clock
            if not piece:
                async with asyncio.timeout(self._patience):
                    piece = await self._content.readany()
        except TimeoutError:
            raise TooSlow(f"no byte for {self._patience:g} seconds") from None
        except RequestPayloadError as error:
            raise Malformed(f"the body broke off: {error}") from error
        self.complete = self._content.at_eof()
        return piece


def parse_object(body: bytes) -> dict[str, Any]:
    """Read a JSON object; raise `Malformed`."""
    try:
        raw = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"the body is not JSON: {error}") from error
    if not isinstance(raw, dict):
        raise Malformed("the body is not a JSON object")
    return raw
