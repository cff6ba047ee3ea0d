"""The streaming buffer's state: asked of the databuffer, or told from the view while it is away.

The view knows what the ledger told it last, which is all there is: while the databuffer is
away nothing can be stored. Who may not read the buffer's tag is told nothing of the buffer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datastore_logic.access.caller import sees
from datastore_logic.access.roles import Role
from datastore_logic.databuffer.refusals import expect, parsed
from datastore_logic.errors import BufferAway, Forbidden
from datastore_logic.view.buffer import buffer, buffer_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from datastore_logic.databuffer.answers import Answer
    from datastore_logic.services.tier import Tier
    from datastore_logic.view.database import Snapshot


Content = dict[str, Any] | list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of the buffer; `away` if it is the view that tells it."""

    content: Any
    lsn: int
    away: bool


def stat(tier: Tier) -> Told:
    """Return `{"n_itm","buff_size"}`."""

    def from_view(snapshot: Snapshot) -> Content:
        held = buffer(snapshot)
        return {"n_itm": held.n_itm, "buff_size": held.buff_size}

    return _told(tier, tier.buffer.stat, from_view)


def description(tier: Tier) -> Told:
    """Return `{"dstatus","user","token"}`."""

    def from_view(snapshot: Snapshot) -> Content:
        held = buffer(snapshot)
        return {"dstatus": held.dstatus, "user": held.user, "token": held.token}

    return _told(tier, tier.buffer.description, from_view)


def files(tier: Tier) -> Told:
    """Return `{"nmlist":[…]}`, never null, sorted."""

    def from_view(snapshot: Snapshot) -> Content:
        return {"nmlist": sorted(file.name for file in buffer_files(snapshot))}

    told = _told(tier, tier.buffer.files, from_view)
    content = {**told.content, "nmlist": told.content.get("nmlist") or []}
    return Told(content, told.lsn, told.away)


def log(tier: Tier) -> Told:
    """Return the log of stored files, `[]` when there is none."""

    def from_view(snapshot: Snapshot) -> Content:
        fixed = {"level": "info", "Id": 0, "message": "Write file"}
        return [
            {**fixed, "size": file.size, "name": file.name, "time": file.time}
            for file in buffer_files(snapshot)
        ]

    return _told(tier, tier.buffer.log, from_view)


def _told(tier: Tier, ask: Callable[[], Answer], view: Callable[[Snapshot], Content]) -> Told:
    """Return what the databuffer answers, or else the view.

    Raises:
        Forbidden: what is streamed is not for the caller to read.
    """
    if not sees(tier.config.stream_tag):
        raise Forbidden(Role.READER, tier.config.stream_tag)
    try:
        answer = expect(ask())
    except BufferAway:
        with tier.reading() as snapshot:
            return Told(view(snapshot), snapshot.lsn, away=True)
    content = [] if answer.status == 204 else parsed(answer)
    return Told(content, answer.lsn, away=False)
