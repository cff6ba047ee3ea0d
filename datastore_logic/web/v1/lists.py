"""Payload types and payload lists: make, show, attach, detach, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from datastore_logic.domain.tags import TagName
from datastore_logic.errors import BadRequest
from datastore_logic.services import lists
from datastore_logic.view.lists import find_list, find_type, list_made_by, types
from datastore_logic.web import fields, wire
from datastore_logic.web.v1 import asked, shown
from datastore_logic.web.v1.route import Route

if TYPE_CHECKING:
    from flask import Response

    from datastore_logic.services.tier import Tier


def list_types(tier: Tier) -> Response:
    """Show a page of payload types by name."""
    limit, after, search = asked.limit(), asked.words("after"), asked.words("search").lower()
    with tier.reading(fields.min_lsn()) as snapshot:
        found = [row for row in types(snapshot) if row.name > after and search in row.name.lower()]
        rows, following = shown.page(found, limit, lambda row: row.name)
        told = [{"name": row.name, "created": row.created} for row in rows]
        page = {"lsn": snapshot.lsn, "payload_types": told, "next": following}
        return shown.read(page, snapshot, snapshot.lsn)


def create_type(tier: Tier) -> Response:
    """Make a payload type; one that exists is shown."""
    name = asked.kind(asked.body("name").get("name"), "name")
    done = lists.create_type(tier, name, asking=asked.asking())
    with tier.reading(done.lsn) as snapshot:
        row = find_type(snapshot, name)
    told = {"name": row.name, "created": row.created}
    return wire.answer(told, 201 if done.new else 200, lsn=done.lsn)


def delete_type(tier: Tier, payload_type: str) -> Response:
    """Delete a payload type that no list is of."""
    name = asked.kind(payload_type)
    done = lists.delete_type(tier, name, asking=asked.asking())
    told = {"payload_type": name, "deleted": True, "lsn": done.lsn}
    return wire.answer(told, lsn=done.lsn)


def create_list(tier: Tier) -> Response:
    """Make an empty payload list that no tag has."""
    name = asked.kind(asked.body("payload_type").get("payload_type"))
    done = lists.create_list(tier, name, asking=asked.asking())
    with tier.reading(done.lsn) as snapshot:
        row = list_made_by(snapshot, done.lsn)
    return wire.answer(shown.payload_list(row), 201, lsn=done.lsn)


def show_list(tier: Tier, payload_list: str) -> Response:
    """Describe a payload list."""
    name = asked.payload_list(payload_list)
    with tier.reading(fields.min_lsn()) as snapshot:
        row = find_list(snapshot, name)
        return shown.read(shown.payload_list(row), snapshot, snapshot.lsn)


def delete_list(tier: Tier, payload_list: str) -> Response:
    """Delete an empty payload list."""
    name = asked.payload_list(payload_list)
    done = lists.delete_list(tier, name, asking=asked.asking())
    told = {"payload_list": name, "deleted": True, "lsn": done.lsn}
    return wire.answer(told, lsn=done.lsn)


def attach_list(tier: Tier, tag: str, payload_type: str) -> Response:
    """Give a tag this list of the type."""
    goal, kind = TagName.parse(tag), asked.kind(payload_type)
    name = asked.payload_list(asked.body("payload_list").get("payload_list"))
    if name.payload_type != kind:
        raise BadRequest(f"payload_list: {name} is not of type {kind}", field="payload_list")
    done = lists.attach_list(tier, name, goal, asking=asked.asking())
    told = {"tag": goal, "payload_type": kind, "payload_list": name, "lsn": done.lsn}
    return wire.answer(told, lsn=done.lsn)


def detach_list(tier: Tier, tag: str, payload_type: str) -> Response:
    """Take a tag's list of the type out of it."""
    name, kind = TagName.parse(tag), asked.kind(payload_type)
    done = lists.detach_list(tier, name, kind, asking=asked.asking())
    told = {"tag": name, "payload_type": kind, "detached": True, "lsn": done.lsn}
    return wire.answer(told, lsn=done.lsn)


_HELD: Final = "/global-tags/<tag>/payload-lists/<payload_type>"

ROUTES: Final = (
    Route("GET", "/payload-types", list_types, ("after", "limit", "search")),
    Route("POST", "/payload-types", create_type, ("user",)),
    Route("DELETE", "/payload-types/<payload_type>", delete_type, ("user",)),
    Route("POST", "/payload-lists", create_list, ("user",)),
    Route("GET", "/payload-lists/<payload_list>", show_list),
    Route("DELETE", "/payload-lists/<payload_list>", delete_list, ("user",)),
    Route("PUT", _HELD, attach_list, ("user",)),
    Route("DELETE", _HELD, detach_list, ("user",)),
)
