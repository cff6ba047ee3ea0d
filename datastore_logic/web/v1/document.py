"""The OpenAPI document as it is, and a page to read it."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final

import orjson
from flask import Response, render_template, request
from markupsafe import Markup, escape

from datastore_logic.web import wire
from datastore_logic.web.page import HTML, guarded
from datastore_logic.web.v1.reading import Document
from datastore_logic.web.v1.route import Route

if TYPE_CHECKING:
    from datastore_logic.services.tier import Tier


def openapi(tier: Tier) -> Response:
    """Send the document."""
    return _unchanging(_sent(), wire.JSON)


def docs(tier: Tier) -> Response:
    """Show the document."""
    return guarded(_unchanging(render_template("api.html", api=_read()).encode(), HTML))


ROUTES: Final = (Route("GET", "/openapi.json", openapi), Route("GET", "/docs", docs))


@cache
def _sent() -> bytes:
    return (resources.files("datastore_logic") / "openapi.json").read_bytes()


@cache
def _read() -> Document:
    return Document(orjson.loads(_sent()))


def _unchanging(content: bytes, kind: str) -> Response:
    """Return what changes with the next version of the service only."""
    response = Response(content, content_type=kind)
    response.set_etag(hashlib.sha256(content).hexdigest()[:32])
    response.headers["Cache-Control"] = "no-cache"
    response.make_conditional(request)
    return response


def inline(text: str) -> Markup:
    """Return text with `code`, **strong** and *stressed* words marked; all else is escaped.

    >>> inline("*n* is `<int>` & **big**")
    Markup('<em>n</em> is <code>&lt;int&gt;</code> &amp; <strong>big</strong>')
    """
    parts = text.split("`")
    marked = [
        f"<code>{escape(part)}</code>" if at % 2 else _stressed(escape(part))
        for at, part in enumerate(parts)
    ]
    return Markup("".join(marked))  # noqa: S704 - every part of it is escaped


def _stressed(escaped: Markup) -> str:
    strong = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", str(escaped))
    return re.sub(r"\*([^*]+)\*", r"<em>\1</em>", strong)
