"""What a tag librarian asks: the pre-flight report, a difference, a history."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from flask import request

from datastore_logic.errors import BadRequest, Busy, NotFound
from datastore_logic.view.contents import find_content
from datastore_logic.view.diff import difference
from datastore_logic.view.history import history, last_called
from datastore_logic.web import wire
from datastore_logic.web.v1 import asked, shown
from datastore_logic.web.v1.route import Route

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Response

    from datastore_logic.domain.tags import PayloadTypeName, TagRef
    from datastore_logic.domain.timeline import Payload
    from datastore_logic.services.freezing import Look
    from datastore_logic.services.tier import Tier
    from datastore_logic.view.contents import Content
    from datastore_logic.view.database import Snapshot
    from datastore_logic.view.diff import Difference

CHANGES: Final = 10_000


def check_tag(tier: Tier, tag: str) -> Response:
    """Show what a freeze would report."""
    ref, look = asked.ref(tag), asked.look()
    refs = (ref, *filter(None, (look.template,)))
    with _among_few(tier, look), asked.reading(tier, *refs) as snapshot:
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
        _refuse_unknown(only, before, after)
        found = difference(snapshot, before, after, only, limit)
        told = {"from": shown.about(before), "to": shown.about(after), **_difference(found)}
        if old.fingerprint is not None and new.fingerprint is not None:
            return wire.immutable(told, f"{old.fingerprint}-{new.fingerprint}")
        return wire.as_it_is(told, snapshot)


def tag_history(tier: Tier, tag: str) -> Response:
    """Show who did what to a tag, newest first; also to one that is deleted, by its last name."""
    ref, limit = asked.ref(tag), asked.limit()
    before = asked.number("before") if "before" in request.args else None
    with asked.reading(tier, ref) as snapshot:
        tag_id, upto = _whose(snapshot, ref)
        first = history(snapshot, tag_id, upto + 1, 1)
        end = upto + 1 if before is None else min(before, upto + 1)
        found = history(snapshot, tag_id, end, limit + 1)
        acts, following = shown.page(found, limit, lambda act: act.lsn)
        entries = [asdict(act) for act in acts]
        told = {"lsn": upto, "entries": entries, "next": following}
        return shown.read(told, snapshot, first[0].lsn if first else upto, ref)


ROUTES: Final = (
    Route("GET", "/global-tags/<tag>/check", check_tag, ("as_of", *asked.LOOK)),
    Route("GET", "/global-tags/<tag>/diff", diff_tags, ("as_of", "limit", "to", "type")),
    Route("GET", "/global-tags/<tag>/history", tag_history, ("as_of", "before", "limit")),
)


@contextmanager
def _among_few(tier: Tier, look: Look) -> Iterator[None]:
    """Keep those who only look from having the bytes of payloads read by every thread there is.

    Raises:
        Busy: as many as may have them read now.
    """
    if not look.read_bytes:
        yield
        return
    if not tier.bytes_read.acquire(blocking=False):
        raise Busy("Others have the bytes of payloads read just now; come again.")
    try:
        yield
    finally:
        tier.bytes_read.release()


def _refuse_unknown(only: PayloadTypeName | None, *contents: Content) -> None:
    """Refuse a type that neither side has: a misspelt one must not mean that nothing changes."""
    known = {held.payload_type for content in contents for held in content.lists}
    if only is not None and only not in known:
        refs = " nor in ".join(str(content.ref) for content in contents)
        raise NotFound("payload_type", f"{only} in global tag {refs}")


def _whose(snapshot: Snapshot, ref: TagRef) -> tuple[int, int]:
    """Return the id of the tag and the last LSN whose act on it counts."""
    if ref.fingerprint is None and ref.lsn is None:
        return last_called(snapshot, ref.name), snapshot.lsn
    content = find_content(snapshot, ref)
    return content.tag.id, content.lsn


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


def _payload(held: Payload | None) -> dict[str, Any] | None:
    if held is None:
        return None
    return shown.payload(held.name, held.checksum, held.digest, held.size, held.revision)
