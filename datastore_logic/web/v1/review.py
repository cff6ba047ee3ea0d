"""What a tag librarian asks: the pre-flight report, a difference, a history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flask import request

from datastore_logic.domain.tags import TagName
from datastore_logic.errors import BadRequest
from datastore_logic.view.contents import find_content
from datastore_logic.view.diff import difference
from datastore_logic.view.history import history
from datastore_logic.view.tags import find_tag
from datastore_logic.web import wire
from datastore_logic.web.v1 import asked, shown
from datastore_logic.web.v1.route import Route

if TYPE_CHECKING:
    from flask import Response

    from datastore_logic.domain.timeline import Payload
    from datastore_logic.services.tier import Tier
    from datastore_logic.view.diff import Difference

CHANGES: Final = 10_000


def check_tag(tier: Tier, tag: str) -> Response:
    """Show what a freeze would report."""
    ref, look = asked.ref(tag), asked.look()
    with asked.reading(tier, ref, *filter(None, (look.template,))) as snapshot:
        report = look.over(tier, ref, snapshot)
        return wire.as_it_is(report.wire(), snapshot)


def diff_tags(tier: Tier, tag: str) -> Response:
    """Show what changes from one tag, or one state of it, to another."""
    old, only, limit = asked.ref(tag), asked.only(), asked.limit(CHANGES)
    if "to" not in request.args:
        raise BadRequest("to: is needed", field="to")
    new = asked.other("to")
    with asked.reading(tier, old, new) as snapshot:
        before, after = find_content(snapshot, old), find_content(snapshot, new)
        found = difference(snapshot, before, after, only, limit)
        told = {"from": shown.about(before), "to": shown.about(after), **_difference(found)}
        return wire.as_it_is(told, snapshot)


def tag_history(tier: Tier, tag: str) -> Response:
    """Show who did what to a tag, newest first."""
    name, limit = TagName.parse(tag), asked.limit()
    before = asked.number("before") if "before" in request.args else None
    with tier.reading(wire.min_lsn(), of=name) as snapshot:
        row = find_tag(snapshot, name)
        acts, following = shown.page(
            history(snapshot, row.id, before, limit + 1), limit, lambda act: act.lsn
        )
        entries = [
            {
                "lsn": act.lsn,
                "time": act.time,
                "actor": act.actor,
                "act": act.act,
                "about": act.about,
            }
            for act in acts
        ]
        told = {"lsn": snapshot.lsn, "entries": entries, "next": following}
        return shown.read(told, snapshot, row.lsn)


ROUTES: Final = (
    Route("GET", "/global-tags/<tag>/check", check_tag, ("as_of", *asked.LOOK)),
    Route("GET", "/global-tags/<tag>/diff", diff_tags, ("as_of", "limit", "to", "type")),
    Route("GET", "/global-tags/<tag>/history", tag_history, ("before", "limit")),
)


def _difference(found: Difference) -> dict[str, Any]:
    changes = [
        {
            "payload_type": change.payload_type,
            **shown.interval(change.interval),
            "from": _payload(change.old),
            "to": _payload(change.new),
        }
        for change in found.changes
    ]
    return {
        "reprocess": [shown.interval(each) for each in found.reprocess],
        "changes": changes,
        "complete": found.complete,
    }


def _payload(payload: Payload | None) -> dict[str, Any] | None:
    if payload is None:
        return None
    return {
        "name": payload.name,
        "checksum": payload.checksum,
        "digest": payload.digest,
        "size": payload.size,
        "revision": payload.revision,
        "href": payload.digest and shown.href(payload.digest),
    }
