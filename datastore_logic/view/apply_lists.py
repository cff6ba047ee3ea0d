"""Apply what happens to payload types and to payload lists as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datastore_logic.domain.tags import ListName
from datastore_logic.view import list_rows, tag_rows, timelines

if TYPE_CHECKING:
    from datastore_logic.domain.events import (
        ListAttached,
        ListCreated,
        ListDeleted,
        ListDetached,
        TypeCreated,
        TypeDeleted,
    )
    from datastore_logic.view.entries import Step
    from datastore_logic.view.list_rows import HeldList


def type_created(step: Step, event: TypeCreated) -> None:
    """Make a payload type; the first list of it may have made it a moment before."""
    list_rows.type_id(step, event.payload_type)


def type_deleted(step: Step, event: TypeDeleted) -> None:
    """Delete a payload type, unless a list of it was made a moment before."""
    step.view.execute(
        "UPDATE payload_type SET until_lsn = ? WHERE name = ? AND until_lsn IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM payload_list WHERE type_id = payload_type.id)",
        (step.lsn, event.payload_type),
    )


def created(step: Step, event: ListCreated) -> None:
    """Make an empty list in no tag."""
    kind = list_rows.type_id(step, event.payload_type)
    list_rows.make_list(step, kind, timelines.make(step.view, step.lsn))


def attached(step: Step, event: ListAttached) -> None:
    """Move a list into a tag, in the place of the one of its type."""
    held = list_rows.known_list(step, event.list)
    tag_id = tag_rows.known_tag(step, event.tag)
    if held.tag_id == tag_id:
        return
    replaced = [one for one in list_rows.lists_of(step, tag_id) if one.type_id == held.type_id]
    for one in replaced:
        list_rows.detach(step, one)
    if held.tag_id is not None:
        _leave(step, held)
    list_rows.attach(step, held, tag_id)
    names = [ListName.of(one.payload_type, one.id) for one in replaced]
    tag_rows.note(step, tag_id, _about(held) | ({"replaced": names[0]} if names else {}))


def detached(step: Step, event: ListDetached) -> None:
    """Take a list out of its tag."""
    held = list_rows.known_list(step, event.list)
    if held.tag_id is not None:
        _leave(step, held)


def deleted(step: Step, event: ListDeleted) -> None:
    """Delete a list; in a tag it is one less."""
    held = list_rows.known_list(step, event.list)
    if held.tag_id is not None:
        _leave(step, held)
    step.view.execute("DELETE FROM payload_list WHERE id = ?", (held.id,))


def _leave(step: Step, held: HeldList) -> None:
    list_rows.detach(step, held)
    if held.tag_id is not None:
        tag_rows.note(step, held.tag_id, _about(held))


def _about(held: HeldList) -> dict[str, str]:
    return {
        "payload_type": held.payload_type,
        "payload_list": ListName.of(held.payload_type, held.id),
    }
