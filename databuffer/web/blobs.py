"""`/blobs`: bytes in, named by their digest; bytes out; and which of many are not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from aiohttp import web

from databuffer.errors import Malformed, TooLarge
from databuffer.names import Digest
from databuffer.shape import Shape
from databuffer.web.access import LINKED
from databuffer.web.body import CHUNK, BodyReader, parse_object
from databuffer.web.download import FOR_EVER, respond
from databuffer.web.keys import BLOBS, CONFIG, PLACES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from databuffer.gate import Place
    from databuffer.store.protocols import Stored

routes = web.RouteTableDef()

_MOST_ASKED = 100_000
_LONGEST_QUESTION = 128 * _MOST_ASKED
_QUESTION = Shape(values=5 * _MOST_ASKED, containers=100)
_DAWDLING = 0.1  # seconds for a chunk: slower than 10 MB/s


@routes.post("/blobs")
async def post_blob(request: web.Request) -> web.Response:
    """Store the body under the digest it has."""
    return _answer(await _store(request, None))


@routes.put("/blobs/{digest:.*}")
async def put_blob(request: web.Request) -> web.Response:
    """Store the body if it has this digest."""
    return _answer(await _store(request, _digest(request)))


@routes.post("/blobs/missing")
async def post_missing(request: web.Request) -> web.Response:
    """Say which of these digests name no blob, and which one of another size than told."""
    question = parse_object(await BodyReader(request, _LONGEST_QUESTION).whole(), _QUESTION)
    digests = parse_digests(question.get("digests"), _MOST_ASKED)
    told = _sizes(question.get("sizes"), len(digests))
    found = await request.app[BLOBS].sizes(digests)
    answer = {"missing": _missing(digests, found), "resized": _resized(digests, found, told)}
    return web.Response(body=orjson.dumps(answer), content_type="application/json")


@routes.get("/blobs/{digest:.*}")
async def get_blob(request: web.Request) -> web.StreamResponse:
    """Send the blob, or the range asked for; HEAD sends the headers alone."""
    caching = FOR_EVER
    if LINKED in request:
        caching = f"private, max-age={int(request[LINKED])}, immutable"
    return await respond(request, request.app[BLOBS], _digest(request), caching)


def _digest(request: web.Request) -> Digest:
    return Digest.parse(request.match_info["digest"].replace("/", ":", 1))


def parse_digests(listed: object, most: int) -> list[Digest]:
    """Read the `digests` of a question about many; raise `Malformed`, `TooLarge`."""
    if not isinstance(listed, list) or not all(isinstance(text, str) for text in listed):
        raise Malformed("digests is an array of digests", field="digests")
    if len(listed) > most:
        raise TooLarge(f"a question may have {most} digests")
    return [Digest.parse(text) for text in listed]


def _sizes(listed: object, count: int) -> list[int | None]:
    if listed is None:
        return [None] * count
    if not isinstance(listed, list) or len(listed) != count:
        raise Malformed("sizes is an array as long as digests", field="sizes")
    if not all(size is None or type(size) is int for size in listed):
        raise Malformed("a size is a number of bytes or null", field="sizes")
    return listed


def _missing(digests: list[Digest], found: list[int | None]) -> list[Digest]:
    absent = (digest for digest, size in zip(digests, found, strict=True) if size is None)
    return list(dict.fromkeys(absent))


def _resized(
    digests: list[Digest], found: list[int | None], told: list[int | None]
) -> dict[str, int]:
    return {
        str(digest): size
        for digest, size, thought in zip(digests, found, told, strict=True)
        if size is not None and thought not in (None, size)
    }


async def _store(request: web.Request, expected: Digest | None) -> Stored:
    config, blobs, places = request.app[CONFIG], request.app[BLOBS], request.app[PLACES]
    reader = BodyReader(request, config.max_blob_bytes)
    first = await reader.chunk(CHUNK)
    async with places.place() as place:
        if reader.complete:
            return await blobs.put(first, expected)
        announced = request.content_length or 0
        return await blobs.put_stream(_chunks(reader, first, place), expected, announced)


async def _chunks(reader: BodyReader, first: bytes, place: Place) -> AsyncIterator[bytes]:
    """Give what comes. A sender who dawdles does not hold up other writes meanwhile."""
    yield first
    while not reader.complete:
        async with place.while_waiting(_DAWDLING):
            chunk = await reader.chunk()
        if chunk:
            yield chunk


def _answer(stored: Stored) -> web.Response:
    body = orjson.dumps({"digest": stored.digest, "size": stored.size})
    status = 201 if stored.created else 200
    location = f"/blobs/sha256/{stored.digest.hex}"
    return web.Response(
        body=body, status=status, content_type="application/json", headers={"Location": location}
    )
