"""How v1 writes what it found: tags, lists, payload IOVs as JSON, and how long it may be kept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from datastore_logic.domain.tags import ListName, TagState
from datastore_logic.view.iovs import extent
from datastore_logic.web import wire

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flask import Response

    from datastore_logic.domain.moment import Interval
    from datastore_logic.domain.tags import TagRef
    from datastore_logic.view.contents import Content, ContentList
    from datastore_logic.view.database import Snapshot
    from datastore_logic.view.lists import ListRow
    from datastore_logic.view.proposals import ProposalRow
    from datastore_logic.view.resolve import Resolution
    from datastore_logic.view.tags import TagRow

SHELF: Final = "/api/v1/payloads/sha256/"
"""Where payloads are fetched, but for the digits of their digest."""

_DIGITS: Final = len("sha256:")

Item = TypeVar("Item")


def time(at: float) -> str:
    """Return a time, in seconds since 1970, as ISO 8601 writes it in UTC."""
    return f"{datetime.fromtimestamp(int(at), UTC):%Y-%m-%dT%H:%M:%SZ}"


def read(content: object, snapshot: Snapshot, lsn: int, ref: TagRef | None = None) -> Response:
    """Return what was read, and how long it stays true.

    Frozen content named by its fingerprint: for ever. The rest until `lsn` moves on, which for
    TAG@<lsn> is never; but a restored ledger has other entries, so even that is asked for again.
    """
    if ref is not None and ref.fingerprint is not None:
        return wire.immutable(content, ref.fingerprint)
    fixed = lsn if ref is None or ref.lsn is None else ref.lsn
    return wire.revalidated(content, snapshot, fixed)


def page(
    found: Sequence[Item], limit: int, name: Callable[[Item], object]
) -> tuple[Sequence[Item], object]:
    """Return at most `limit` of what was found, and behind what the next page begins, if any."""
    if len(found) <= limit:
        return found, None
    return found[:limit], name(found[limit - 1])


def tag(row: TagRow) -> dict[str, Any]:
    """Return a tag as lists show it."""
    return {
        "name": row.name,
        "state": row.state,
        "fingerprint": row.fingerprint,
        "description": row.description,
        "author": row.author,
        "streamed": row.streamed,
        "created": row.created,
        "updated": row.updated,
        "payload_list_count": row.list_count,
        "payload_iov_count": row.iov_count,
        "lsn": row.lsn,
    }


def state(row: TagRow) -> dict[str, Any]:
    """Return how a tag stands."""
    mark = row.fingerprint if row.state is TagState.FROZEN else None
    return {"tag": row.name, "state": row.state, "fingerprint": mark, "lsn": row.lsn}


def proposal(row: ProposalRow, needed: int) -> dict[str, Any]:
    """Return a freeze that one has asked for; `needed` must."""
    return {
        "proposed_by": row.proposed_by,
        "made_by": row.made_by,
        "at": row.time,
        "fingerprint": row.fingerprint,
        "reason": row.reason,
        "approvals": 1,
        "needed": needed,
    }


def content(snapshot: Snapshot, found: Content) -> dict[str, Any]:
    """Return a tag with its lists; it is called what it was asked for by."""
    lists = [_held(snapshot, each, found.as_of) for each in found.lists]
    return {**tag(found.tag), "name": found.ref.name, "payload_lists": lists}


def about(found: Content | Resolution) -> dict[str, Any]:
    """Return which state of which tag an answer is about."""
    return {
        "tag": found.ref.name,
        "state": found.tag.state,
        "fingerprint": found.tag.fingerprint,
        "lsn": found.lsn,
    }


def resolution(found: Resolution) -> dict[str, Any]:
    """Return what holds at a moment."""
    return {
        **about(found),
        "moment": found.moment.wire(),
        "since": found.holds.start.wire(),
        "until": found.holds.end and found.holds.end.wire(),
        "payloads": [_payload(row) for row in found.rows],
        "gaps": found.gaps,
    }


def iov(columns: tuple[Any, ...]) -> dict[str, Any]:
    """Return a payload IOV from its IOV_COLUMNS."""
    number, major, minor, end_major, end_minor, *told, lsn = columns
    return {
        "id": number,
        "start": [major, minor],
        "end": None if end_major is None else [end_major, end_minor],
        **payload(*told),
        "lsn": lsn,
    }


def payload(
    name: str, checksum: str | None, digest: str | None, size: int | None, revision: int | None
) -> dict[str, Any]:
    """Return a payload, without the interval over which it holds."""
    return {
        "name": name,
        "checksum": checksum,
        "digest": digest,
        "size": size,
        "revision": revision,
        "href": digest and href(digest),
    }


def payload_list(row: ListRow) -> dict[str, Any]:
    """Return a payload list, whether a tag has it or not."""
    return {
        "name": row.name,
        "payload_type": row.payload_type,
        "global_tag": row.tag,
        "payload_iovs": row.iov_count,
        "created": row.created,
    }


def interval(held: Interval) -> dict[str, Any]:
    """Return an interval."""
    return {"start": held.start.wire(), "end": held.end and held.end.wire()}


def href(digest: str) -> str:
    """Return where a payload's bytes are fetched."""
    return SHELF + digest[_DIGITS:]


def _payload(row: Sequence[Any]) -> dict[str, Any]:
    # Spelled out: unpacking a dictionary into each of 200 rows would be felt in every answer.
    payload_type, name, checksum, size, major, minor, end_major, end_minor, revision, digest = row
    return {
        "payload_type": payload_type,
        "name": name,
        "checksum": checksum,
        "digest": digest,
        "size": size,
        "revision": revision,
        "start": (major, minor),
        "end": None if end_major is None else (end_major, end_minor),
        "href": digest and href(digest),
    }


def _held(snapshot: Snapshot, held: ContentList, as_of: int | None) -> dict[str, Any]:
    begin, end = extent(snapshot, held.timeline_id, as_of)
    return {
        "payload_type": held.payload_type,
        "name": ListName.of(held.payload_type, held.list_id),
        "payload_iovs": held.iov_count,
        "begin": begin,
        "end": end,
    }
