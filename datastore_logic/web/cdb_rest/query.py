"""Which payloads hold at a moment: what every job asks, so nothing is made of a row but the row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flask import request

from datastore_logic.domain.errors import BadName
from datastore_logic.domain.tags import TagRef
from datastore_logic.errors import NotFound
from datastore_logic.view.resolve import resolve
from datastore_logic.web import wire
from datastore_logic.web.cdb_rest import asked

if TYPE_CHECKING:
    from flask import Blueprint, Response

    from datastore_logic.services.tier import Tier
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
            least = max(wire.min_lsn(), ref.lsn or 0)
            with tier.reading(least, of=ref.name, lazily=True) as snapshot:
                found = resolve(snapshot, ref, moment)
                told = _shaped(ends.rows(found.payloads))
                if ref.fingerprint is not None:
                    return wire.immutable(told, snapshot, ref.fingerprint)
                return wire.revalidated(told, snapshot, found.tag.lsn)
        except (BadName, NotFound):
            return wire.answer([])  # what clients expect of a tag that is not there


def _shaped(rows: list[tuple[Any, ...]]) -> list[Any]:
    """Return rows in the shape asked for; whether one is, is not asked by `get`, which is slow."""
    if "shape" in request.args and request.args["shape"] == "dict":
        return [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    return rows
