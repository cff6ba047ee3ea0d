"""Payload types: list, make, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datastore_logic.domain.errors import AlreadyExists
from datastore_logic.domain.tags import PayloadTypeName
from datastore_logic.services import lists
from datastore_logic.view import catalogue
from datastore_logic.view.catalogue import TYPES
from datastore_logic.web import fields, wire
from datastore_logic.web.cdb_rest import asked, listing, shown
from datastore_logic.web.cdb_rest.refusals import Unknown

if TYPE_CHECKING:
    from flask import Blueprint, Response

    from datastore_logic.services.tier import Tier


def add(routes: Blueprint, tier: Tier) -> None:
    """Add the routes."""

    @routes.get("/pt")
    @routes.get("/payload-types")
    def list_types() -> Response:
        page = asked.page()
        if page is not None:
            return listing.browsed(tier, TYPES, page, shown.payload_type)
        with tier.reading(fields.min_lsn()) as snapshot:
            told = [shown.payload_type(line) for line in catalogue.everything(snapshot, TYPES)]
            return wire.revalidated(told, snapshot, snapshot.lsn)

    @routes.post("/pt")
    @routes.post("/payload-types")
    def create_type() -> Response:
        name = PayloadTypeName.parse(asked.told().get("name"))
        done = lists.create_type(tier, name, asking=asked.asking())
        if not done.new:
            raise AlreadyExists("payload_type", name)
        with tier.reading() as snapshot:
            line = catalogue.first(snapshot, TYPES, name=name)
            if line is None:
                raise Unknown
            return wire.answer(shown.payload_type(line), lsn=done.lsn)

    @routes.delete("/deletePayloadType/<name>")
    @routes.delete("/payload-types/<name>/delete")
    def delete_type(name: str) -> Response:
        done = lists.delete_type(tier, PayloadTypeName.parse(name), asking=asked.asking())
        return wire.answer({"detail": f"Payload Type {name} deleted."}, lsn=done.lsn)
