"""Apply what happens to payload IOVs: made in no list, put into timelines, trimmed, taken out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datastore_logic.domain.bare import bare_of
from datastore_logic.domain.errors import BadEvent
from datastore_logic.view import list_rows, segments, tag_rows
from datastore_logic.view.rows import COLUMNS
from datastore_logic.view.timelines import Writer, new_ids

if TYPE_CHECKING:
    from datastore_logic.domain.events import IovCreated, ListChange, TimelinesChanged
    from datastore_logic.view.entries import Step
    from datastore_logic.view.list_rows import HeldList


def created(step: Step, event: IovCreated) -> None:
    """Make a payload IOV that is in no list."""
    (iov_id,) = new_ids(step.view, step.lsn, step.time, 1)
    step.view.execute(
        f"INSERT INTO loose_iov (id, {COLUMNS}, inserted, lsn)"  # noqa: S608 - COLUMNS is a constant
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (iov_id, *bare_of(event.row), step.time, step.lsn),
    )


def timelines_changed(step: Step, event: TimelinesChanged) -> None:
    """Change the timelines of lists, one after the other; that is one act on each of their tags."""
    changes = [(list_rows.writable(step, _list(step, told)), told) for told in event.lists]
    told_of: dict[int, list[dict[str, Any]]] = {}
    for held, change in changes:
        grown = _change(step, held, change)
        list_rows.count(step, held, grown)
        if held.tag_id is not None:
            told_of.setdefault(held.tag_id, []).append(_about(change))
    for tag_id, told in told_of.items():
        tag_rows.note(step, tag_id, {"lists": told})


def _list(step: Step, change: ListChange) -> HeldList:
    """Return the list a change is of; a tag's list of a type is made if there is none."""
    if change.list_id is not None:
        return list_rows.known_list(step, change.list_id)
    if change.tag is None:
        raise BadEvent(f"LSN {step.lsn} changes a payload list that it does not name")
    tag_id = tag_rows.find_tag(step.view, change.tag)
    if tag_id is None and change.tag == step.stream_tag:
        tag_id = tag_rows.make_tag(step, change.tag)
    if tag_id is None:
        raise BadEvent(f"LSN {step.lsn} changes the unknown global tag {change.tag}")
    return list_rows.list_of(step, tag_id, change.payload_type)


def _change(step: Step, held: HeldList, change: ListChange) -> int:
    """Change one timeline and return by how many IOVs it has grown."""
    if held.streamed:
        return segments.store(step, held.timeline_id, change.attached.rows())
    writer = Writer(step.view, held.timeline_id, step.lsn, step.time)
    gone = writer.detach([start.pair() for start in change.detached], held.origin)
    gone += writer.delete([start.pair() for start in change.deleted])
    writer.trim([(start.pair(), end.pair()) for start, end in change.trimmed])
    return writer.attach(change.attached) - gone


def _about(change: ListChange) -> dict[str, Any]:
    numbers = {
        "attached": len(change.attached),
        "trimmed": len(change.trimmed),
        "detached": len(change.detached),
        "deleted": len(change.deleted),
    }
    return {"payload_type": change.payload_type} | {k: n for k, n in numbers.items() if n}
