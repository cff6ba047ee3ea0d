"""How an answer is written: its body, how long it holds, and which LSN it reflects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson
from flask import Response, request

if TYPE_CHECKING:
    from datastore_logic.view.database import Snapshot

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"


def answer(
    content: object, status: int = 200, *, lsn: int | None = None, away: bool = False
) -> Response:
    """Return JSON; `lsn` is what it reflects, or the entry it made."""
    return _with_lsn(Response(orjson.dumps(content), status, mimetype=JSON), lsn, away=away)


def plain(content: str | bytes, status: int = 200, *, lsn: int | None = None) -> Response:
    """Return text."""
    return _with_lsn(Response(content, status, content_type=TEXT), lsn)


def revalidated(content: object, snapshot: Snapshot, tag_lsn: int) -> Response:
    """Return JSON that holds until the tag is touched again; 304 to who has it already.

    Who does not see everything is not taken for another who sees other tags.
    """
    position, sight = snapshot.position, snapshot.sight
    etag = f"{position.ledger[:12]}-{tag_lsn}"
    response = _cached(content, etag if sight is None else f"{etag}-{sight.mark}", "no-cache")
    response.headers["X-Ledger-Id"] = position.ledger
    return _with_lsn(response, snapshot.lsn, away=not position.reachable)


def immutable(content: object, fingerprint: str) -> Response:
    """Return JSON about frozen content named by its fingerprint: it holds for ever.

    It says nothing of this replica, for caches give it to others a year later.
    """
    return _cached(content, fingerprint, "public, max-age=31536000, immutable")


def as_it_is(content: object, snapshot: Snapshot) -> Response:
    """Return JSON that depends on more than the view: its ETag is of what it says."""
    response = answer(content, lsn=snapshot.lsn, away=not snapshot.position.reachable)
    response.add_etag(weak=True)
    response.headers["Cache-Control"] = "no-cache"
    response.make_conditional(request)
    return response


def _cached(content: object, etag: str, cache_control: str) -> Response:
    headers = [("ETag", f'W/"{etag}"'), ("Cache-Control", cache_control)]
    response = Response(orjson.dumps(content), headers=headers, content_type=JSON)
    if "If-None-Match" in request.headers:
        response.make_conditional(request)
    return response


def _with_lsn(response: Response, lsn: int | None, *, away: bool = False) -> Response:
    if lsn is not None:
        response.headers["X-Ledger-LSN"] = str(lsn)
    if away:
        response.headers["X-Databuffer"] = "away"
    return response
