"""The streaming buffer's routes: the digital twin's data buffer, as its clients call it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from databuffer.errors import Malformed
from databuffer.names import PayloadTypeName, parse_text
from databuffer.shape import Shape
from databuffer.web.actor import actor_of
from databuffer.web.body import BodyReader, parse_object
from databuffer.web.keys import BUFFER, CONFIG, LEDGER

if TYPE_CHECKING:
    from collections.abc import Mapping

routes = web.RouteTableDef()

_DEFAULT_TYPE = "strain"
_MOST_ADMIN_BYTES = 1 << 16
_PERSON = Shape(values=1000, containers=100)
_LONGEST_USER = 200
_LONGEST_TOKEN = 10_000  # signed tokens are long; only a part of the hash is kept


@routes.get("/stat")
async def get_stat(request: web.Request) -> web.Response:
    """How many files, how many bytes."""
    return _answer(request, request.app[BUFFER].state.stat())


@routes.get("/dstat")
async def get_description(request: web.Request) -> web.Response:
    """Frozen or operational, and by whom."""
    return _answer(request, request.app[BUFFER].state.description())


@routes.get("/dumpLogF")
async def get_log(request: web.Request) -> web.Response:
    """One object a stored file; 204 when there is none."""
    files = request.app[BUFFER].state.files.values()
    if not files:
        return web.Response(status=204, headers=_position(request, None))
    return _answer(request, [file.logged() for file in files])


@routes.get("/dumpF")
async def get_names(request: web.Request) -> web.Response:
    """The names of the files, sorted."""
    return _answer(request, {"nmlist": sorted(request.app[BUFFER].state.files)})


@routes.post("/sendF")
async def post_segment(request: web.Request) -> web.Response:
    """Store a segment."""
    config = request.app[CONFIG]
    payload_type = PayloadTypeName.parse(request.query.get("type", _DEFAULT_TYPE))
    key, actor = _idempotency_key(request), actor_of(request)
    body = await BodyReader(request, config.max_segment_bytes).whole()
    written = await request.app[BUFFER].send(body, payload_type, key, actor)
    text = f"Written {written.name} for {written.size} bytes"
    return _answer(request, {"code": "RES_CREATE", "body": text}, 201, written.lsn)


@routes.post("/upddsc")
async def post_freeze(request: web.Request) -> web.Response:
    """Freeze the buffer."""
    key, actor = _idempotency_key(request), actor_of(request)
    raw = parse_object(await _admin_body(request), _PERSON)
    user, token = _text(raw, "user"), _text(raw, "token", _LONGEST_TOKEN)
    lsn = await request.app[BUFFER].freeze(user, token, key, actor)
    return _answer(request, {"code": "STAT_UPD", "body": "Table updated"}, 201, lsn)


@routes.post("/cleanall")
async def post_clean(request: web.Request) -> web.Response:
    """Archive the files, open an empty buffer; whatever body is sent is ignored."""
    key, actor = _idempotency_key(request), actor_of(request)
    await _admin_body(request)
    lsn = await request.app[BUFFER].clean(key, actor)
    return _answer(request, {"code": "STAT_UPD", "body": "Buffer cleaned"}, 201, lsn)


async def _admin_body(request: web.Request) -> bytes:
    return await BodyReader(request, _MOST_ADMIN_BYTES).whole()


def _idempotency_key(request: web.Request) -> str | None:
    text = request.headers.get("Idempotency-Key")
    return None if text is None else parse_text(text, "Idempotency-Key")


def _text(raw: dict[str, Any], field: str, longest: int = _LONGEST_USER) -> str:
    if field not in raw:
        raise Malformed(f"{field} is missing", field=field)
    text = raw[field]
    return "" if text == "" else parse_text(text, field, longest)


def _answer(
    request: web.Request,
    body: Mapping[str, Any] | list[Any],
    status: int = 200,
    lsn: int | None = None,
) -> web.Response:
    return web.Response(
        body=orjson.dumps(body),
        status=status,
        content_type="application/json",
        headers=_position(request, lsn),
    )


def _position(request: web.Request, lsn: int | None) -> dict[str, str]:
    head = request.app[LEDGER].head()
    return {"X-Ledger-LSN": str(head.lsn if lsn is None else lsn), "X-Ledger-Id": head.ledger}
