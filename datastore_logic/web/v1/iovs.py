"""Payload IOVs of a tag: insert many at once, list those of a type, delete one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from datastore_logic.domain.moment import Moment
from datastore_logic.domain.tags import ListName, TagName
from datastore_logic.services import iovs
from datastore_logic.view.contents import find_content
from datastore_logic.view.iovs import rows_between, segments_after
from datastore_logic.web import bodies, bounds, fields, wire
from datastore_logic.web.v1 import asked, bulk, shown
from datastore_logic.web.v1.route import Route

if TYPE_CHECKING:
    from flask import Response

    from datastore_logic.services.tier import Tier

PAGE: Final = 10_000


def insert_iovs(tier: Tier, tag: str) -> Response:
    """Insert payload IOVs of any types: all or none."""
    most = tier.config.max_iovs
    name = TagName.parse(tag)
    told = asked.body("iovs", most=bodies.MAX_BULK_BYTES, bounds=bounds.of_iovs(most))
    wanted = bulk.wanted(told.get("iovs"), name, most)
    done = iovs.insert_iovs(tier, wanted, asking=asked.asking())
    body = {"tag": name, "inserted": len(told["iovs"]) if done.new else 0, "lsn": done.lsn}
    return wire.answer(body, 201 if done.new else 200, lsn=done.lsn)


def list_iovs(tier: Tier, tag: str, payload_type: str) -> Response:
    """Show a page of the payload IOVs of a type, of those that overlap an interval."""
    ref, kind = asked.ref(tag), asked.kind(payload_type)
    interval, after, limit = asked.interval(), asked.after(), asked.limit(PAGE)
    with asked.reading(tier, ref) as snapshot:
        content = find_content(snapshot, ref, kind)
        (held,) = content.lists
        found = rows_between(snapshot, held, interval, content.as_of, after=after, limit=limit + 1)
        rows, following = shown.page(list(found), limit, lambda row: f"{row[1]}:{row[2]}")
        told = {
            **shown.about(content),
            "payload_type": kind,
            "payload_list": ListName.of(kind, held.list_id),
            "iovs": [shown.iov(row) for row in rows],
            "next": following,
        }
        return shown.read(told, snapshot, content.tag.lsn, ref)


def list_segments(tier: Tier, tag: str, payload_type: str) -> Response:
    """Show a page of a streamed list's segments in full, which its fingerprint is over."""
    ref, kind = asked.ref(tag), asked.kind(payload_type)
    after, limit = asked.after() or Moment(0, 0), asked.limit(PAGE)
    with asked.reading(tier, ref) as snapshot:
        content = find_content(snapshot, ref, kind)
        (held,) = content.lists
        begin, upto = (after.major, after.minor), content.as_of
        found = segments_after(snapshot, held.timeline_id, begin, upto, limit + 1)
        rows, following = shown.page(found or (), limit, lambda row: f"{row[-1]}:{row[0]}")
        told = {
            **shown.about(content),
            "payload_type": kind,
            "segments": None if found is None else [shown.iov((None, *row[1:])) for row in rows],
            "next": following,
        }
        return shown.read(told, snapshot, content.tag.lsn, ref)


def delete_iov(tier: Tier, tag: str, payload_type: str) -> Response:
    """Delete the payload IOV of exactly this interval."""
    name, kind = TagName.parse(tag), asked.kind(payload_type)
    done = iovs.delete_iov(tier, name, kind, fields.interval(), asking=asked.asking())
    told = {"tag": name, "payload_type": kind, "deleted": True, "lsn": done.lsn}
    return wire.answer(told, lsn=done.lsn)


_IOVS: Final = "/global-tags/<tag>/payload-lists/<payload_type>/iovs"
_SEGMENTS: Final = "/global-tags/<tag>/payload-lists/<payload_type>/segments"
_INTERVAL: Final = ("major", "minor", "major_end", "minor_end")

ROUTES: Final = (
    Route("POST", "/global-tags/<tag>/iovs", insert_iovs, ("user",)),
    Route("GET", _IOVS, list_iovs, (*_INTERVAL, "after", "as_of", "limit")),
    Route("GET", _SEGMENTS, list_segments, ("after", "as_of", "limit")),
    Route("DELETE", _IOVS, delete_iov, (*_INTERVAL, "user")),
)
