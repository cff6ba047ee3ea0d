"""`POST /blobs/unreferenced`: blobs that nothing names are found and, if asked, removed."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

from databuffer.errors import Malformed
from databuffer.shape import Shape
from databuffer.web.body import BodyReader, parse_object
from databuffer.web.keys import UNREFERENCED

routes = web.RouteTableDef()

_MOST_BYTES = 1 << 12
_FEW = Shape(values=100, containers=10)
_WEEK = 604_800
_LEAST = 3600
"""Seconds that whoever stores a payload has at the least until something names it."""


@routes.post("/blobs/unreferenced")
async def post_unreferenced(request: web.Request) -> web.Response:
    """Say which blobs nothing names; with `remove`, remove those nobody asked for of late."""
    asked = parse_object(await BodyReader(request, _MOST_BYTES).whole() or b"{}", _FEW)
    remove = _flag(asked)
    swept = await request.app[UNREFERENCED].sweep(_older_than(asked, remove), remove=remove)
    return web.Response(body=orjson.dumps(swept), content_type="application/json")


def _flag(asked: dict[str, Any]) -> bool:
    remove = asked.get("remove", False)
    if not isinstance(remove, bool):
        raise Malformed("remove is true or false", field="remove")
    return remove


def _older_than(asked: dict[str, Any], remove: bool) -> float:
    seconds = asked.get("older_than", _WEEK)
    least = _LEAST if remove else 0
    if type(seconds) not in (int, float) or not least <= seconds < 1e12:
        raise Malformed(f"older_than is {least} seconds or more", field="older_than")
    return float(seconds)
