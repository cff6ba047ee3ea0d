"""What holds: the payloads of a tag at one moment, or at many."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from datastore_logic.errors import BadRequest
from datastore_logic.view.contents import find_content
from datastore_logic.view.resolve import resolve
from datastore_logic.web import wire
from datastore_logic.web.v1 import asked, shown
from datastore_logic.web.v1.route import Route

if TYPE_CHECKING:
    from collections.abc import Set

    from flask import Response

    from datastore_logic.services.tier import Tier
    from datastore_logic.view.resolve import Resolution

MAX_MOMENTS: Final = 1000
MAX_TYPES: Final = 1000


def payloads(tier: Tier, tag: str) -> Response:
    """Show what holds at a moment."""
    ref, moment = asked.ref(tag), wire.moment()
    with asked.reading(tier, ref) as snapshot:
        found = resolve(snapshot, ref, moment, asked.only())
        return shown.read(shown.resolution(found), snapshot, found.tag.lsn, ref)


def resolve_many(tier: Tier, tag: str) -> Response:
    """Show what holds at each of many moments, all of one state."""
    ref, told = asked.ref(tag), asked.body("moments", "types")
    moments = [
        asked.moment(sent, f"moments[{at}]")
        for at, sent in enumerate(_listed(told, "moments", MAX_MOMENTS))
    ]
    kinds = None
    if "types" in told:
        sent_kinds = enumerate(_listed(told, "types", MAX_TYPES))
        kinds = {asked.kind(sent, f"types[{at}]") for at, sent in sent_kinds}
    with asked.reading(tier, ref) as snapshot:
        for kind in kinds or ():
            find_content(snapshot, ref, kind)
        found = [_of(resolve(snapshot, ref, moment), kinds) for moment in moments]
        told = {"lsn": found[0].lsn, "resolutions": [shown.resolution(each) for each in found]}
        return wire.answer(told, lsn=snapshot.lsn, away=not snapshot.position.reachable)


ROUTES: Final = (
    Route("GET", "/global-tags/<tag>/payloads", payloads, ("as_of", "major", "minor", "type")),
    Route("POST", "/global-tags/<tag>/resolve", resolve_many, ("as_of",)),
)


def _of(found: Resolution, kinds: Set[str] | None) -> Resolution:
    """Return what was found of these types; it holds at least as long as all of it does."""
    if kinds is None:
        return found
    payloads = tuple(held for held in found.payloads if held[0] in kinds)
    return replace(
        found, payloads=payloads, gaps=tuple(kind for kind in found.gaps if kind in kinds)
    )


def _listed(told: dict[str, Any], field: str, most: int) -> list[object]:
    sent = told.get(field)
    if not isinstance(sent, list) or not 0 < len(sent) <= most:
        raise BadRequest(f"{field}: must be an array of 1 to {most}", field=field)
    return sent
