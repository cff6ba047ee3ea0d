"""What holds: the payloads of a tag at one moment, or at many."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import orjson

from datastore_logic.errors import NotFound
from datastore_logic.view.contents import find_content
from datastore_logic.view.resolve import resolve
from datastore_logic.web import fields, resolved, wire
from datastore_logic.web.v1 import asked, shown
from datastore_logic.web.v1.route import Route

if TYPE_CHECKING:
    from collections.abc import Set

    from flask import Response

    from datastore_logic.domain.moment import Moment
    from datastore_logic.domain.tags import PayloadTypeName, TagRef
    from datastore_logic.services.tier import Tier
    from datastore_logic.view.contents import Content
    from datastore_logic.view.database import Snapshot
    from datastore_logic.view.resolve import Resolution

MAX_MOMENTS: Final = 1000
MAX_TYPES: Final = 1000


def payloads(tier: Tier, tag: str) -> Response:
    """Show what holds at a moment."""
    ref, moment = asked.ref(tag), fields.moment()
    with asked.reading(tier, ref, lazily=True) as snapshot:
        found = resolve(snapshot, ref, moment, asked.only())
        resolved.note("v1", ref.name)
        return shown.read(shown.resolution(found), snapshot, found.tag.lsn, ref)


def resolve_many(tier: Tier, tag: str) -> Response:
    """Show what holds at each of many moments, all of one state.

    Each is encoded at once, so that many do not lie about as objects.
    """
    ref, told = asked.ref(tag), asked.body("moments", "types")
    moments = [
        asked.moment(sent, f"moments[{at}]")
        for at, sent in enumerate(asked.listed(told, "moments", MAX_MOMENTS))
    ]
    kinds: Set[PayloadTypeName] = frozenset()
    if "types" in told:
        sent_kinds = enumerate(asked.listed(told, "types", MAX_TYPES))
        kinds = {asked.kind(sent, f"types[{at}]") for at, sent in sent_kinds}
    with asked.reading(tier, ref) as snapshot:
        content = find_content(snapshot, ref)
        _refuse_unknown(content, kinds)
        resolved.note("v1 many", ref.name)
        found = (_of_kinds(snapshot, ref, moment, kinds) for moment in moments)
        encoded = [orjson.Fragment(orjson.dumps(shown.resolution(each))) for each in found]
        answer = {"lsn": content.lsn, "resolutions": encoded}
        return wire.answer(answer, lsn=snapshot.lsn, away=not snapshot.position.reachable)


ROUTES: Final = (
    Route("GET", "/global-tags/<tag>/payloads", payloads, ("as_of", "major", "minor", "type")),
    Route("POST", "/global-tags/<tag>/resolve", resolve_many, ("as_of",)),
)


def _refuse_unknown(content: Content, kinds: Set[str]) -> None:
    for kind in sorted(kinds - {held.payload_type for held in content.lists}):
        raise NotFound("payload_type", f"{kind} in global tag {content.ref}")


def _of_kinds(
    snapshot: Snapshot, ref: TagRef, moment: Moment, kinds: Set[PayloadTypeName]
) -> Resolution:
    """Return what holds of these types, of all if there are none.

    Of several types it holds at least as long as all of the tag does.
    """
    only = next(iter(kinds)) if len(kinds) == 1 else None
    found = resolve(snapshot, ref, moment, only)
    if len(kinds) < 2:
        return found
    rows = [held for held in found.payloads if held.payload_type in kinds]
    return replace(found, rows=rows, gaps=tuple(k for k in found.gaps if k in kinds))
