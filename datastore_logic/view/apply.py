"""Take ledger entries into the view: one function an event type, each deterministic.

Two replicas that applied the same entries hold the same rows with the same ids. Nothing here
decides: an entry says what now stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from datastore_logic.domain import events
from datastore_logic.view import apply_buffer, apply_iovs, apply_lists, apply_tags, apply_tokens
from datastore_logic.view.entries import Step
from datastore_logic.view.requests import OWN_KEY, about

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from datastore_logic.view.entries import Context, Entry

_APPLY: Final[Mapping[type[events.Event], Callable[[Step, Any], None]]] = {
    events.TagCreated: apply_tags.created,
    events.TagCloned: apply_tags.cloned,
    events.TagChanged: apply_tags.changed,
    events.TagFreezeProposed: apply_tags.freeze_proposed,
    events.TagFreezeWithdrawn: apply_tags.freeze_withdrawn,
    events.TagFrozen: apply_tags.frozen,
    events.TagDeleted: apply_tags.deleted,
    events.TypeCreated: apply_lists.type_created,
    events.TypeDeleted: apply_lists.type_deleted,
    events.ListCreated: apply_lists.created,
    events.ListAttached: apply_lists.attached,
    events.ListDetached: apply_lists.detached,
    events.ListDeleted: apply_lists.deleted,
    events.IovCreated: apply_iovs.created,
    events.TimelinesChanged: apply_iovs.timelines_changed,
    events.TokenMade: apply_tokens.made,
    events.TokenRevoked: apply_tokens.revoked,
    events.BufferStored: apply_buffer.stored,
    events.BufferFrozen: apply_buffer.frozen,
    events.BufferCleaned: apply_buffer.cleaned,
}


def apply_entry(context: Context, entry: Entry) -> None:
    """Take one entry into the view; moving `position` is the caller's.

    Raises:
        BadEvent: it speaks of what is not there.
    """
    view, event = context.view, entry.event
    step = Step(
        view, context.stream_tag, entry.lsn, entry.time, entry.actor, event.type, entry.hash
    )
    _APPLY[type(event)](step, event)
    view.executemany(
        "INSERT INTO touched VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET lsn = excluded.lsn",
        [(key, entry.lsn) for key in entry.keys],
    )
    if entry.idempotency_key and not entry.idempotency_key.startswith(OWN_KEY):
        view.execute(
            "INSERT OR IGNORE INTO idempotency VALUES (?, ?, ?)",
            (entry.idempotency_key, entry.lsn, about(entry)),
        )
