"""Contract B of the digital-twin datastore: the streaming buffer as its callers know it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from flask import Blueprint, Response, request

from datastore_logic.domain.tags import PayloadTypeName, TagName
from datastore_logic.errors import BadRequest
from datastore_logic.services import buffer_reads, buffer_writes, streaming
from datastore_logic.services.goals import TagAndType
from datastore_logic.web import bodies, fields, wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from datastore_logic.services.buffer_reads import Told
    from datastore_logic.services.tier import Tier

WAITING = "Waiting for more incoming data."
BROKEN = "Broken FS"
READS: Final = {
    "/bufstat": buffer_reads.stat,
    "/dsdesc": buffer_reads.description,
    "/dumpflog": buffer_reads.log,
    "/dumpf": buffer_reads.files,
}
"""Each path, and what tells its answer."""


def blueprint(tier: Tier) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("stream", __name__)

    @routes.post("/stream")
    def stream() -> Response:
        """Take a segment as it is; with a moment in the query, any bytes as a payload."""
        if "major" in request.args:
            return _stream_payload(tier)
        if "tag" in request.args or "minor" in request.args:
            raise BadRequest("major: is needed where tag or minor is given", field="major")
        kind = channel()
        segment = bodies.whole(tier.config.max_segment_bytes)
        stored = buffer_writes.stream_segment(tier, segment, kind, asking=fields.asking())
        return wire.plain(stored.body, 201, lsn=stored.lsn)

    @routes.post("/freezeds")
    def freezeds() -> Response:
        told = bodies.json_object()
        user, token = fields.text(told, "user", most=fields.MAX_USER), fields.text(told, "token")
        stat = buffer_writes.freeze_when_full(tier, user, token, asking=fields.asking(user))
        return wire.plain(WAITING) if stat is None else wire.answer(asdict(stat), 201)

    @routes.post("/flushbuf")
    def flushbuf() -> Response:
        bodies.whole(bodies.MAX_JSON_BYTES)  # ignored, but a request that breaks off cleans nothing
        done = buffer_writes.clean(tier, asking=fields.asking())
        if done.status in buffer_writes.BROKEN_VOLUME:
            return wire.plain(BROKEN, 500)
        return wire.plain(done.body, 201, lsn=done.lsn)

    for path, read in READS.items():
        routes.add_url_rule(path, path[1:], _reading(tier, read), methods=["GET"])
    return routes


def channel() -> PayloadTypeName | None:
    """Return the payload type of a segment, if the query names it."""
    told = request.args.get("type")
    return None if told is None else PayloadTypeName.parse(told)


def _reading(tier: Tier, read: Callable[[Tier], Told]) -> Callable[[], Response]:
    def answer() -> Response:
        told = read(tier)
        return wire.answer(told.content, lsn=told.lsn, away=told.away)

    return answer


def _stream_payload(tier: Tier) -> Response:
    """Take any bytes as a payload that holds from a moment on, or up to another."""
    if "type" not in request.args:
        raise BadRequest("type: is needed", field="type")
    stored = streaming.stream_payload(
        tier,
        bodies.chunks(),
        request.content_length,
        TagAndType(
            TagName.parse(request.args.get("tag", tier.config.stream_tag)),
            PayloadTypeName.parse(request.args["type"]),
        ),
        fields.interval(),
        name=fields.logical_name(),
        asking=fields.asking(),
    )
    held = stored.interval
    told = {
        "tag": stored.tag,
        "payload_type": stored.payload_type,
        "digest": stored.digest,
        "size": stored.size,
        "name": stored.name,
        "start": held.start.wire(),
        "end": held.end and held.end.wire(),
        "lsn": stored.lsn,
    }
    return wire.answer(told, 201, lsn=stored.lsn)
