"""`POST /blobs/read`: many small blobs in one answer, one record after the other.

A record is as in the journal of blobs: `cblb`, the SHA-256, the length in 8 bytes (big-endian), the
content. The length is that of what follows, whatever should have been: who reads hashes it.
"""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING

from aiohttp import web

from databuffer.shape import Shape
from databuffer.web.blobs import parse_digests
from databuffer.web.body import BodyReader, parse_object
from databuffer.web.keys import BLOBS, BULK_READS

if TYPE_CHECKING:
    from databuffer.names import Digest
    from databuffer.store.protocols import BlobStore

routes = web.RouteTableDef()

_MOST_ASKED = 10_000
_LONGEST_QUESTION = 128 * _MOST_ASKED
_QUESTION = Shape(values=3 * _MOST_ASKED, containers=100)
_AT_ONCE = 500
_BATCH = 1 << 20
_LARGEST = 4 << 20
_HEAD = struct.Struct(">4s32sQ")
_MAGIC = b"cblb"
_ABSENT, _TOO_LARGE = 2**64 - 1, 2**64 - 2


@routes.post("/blobs/read")
async def post_read(request: web.Request) -> web.StreamResponse:
    """Send the blobs of these digests, in that order."""
    question = parse_object(await BodyReader(request, _LONGEST_QUESTION).whole(), _QUESTION)
    digests = parse_digests(question.get("digests"), _MOST_ASKED)
    async with request.app[BULK_READS].place():
        response = web.StreamResponse(
            headers={"Content-Type": "application/x-condstore-blobs", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        await _send(response, request.app[BLOBS], digests)
        await response.write_eof()
    return response


async def _send(response: web.StreamResponse, blobs: BlobStore, digests: list[Digest]) -> None:
    """Read one batch ahead of what is sent, and no more: a slow reader holds two in memory."""
    at, reading = 0, _read(blobs, digests[:_AT_ONCE])
    while at < len(digests):
        contents = await reading
        batch = digests[at : at + len(contents)]
        at += len(batch)
        reading = _read(blobs, digests[at : at + _AT_ONCE])
        try:
            await response.write(_records(batch, contents))
        except BaseException:
            await asyncio.wait([reading])
            raise
    await reading


def _read(blobs: BlobStore, digests: list[Digest]) -> asyncio.Task[list[bytes | int | None]]:
    return asyncio.create_task(blobs.contents(digests, _BATCH, _LARGEST))


def _records(digests: list[Digest], contents: list[bytes | int | None]) -> bytes:
    pieces: list[bytes] = []
    for digest, content in zip(digests, contents, strict=True):
        name = bytes.fromhex(digest.hex)
        if isinstance(content, bytes):
            pieces += (_HEAD.pack(_MAGIC, name, len(content)), content)
        else:
            pieces.append(_HEAD.pack(_MAGIC, name, _ABSENT if content is None else _TOO_LARGE))
    return b"".join(pieces)
