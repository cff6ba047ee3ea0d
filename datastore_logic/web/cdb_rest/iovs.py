"""Payload IOVs: list, show, make, make many, attach to a list, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Response

from datastore_logic.domain.moment import LIMIT, Moment
from datastore_logic.domain.tags import ListName, PayloadTypeName, TagName
from datastore_logic.errors import NotFound
from datastore_logic.services import iovs
from datastore_logic.view import catalogue
from datastore_logic.view.catalogue import IOVS
from datastore_logic.view.iovs import iov_made_by
from datastore_logic.web import fields, wire
from datastore_logic.web.cdb_rest import asked, listing, shown
from datastore_logic.web.cdb_rest.bulk import wanted
from datastore_logic.web.cdb_rest.refusals import Unknown

if TYPE_CHECKING:
    from flask import Blueprint

    from datastore_logic.services.tier import Tier
    from datastore_logic.view.catalogue import IovLine
    from datastore_logic.view.database import Snapshot
    from datastore_logic.web.cdb_rest.ends import Ends
    from datastore_logic.web.cdb_rest.listing import Pieces


def add(routes: Blueprint, tier: Tier, ends: Ends) -> None:
    """Add the routes."""
    _add_reads(routes, tier, ends)
    _add_writes(routes, tier, ends)
    _add_delete(routes, tier, ends)


def _add_reads(routes: Blueprint, tier: Tier, ends: Ends) -> None:
    @routes.get("/piov")
    @routes.get("/payload-iovs")
    def list_iovs() -> Response:
        page = asked.page()
        if page is not None:
            return listing.browsed(tier, IOVS, page, lambda line: shown.browsed_iov(line, ends))

        def begin(snapshot: Snapshot) -> tuple[Pieces, int]:
            return listing.every_iov(snapshot, ends), snapshot.lsn

        return listing.streamed(tier, begin)

    @routes.get("/piov/<iov_id>")
    @routes.get("/payload-iovs/<iov_id>")
    def show_iov(iov_id: str) -> Response:
        with tier.reading(fields.min_lsn()) as snapshot:
            line = _iov(snapshot, id=asked.known_id(iov_id))
            return wire.revalidated(shown.payload_iov(line, ends), snapshot, snapshot.lsn)


def _add_writes(routes: Blueprint, tier: Tier, ends: Ends) -> None:
    @routes.post("/piov")
    @routes.post("/payload-iovs")
    def create_iov() -> Response:
        row = asked.payload_iov(asked.told(), ends)
        done = iovs.create_iov(tier, row, asking=asked.asking())
        with tier.reading() as snapshot:
            line = _iov(snapshot, id=iov_made_by(snapshot, done.lsn).id)
            return wire.answer(shown.payload_iov(line, ends), lsn=done.lsn)

    @routes.post("/bulk_piov")
    @routes.post("/payload-iovs/bulk")
    def create_iovs() -> Response:
        sent = wanted(asked.told_many(tier.config.max_iovs), ends)
        done = iovs.insert_iovs(tier, sent, asking=asked.asking())
        response = Response(headers={"X-Ledger-LSN": str(done.lsn)})
        del response.headers["Content-Type"]  # of nothing
        return response

    @routes.put("/piov_attach")
    @routes.put("/payload-iovs/attach")
    def attach_iov() -> Response:
        sent = asked.told()
        name, iov_id = ListName.parse(sent.get("payload_list")), asked.number(sent, "piov_id")
        done = iovs.attach_iov(tier, name, iov_id, asking=asked.asking())
        with tier.reading() as snapshot:
            there = catalogue.first(snapshot, IOVS, id=iov_id, list_id=name.id)
            line = there or _iov(snapshot, id=iov_id)
            return wire.answer(shown.payload_iov(line, ends), lsn=done.lsn)


def _add_delete(routes: Blueprint, tier: Tier, ends: Ends) -> None:
    @routes.delete("/deletePayloadIOV/<tag>/<kind>/<major>/<minor>")
    @routes.delete("/deletePayloadIOV/<tag>/<kind>/<major>/<minor>/<major_end>/<minor_end>")
    @routes.delete("/payload-iovs/<tag>/<kind>/<major>/<minor>/delete")
    @routes.delete("/payload-iovs/<tag>/<kind>/<major>/<minor>/<major_end>/<minor_end>/delete")
    def delete_iov(
        tag: str,
        kind: str,
        major: str,
        minor: str,
        major_end: str = str(LIMIT),
        minor_end: str = str(LIMIT),
    ) -> Response:
        held_by = (TagName.parse(tag), PayloadTypeName.parse(kind))
        start, end = Moment.parse(major, minor), Moment.parse(major_end, minor_end)
        interval = ends.interval(kind, start, end)

        def look(snapshot: Snapshot) -> IovLine:
            return _begins_at(snapshot, *held_by, start)

        line = tier.decided(look)
        done = iovs.delete_iov(tier, *held_by, interval, asking=asked.asking())
        return wire.answer({"detail": f"PayloadIOV {line.name} deleted."}, lsn=done.lsn)


def _iov(snapshot: Snapshot, **having: object) -> IovLine:
    line = catalogue.first(snapshot, IOVS, **having)
    if line is None:
        raise Unknown
    return line


def _begins_at(snapshot: Snapshot, tag: TagName, kind: PayloadTypeName, start: Moment) -> IovLine:
    having = {"start_major": start.major, "start_minor": start.minor}
    line = catalogue.first(snapshot, IOVS, tag=tag, payload_type=kind, **having)
    if line is None:
        raise NotFound("payload_iov", f"of {kind} that begins at {start} in global tag {tag}")
    return line
