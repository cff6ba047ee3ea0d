"""`/state`: small JSON documents by name, written by compare-and-swap."""

from __future__ import annotations

import orjson
from aiohttp import web

from databuffer.errors import Malformed
from databuffer.names import DocumentName
from databuffer.store.documents import Condition, etag
from databuffer.web.body import BodyReader
from databuffer.web.keys import CONFIG, DOCUMENTS

routes = web.RouteTableDef()


@routes.get("/state")
async def get_names(request: web.Request) -> web.Response:
    """Which documents there are, sorted."""
    names = await request.app[DOCUMENTS].names()
    return web.Response(body=orjson.dumps({"names": names}), content_type="application/json")


@routes.get("/state/{name}")
async def get_document(request: web.Request) -> web.Response:
    """Send a document."""
    name = DocumentName.parse(request.match_info["name"])
    content = await request.app[DOCUMENTS].get(name)
    tag = etag(content)
    if tag in (_tags(request, "If-None-Match") or ()):
        return web.Response(status=304, headers=_headers(tag))
    return web.Response(body=content, content_type="application/json", headers=_headers(tag))


@routes.put("/state/{name}")
async def put_document(request: web.Request) -> web.Response:
    """Write a document if nobody wrote it meanwhile."""
    config, documents = request.app[CONFIG], request.app[DOCUMENTS]
    name = DocumentName.parse(request.match_info["name"])
    body = await BodyReader(request, config.max_state_bytes).whole()
    _refuse_other_than_json(body)
    condition = Condition(_tags(request, "If-Match"), _tags(request, "If-None-Match"))
    created = await documents.put(name, body, condition)
    return web.Response(status=201 if created else 200, headers=_headers(etag(body)))


def _refuse_other_than_json(body: bytes) -> None:
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"the body is not JSON: {error}") from error


def _tags(request: web.Request, header: str) -> frozenset[str] | None:
    text = request.headers.get(header)
    if text is None:
        return None
    return frozenset(tag.strip().removeprefix("W/").strip('"') for tag in text.split(","))


def _headers(tag: str) -> dict[str, str]:
    return {"ETag": f'"{tag}"', "Cache-Control": "no-cache"}
