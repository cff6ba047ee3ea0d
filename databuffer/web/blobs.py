"""`/blobs`: bytes in, named by their digest; bytes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from aiohttp import web

from databuffer.names import Digest
from databuffer.web.body import CHUNK, BodyReader
from databuffer.web.download import respond
from databuffer.web.keys import BLOBS, CONFIG, PLACES

if TYPE_CHECKING:
    from databuffer.store.protocols import Stored

routes = web.RouteTableDef()


@routes.post("/blobs")
async def post_blob(request: web.Request) -> web.Response:
    """Store the body under the digest it has."""
    return _answer(await _store(request, None))


@routes.put("/blobs/{digest:.*}")
async def put_blob(request: web.Request) -> web.Response:
    """Store the body if it has this digest."""
    return _answer(await _store(request, _digest(request)))


@routes.get("/blobs/{digest:.*}")
async def get_blob(request: web.Request) -> web.StreamResponse:
    """Send the blob, or the range asked for; HEAD sends the headers alone."""
    return await respond(request, request.app[BLOBS], _digest(request))


def _digest(request: web.Request) -> Digest:
    return Digest.parse(request.match_info["digest"].replace("/", ":", 1))


async def _store(request: web.Request, expected: Digest | None) -> Stored:
    config, blobs, places = request.app[CONFIG], request.app[BLOBS], request.app[PLACES]
    reader = BodyReader(request, config.max_blob_bytes, config.body_timeout)
    first = await reader.chunk(CHUNK)
    async with places.place():
        if reader.complete:
            return await blobs.put(first, expected)
        return await blobs.put_stream(reader.chunks(first), expected)


def _answer(stored: Stored) -> web.Response:
    body = orjson.dumps({"digest": stored.digest, "size": stored.size})
    status = 201 if stored.created else 200
    location = f"/blobs/sha256/{stored.digest.hex}"
    return web.Response(
        body=body, status=status, content_type="application/json", headers={"Location": location}
    )
