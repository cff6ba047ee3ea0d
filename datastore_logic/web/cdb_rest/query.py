"""Which payloads hold at a moment: what every job asks, so nothing is made of a row but the row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson
from flask import request

from datastore_logic.config import IovMode
from datastore_logic.domain.errors import BadName
from datastore_logic.domain.tags import TagRef
from datastore_logic.errors import NotFound
from datastore_logic.view.resolve import resolve
from datastore_logic.web import fields, resolved, wire
from datastore_logic.web.cdb_rest import asked

if TYPE_CHECKING:
    from flask import Blueprint, Response

    from datastore_logic.services.tier import Tier
    from datastore_logic.view.resolve import Resolution
    from datastore_logic.web.cdb_rest.ends import Ends

COLUMNS: Final = (
    "payload_type_name", "payload_url", "checksum", "size",
    "major_iov", "minor_iov", "major_iov_end", "minor_iov_end", "revision",
)  # fmt: skip


def add(routes: Blueprint, tier: Tier, ends: Ends) -> None:
    """Add the routes."""

    @routes.get("/payloadiovs/")
    @routes.get("/payload-iovs/query/")
    def query() -> Response:
        moment, name = asked.moment(), asked.text(request.args, "gtName")
        try:
            ref = TagRef.parse(name)
            tier.refuse_future(ref.lsn or 0)
            least = max(fields.min_lsn(), ref.lsn or 0)
            with tier.reading(least, of=ref.name, lazily=True) as snapshot:
                found = resolve(snapshot, ref, moment)
                resolved.note("cdb", ref.name)
                told = _told(found, ends)
                if ref.fingerprint is not None:
                    return wire.immutable(told, ref.fingerprint)
                return wire.revalidated(told, snapshot, found.tag.lsn)
        except (BadName, NotFound):
            return wire.answer([])  # what clients expect of a tag that is not there


def _told(found: Resolution, ends: Ends) -> object:
    """Return the rows in the shape asked for; as they are written, where that is the shape."""
    as_objects = "shape" in request.args and request.args["shape"] == "dict"
    if not as_objects and ends.mode is IovMode.CONTINUOUS:
        written = found.written
        if written is not None:
            return orjson.Fragment(written)
    rows = ends.rows(found.payloads)
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows] if as_objects else rows
