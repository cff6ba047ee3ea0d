"""Contract C of the digital-twin datastore: what pods and DAGs ask in its few words.

The same buffer and services as contract B (stream.py), on the same port. Beside CREATED, FROZEN,
WAITING and CLEANED there are failures: they keep their status, and `resp` says ERROR.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, url_for

from datastore_logic.databuffer.refusals import told as agreed
from datastore_logic.errors import BadRequest, BufferIsFrozen
from datastore_logic.services import buffer_reads, buffer_writes
from datastore_logic.web import bodies, fields, middleware, wire
from datastore_logic.web.stream import channel

if TYPE_CHECKING:
    from collections.abc import Callable

    from datastore_logic.services.buffer_reads import Told
    from datastore_logic.services.tier import Tier

MAX_MESSAGE = 10_000


def blueprint(tier: Tier) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("glitchflow", __name__)
    routes.register_error_handler(Exception, _refuse)
    _add_reads(routes, tier)
    _add_writes(routes, tier)
    return routes


def _add_reads(routes: Blueprint, tier: Tier) -> None:
    @routes.get("/stats")
    def stats() -> Response:
        return _told(buffer_reads.stat(tier))

    @routes.get("/dumpbuf")
    def dumpbuf() -> Response:
        return _told(buffer_reads.files(tier))

    @routes.get("/desc")
    def desc() -> Response:
        return _told(buffer_reads.description(tier), lambda found: {"resp": found["dstatus"]})

    @routes.get("/dspage")
    def dspage() -> Response:
        """Lead to the status page; without a host, so that it works behind any proxy."""
        return Response(status=303, headers={"Location": url_for("pages.status")})


def _add_writes(routes: Blueprint, tier: Tier) -> None:
    @routes.post("/train")
    def train() -> Response:
        """Freeze what is full enough; what is frozen stays so, and a retried task succeeds.

        No key is needed for that, and none is heeded: FROZEN is said of the buffer as it is now,
        not of one that was frozen under this key and cleaned since.
        """
        sent = bodies.json_object()
        user, token = _line(sent, "user", fields.MAX_USER), _line(sent, "token", MAX_MESSAGE)
        stat = buffer_writes.freeze_when_full(
            tier, user, token, asking=fields.asking(user, keyed=False)
        )
        if stat is None:
            return wire.answer({"resp": "WAITING"})
        return wire.answer({"resp": "FROZEN", "n_f": stat.n_itm, "bt_wrt": stat.buff_size})

    @routes.post("/streamdata")
    def streamdata() -> Response:
        segment = bodies.whole(tier.config.max_segment_bytes)
        try:
            stored = buffer_writes.stream_segment(tier, segment, channel(), asking=fields.asking())
        except BufferIsFrozen as frozen:
            return wire.answer({"resp": "FROZEN", "body": str(frozen)})
        words = agreed(stored, "body")["body"]
        return wire.answer({"resp": "CREATED", "body": words}, lsn=stored.lsn)

    @routes.post("/cleanbuf")
    def cleanbuf() -> Response:
        fields.text(bodies.json_object(), "msg", most=MAX_MESSAGE)
        done = buffer_writes.clean(tier, asking=fields.asking())
        words = agreed(done, "body")["body"]
        if done.status in buffer_writes.BROKEN_VOLUME:
            return wire.answer({"resp": "FS ERR", "body": words})
        return wire.answer({"resp": "CLEANED", "body": words}, lsn=done.lsn)


def _told(told: Told, shown: Callable[[Any], object] = lambda found: found) -> Response:
    """Return what is known of the buffer, and whether only the view tells it."""
    return wire.answer(shown(told.content), lsn=told.lsn, away=told.away)


def _line(sent: dict[str, Any], field: str, most: int) -> str:
    """Return a field that the databuffer will take: refused now, not when the buffer is full."""
    text = fields.text(sent, field, most=most)
    if not text.isprintable():
        raise BadRequest(f"{field}: must be printable", field=field)
    return text


def _refuse(error: Exception) -> Response:
    """Tell a failure as everywhere, in this contract's form; malformed is 422 here."""
    told, status = middleware.told(error)
    if status == 400:
        return middleware.refusal(error, wire.answer(told, 422))
    told |= {"resp": "ERROR", "body": told["detail"]}
    return middleware.refusal(error, wire.answer(told, status))
