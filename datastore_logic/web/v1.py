"""Our own API, `/api/v1`: global tags, what holds at a moment, payloads by digest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flask import Blueprint, Response, request, url_for

from datastore_logic.buffer_client import Answer, refusal
from datastore_logic.domain.tags import Digest, PayloadTypeName, TagName, TagRef, TagState
from datastore_logic.errors import NotFound
from datastore_logic.services import tags
from datastore_logic.view import browse
from datastore_logic.view.resolve import resolve
from datastore_logic.web import wire

if TYPE_CHECKING:
    from datastore_logic.domain.timeline import Row
    from datastore_logic.services.tier import Tier
    from datastore_logic.view.browse import ListRow, TagRow
    from datastore_logic.view.resolve import Resolution

PASSED_ON: Final = ("Range", "If-None-Match", "If-Range", "If-Modified-Since")
PASSED_BACK: Final = (
    "Content-Type", "Content-Length", "Content-Range", "Accept-Ranges", "ETag", "Cache-Control",
    "Repr-Digest", "Last-Modified",
)  # fmt: skip


def blueprint(tier: Tier) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("v1", __name__, url_prefix="/api/v1")

    @routes.get("/global-tags")
    def list_tags() -> Response:
        with tier.reading(wire.min_lsn(), of=tier.config.stream_tag) as snapshot:
            rows = [_tag(row) for row in browse.tags(snapshot)]
            told = {"lsn": snapshot.lsn, "global_tags": rows}
            return wire.answer(told, lsn=snapshot.lsn, away=not snapshot.position.reachable)

    @routes.post("/global-tags")
    def create_tag() -> Response:
        told = wire.json_object()
        name = TagName.parse(told.get("name"))
        words = wire.text(told, "description", "")
        key = wire.idempotency_key()
        done = tags.create_tag(tier, name, words, actor=wire.actor(), key=key)
        with tier.reading() as snapshot:
            row = browse.find_tag(snapshot, name)
        return wire.answer(_tag(row), 201 if done.new else 200, lsn=done.lsn)

    @routes.get("/global-tags/<name>")
    def show_tag(name: str) -> Response:
        ref = TagRef.parse(name)
        with tier.reading(wire.min_lsn(), of=ref.name) as snapshot:
            tag = browse.find_ref(snapshot, ref)
            rows = [_list(held) for held in browse.lists(snapshot, tag.id)]
            told = {**_tag(tag), "name": ref.name, "payload_lists": rows}
            return wire.revalidated(told, snapshot, tag.lsn)

    @routes.get("/global-tags/<name>/payloads")
    def payloads(name: str) -> Response:
        kind = request.args.get("type")
        only = None if kind is None else PayloadTypeName.parse(kind)
        moment = wire.moment()
        ref = TagRef.parse(name)
        with tier.reading(wire.min_lsn(), of=ref.name) as snapshot:
            found = resolve(snapshot, ref, moment, only)
            if ref.fingerprint is not None:
                return wire.immutable(_resolution(found), snapshot, ref.fingerprint)
            return wire.revalidated(_resolution(found), snapshot, found.tag.lsn)

    @routes.post("/global-tags/<name>/freeze")
    def freeze(name: str) -> Response:
        told = wire.json_object(needed=False)
        tag = TagName.parse(name)
        done = tags.freeze_tag(
            tier,
            tag,
            user=wire.text(told, "user", "", most=wire.MAX_USER) or wire.actor(),
            token=wire.text(told, "token", ""),
            reason=wire.text(told, "reason", "") or None,
            key=wire.idempotency_key(),
        )
        with tier.reading() as snapshot:
            row = browse.find_tag(snapshot, tag)
        mark = row.fingerprint if row.state is TagState.FROZEN else None
        body = {"tag": tag, "state": row.state, "fingerprint": mark, "lsn": row.lsn}
        return wire.answer(body, lsn=done.lsn)

    @routes.post("/payloads")
    def store() -> Response:
        blob = tier.buffer.store_blob(wire.chunks(), request.content_length)
        told = {"digest": blob.digest, "size": blob.size, "href": _href(_shelf(), blob.digest)}
        return wire.answer(told, 201 if blob.created else 200)

    @routes.get("/payloads/sha256/<hexdigits>", endpoint="payload")
    def fetch(hexdigits: str) -> Response:
        return _fetch(tier, Digest.parse(f"sha256:{hexdigits}"))

    return routes


def _fetch(tier: Tier, digest: Digest) -> Response:
    """Pass a payload's bytes through as they come, ranges and revalidation included."""
    wanted = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
    found = tier.buffer.open_blob(request.method, digest, wanted)
    if found.status == 404:  # to HEAD the databuffer's answer has no body that could say so
        found.drain_conn()
        found.release_conn()
        raise NotFound("payload", digest)
    if found.status not in {200, 206, 304, 416}:
        raise refusal(Answer(found.status, found.data, 0))
    kept = {name: found.headers[name] for name in PASSED_BACK if name in found.headers}
    pieces = found.stream(wire.CHUNK, decode_content=False)
    response = Response(pieces, found.status, headers=kept, direct_passthrough=True)
    response.call_on_close(found.release_conn if request.method == "HEAD" else found.close)
    return response


def _tag(tag: TagRow) -> dict[str, Any]:
    return {
        "name": tag.name,
        "state": tag.state,
        "fingerprint": tag.fingerprint,
        "description": tag.description,
        "created": tag.created,
        "updated": tag.updated,
        "payload_lists": tag.list_count,
        "payload_iovs": tag.iov_count,
        "lsn": tag.lsn,
    }


def _list(held: ListRow) -> dict[str, Any]:
    return {
        "payload_type": held.payload_type,
        "payload_iovs": held.iov_count,
        "begin": held.begin,
        "end": held.end,
    }


def _resolution(found: Resolution) -> dict[str, Any]:
    holds, shelf = found.holds, _shelf()
    return {
        "tag": found.ref.name,
        "state": found.tag.state,
        "fingerprint": found.tag.fingerprint,
        "lsn": found.lsn,
        "moment": found.moment.wire(),
        "since": holds.start.wire(),
        "until": holds.end and holds.end.wire(),
        "payloads": [_payload(kind, iov, shelf) for kind, iov in found.payloads],
        "gaps": found.gaps,
    }


def _payload(kind: str, iov: Row, shelf: str) -> dict[str, Any]:
    payload, held = iov.payload, iov.interval
    return {
        "payload_type": kind,
        "name": payload.name,
        "checksum": payload.checksum,
        "digest": payload.digest,
        "size": payload.size,
        "start": held.start.wire(),
        "end": held.end and held.end.wire(),
        "href": payload.digest and _href(shelf, payload.digest),
    }


def _shelf() -> str:
    """Return where payloads are fetched: asked once an answer, it costs more than a look-up."""
    return url_for("v1.payload", hexdigits="")


def _href(shelf: str, digest: str) -> str:
    return shelf + digest.removeprefix("sha256:")
