"""The bytes of payloads: stored under their digest, passed through as they come."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from flask import Response, request

from datastore_logic.databuffer.answers import Answer
from datastore_logic.databuffer.refusals import refusal
from datastore_logic.domain.tags import Digest
from datastore_logic.errors import BadRequest, NotFound
from datastore_logic.services.opening import opened
from datastore_logic.web import bodies, fields, wire
from datastore_logic.web.v1 import asked, shown
from datastore_logic.web.v1.route import Route

if TYPE_CHECKING:
    from datastore_logic.services.tier import Tier

MAX_DIGESTS: Final = 10_000
LIFETIME: Final = 3600
MOST_LIFETIME: Final = 23 * 3600
"""Seconds that a link may be good for: the databuffer takes a day, and clocks differ."""

PASSED_ON: Final = ("Range", "If-None-Match", "If-Range", "If-Modified-Since")
PASSED_BACK: Final = (
    "Content-Type", "Content-Length", "Content-Range", "Accept-Ranges", "ETag", "Cache-Control",
    "Repr-Digest", "Last-Modified",
)  # fmt: skip


def store_payload(tier: Tier) -> Response:
    """Keep any bytes."""
    blob = tier.buffer.store_blob(bodies.chunks(), request.content_length)
    told = {"digest": blob.digest, "size": blob.size, "href": shown.href(blob.digest)}
    return wire.answer(told, 201 if blob.created else 200)


def missing_payloads(tier: Tier) -> Response:
    """Say which of many payloads are not in the store."""
    told = asked.listed(asked.body("digests"), "digests", MAX_DIGESTS)
    digests = [fields.parsed(Digest.parse, sent, f"digests[{at}]") for at, sent in enumerate(told)]
    return wire.answer({"missing": tier.buffer.missing(digests)})


def payload(tier: Tier, hexdigits: str) -> Response:
    """Pass a payload's bytes through as they come, ranges and revalidation included."""
    digest = Digest.parse(f"sha256:{hexdigits}")
    wanted = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
    found = opened(tier, request.method, digest, wanted)
    if found.status == 404:  # to HEAD the databuffer's answer has no body that could say so
        found.drain_conn()
        found.release_conn()
        raise NotFound("payload", digest)
    if found.status not in {200, 206, 304, 416}:
        raise refusal(Answer(found.status, found.data, 0))
    kept = {name: found.headers[name] for name in PASSED_BACK if name in found.headers}
    pieces = found.stream(bodies.CHUNK, decode_content=False)
    response = Response(pieces, found.status, headers=kept, direct_passthrough=True)
    response.call_on_close(found.release_conn if request.method == "HEAD" else found.close)
    return response


def payload_link(tier: Tier, hexdigits: str) -> Response:
    """Give a link to a payload's bytes at the databuffer, for who has no credential of its own."""
    digest, lifetime = Digest.parse(f"sha256:{hexdigits}"), _lifetime()
    link = tier.buffer.link(digest, lifetime)
    if tier.buffer.missing([digest]):
        raise NotFound("payload", digest)
    expires = datetime.fromtimestamp(link.expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    response = wire.answer({"url": link.url, "expires": expires})
    response.headers["Cache-Control"] = "no-store"  # it is as good as a credential
    return response


def _lifetime() -> int:
    told = request.args.get("lifetime", str(LIFETIME))
    if not (
        told.isascii() and told.isdigit() and len(told) < 9 and 1 <= int(told) <= MOST_LIFETIME
    ):
        words = f"lifetime: must be a number of seconds from 1 to {MOST_LIFETIME}"
        raise BadRequest(words, field="lifetime")
    return int(told)


ROUTES: Final = (
    Route("POST", "/payloads", store_payload),
    Route("POST", "/payloads/missing", missing_payloads),
    Route("GET", "/payloads/sha256/<hexdigits>", payload),
    Route("GET", "/payloads/sha256/<hexdigits>/link", payload_link, ("lifetime",)),
)
