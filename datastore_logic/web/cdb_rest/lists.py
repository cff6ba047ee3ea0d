"""Payload lists: list, show, make, attach to a global tag, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datastore_logic.domain.tags import ListName, PayloadTypeName, TagName
from datastore_logic.services import lists
from datastore_logic.view import catalogue
from datastore_logic.view.catalogue import LISTS
from datastore_logic.view.lists import list_made_by
from datastore_logic.web import fields, wire
from datastore_logic.web.cdb_rest import asked, listing, shown
from datastore_logic.web.cdb_rest.refusals import Unknown

if TYPE_CHECKING:
    from flask import Blueprint, Response

    from datastore_logic.services.tier import Tier
    from datastore_logic.view.catalogue import ListLine
    from datastore_logic.view.database import Snapshot
    from datastore_logic.web.cdb_rest.ends import Ends
    from datastore_logic.web.cdb_rest.listing import Pieces


def add(routes: Blueprint, tier: Tier, ends: Ends) -> None:
    """Add the routes."""
    _add_reads(routes, tier, ends)
    _add_writes(routes, tier)


def _add_reads(routes: Blueprint, tier: Tier, ends: Ends) -> None:
    @routes.get("/pl")
    @routes.get("/payload-lists")
    def list_lists() -> Response:
        page = asked.page()
        if page is not None:
            return listing.browsed(tier, LISTS, page, shown.counted_list)

        def begin(snapshot: Snapshot) -> tuple[Pieces, int]:
            found = [*catalogue.everything(snapshot, LISTS)]
            nested = (listing.nested_list(snapshot, held, ends) for held in found)
            return listing.array(nested), snapshot.lsn

        return listing.streamed(tier, begin)

    @routes.get("/pl/<list_id>")
    @routes.get("/payload-lists/<list_id>")
    def show_list_by_id(list_id: str) -> Response:
        with tier.reading(fields.min_lsn()) as snapshot:
            held = _list(snapshot, id=asked.known_id(list_id))
            told = shown.payload_list(held)
            told |= {"global_tag": held.tag_id, "payload_type": held.type_id}
            return wire.revalidated(told, snapshot, snapshot.lsn)

    @routes.get("/payload-lists/by-name/<name>")
    def show_list(name: str) -> Response:
        with tier.reading(fields.min_lsn()) as snapshot:
            held = _list(snapshot, id=asked.known_id(name.rpartition("_")[2]), name=name)
            return wire.revalidated(shown.counted_list(held), snapshot, snapshot.lsn)


def _add_writes(routes: Blueprint, tier: Tier) -> None:
    @routes.post("/pl")
    @routes.post("/payload-lists")
    def create_list() -> Response:
        kind = PayloadTypeName.parse(asked.told().get("payload_type"))
        done = lists.create_list(tier, kind, asking=asked.asking())
        with tier.reading() as snapshot:
            held = _list(snapshot, id=list_made_by(snapshot, done.lsn).id)
            return wire.answer(shown.payload_list(held), lsn=done.lsn)

    @routes.put("/pl_attach")
    @routes.put("/payload-lists/attach")
    def attach_list() -> Response:
        sent = asked.told()
        name, tag = ListName.parse(sent.get("payload_list")), TagName.parse(sent.get("global_tag"))
        done = lists.attach_list(tier, name, tag, asking=asked.asking())
        with tier.reading() as snapshot:
            return wire.answer(shown.payload_list(_list(snapshot, id=name.id)), lsn=done.lsn)

    @routes.delete("/deletePayloadList/<name>")
    @routes.delete("/payload-lists/<name>/delete")
    def delete_list(name: str) -> Response:
        done = lists.delete_list(tier, ListName.parse(name), asking=asked.asking())
        return wire.answer({"detail": f"Payload Type {name} deleted."}, lsn=done.lsn)  # sic


def _list(snapshot: Snapshot, **having: object) -> ListLine:
    held = catalogue.first(snapshot, LISTS, **having)
    if held is None:
        raise Unknown
    return held
