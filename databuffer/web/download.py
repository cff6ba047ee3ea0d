"""Sending a blob: conditional and range requests; small ones from memory, large ones by sendfile.

The framework's own file response would replace the ETag by one made of time and size, and costs
half a millisecond.
"""

from __future__ import annotations

import asyncio
import base64
import io
import re
from typing import TYPE_CHECKING, cast

from aiohttp import web

from databuffer.errors import StorageFailed, Unknown
from databuffer.web import errors

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.web_request import BaseRequest

    from databuffer.names import Digest
    from databuffer.store.protocols import BlobStore, OpenBlob

FOR_EVER = "public, max-age=31536000, immutable"
_RANGE = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})", re.IGNORECASE)
_CHUNK = 1 << 20


async def respond(
    request: web.Request, blobs: BlobStore, digest: Digest, caching: str = FOR_EVER
) -> web.StreamResponse:
    """Answer GET or HEAD for one blob, to be kept as `caching` says; raise `Unknown`."""
    headers = _headers(digest, caching)
    if request.method == "HEAD":
        (size,) = await blobs.sizes([digest])
        if size is None:
            raise Unknown(f"no blob {digest}")
        if _unchanged(request, digest):
            return web.Response(status=304, headers=headers)
        return web.Response(headers=headers | {"Content-Length": str(size)})
    blob = await blobs.open(digest)
    try:
        if _unchanged(request, digest):
            return web.Response(status=304, headers=headers)
        return await _send(request, blob, digest, headers)
    finally:
        blob.close()


async def _send(
    request: web.Request, blob: OpenBlob, digest: Digest, headers: dict[str, str]
) -> web.StreamResponse:
    wanted = _range(request, digest, blob.size)
    if wanted is None:
        status, offset, length = 200, 0, blob.size
    elif wanted[0] >= wanted[1]:
        return _outside(request, blob.size)
    else:
        status, offset, length = 206, wanted[0], wanted[1] - wanted[0]
        headers |= {"Content-Range": f"bytes {offset}-{wanted[1] - 1}/{blob.size}"}
    if blob.content is not None:
        body = blob.content if status == 200 else blob.content[offset : offset + length]
        return web.Response(body=body, status=status, headers=headers)
    response = Slice(blob, offset, length, status, headers)
    await response.prepare(request)
    return response


class Slice(web.StreamResponse):
    """Part of an open blob, sent by the kernel where that has a file and nothing to encrypt."""

    def __init__(
        self, blob: OpenBlob, offset: int, length: int, status: int, headers: dict[str, str]
    ) -> None:
        super().__init__(status=status, headers=headers)
        self.content_length = length
        self._blob, self._offset, self._count = blob, offset, length

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        """Send headers and bytes."""
        if self.prepared:
            return None
        writer = await super().prepare(request)
        descriptor, transport = self._blob.fileno(), request.transport
        plain = transport is not None and transport.get_extra_info("sslcontext") is None
        if descriptor is not None and transport is not None and plain:
            with io.FileIO(descriptor, closefd=False) as file:
                sent = await self._send(transport, file)
            if sent < self._count:
                raise StorageFailed("the blob's file is shorter than it was")
        else:
            await self._copy()
        await self.write_eof()
        return writer

    async def _send(self, transport: asyncio.BaseTransport, file: io.FileIO) -> int:
        loop = asyncio.get_running_loop()
        sending = cast("asyncio.WriteTransport", transport)
        try:
            return await loop.sendfile(sending, file, self._offset, self._count)
        except TimeoutError as error:  # the kernel's: there is nobody to answer
            raise ConnectionAbortedError("the reader takes nothing any more") from error

    async def _copy(self) -> None:
        end = self._offset + self._count
        for at in range(self._offset, end, _CHUNK):
            await self.write(await self._blob.read(at, min(_CHUNK, end - at)))


def _outside(request: web.Request, size: int) -> web.Response:
    """Refuse the range, not to be kept: a cache would give it to those who want the blob."""
    detail = {"detail": f"the blob has {size} bytes", "code": "range_not_satisfiable"}
    response = errors.encode(416, detail, request)
    response.headers["Content-Range"] = f"bytes */{size}"
    return response


def _headers(digest: Digest, caching: str) -> dict[str, str]:
    encoded = base64.b64encode(bytes.fromhex(digest.hex)).decode()
    return {
        "ETag": f'"{digest}"',
        "Repr-Digest": f"sha-256=:{encoded}:",
        "Cache-Control": caching,
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
        "X-Content-Type-Options": "nosniff",
    }


def _unchanged(request: web.Request, digest: Digest) -> bool:
    tags = request.headers.get("If-None-Match", "")
    given = {tag.strip().removeprefix("W/").strip('"') for tag in tags.split(",")}
    return "*" in given or digest in given


def _range(request: web.Request, digest: Digest, size: int) -> tuple[int, int] | None:
    """Take the one range asked for, as start and end; None: send everything."""
    condition = request.headers.get("If-Range")
    if condition is not None and condition.strip() != f'"{digest}"':
        return None
    match = _RANGE.fullmatch(request.headers.get("Range", "").strip())
    if match is None or match[1] == match[2] == "":
        return None  # several ranges, another unit, or none: RFC 9110 lets a server send the whole
    first, last = match[1], match[2]
    if not first:
        return max(0, size - int(last)), size
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last) + 1, size) if last else size
