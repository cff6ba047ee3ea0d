"""Apply what happens to the streaming buffer, which is a tag: stored, frozen, cleaned."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from datastore_logic.domain.tags import TagState
from datastore_logic.view import list_rows, segments, tag_rows
from datastore_logic.view.fingerprints import tag_fingerprint

if TYPE_CHECKING:
    from datastore_logic.domain.events import BufferCleaned, BufferFrozen, BufferStored
    from datastore_logic.view.entries import Step


def stored(step: Step, event: BufferStored) -> None:
    """Put a segment into the streamed tag, which the first one makes."""
    view, segment = step.view, event.row
    tag_id = tag_rows.find_tag(view, step.stream_tag)
    if tag_id is None:
        tag_id = tag_rows.make_tag(step, step.stream_tag)
        tag_rows.note(step, tag_id, {})
    held = list_rows.writable(step, list_rows.list_of(step, tag_id, event.payload_type))
    grown = segments.store(step, held.timeline_id, [segment], event.sample_ns)
    list_rows.count(step, held, grown)
    size = segment.payload.size
    view.execute("UPDATE buffer SET n_itm = n_itm + 1, buff_size = buff_size + ?", (size,))
    view.execute(
        "INSERT INTO buffer_file VALUES (?, ?, ?, ?, ?)",
        (step.lsn, segment.payload.name, size, event.payload_type, step.time),
    )


def frozen(step: Step, event: BufferFrozen) -> None:
    """Freeze the buffer, and its tag with it."""
    step.view.execute(
        "UPDATE buffer SET dstatus = 'FROZEN', user = ?, token = ?", (event.user, event.token)
    )
    tag_id = tag_rows.find_tag(step.view, step.stream_tag)
    if tag_id is not None:
        mark = tag_fingerprint(step.view, tag_id)
        tag_rows.freeze_tag(step, tag_id, mark)
        tag_rows.note(step, tag_id, {"fingerprint": mark, "user": event.user})


def cleaned(step: Step, _event: BufferCleaned) -> None:
    """Empty the buffer; its tag is kept, frozen, under another name."""
    view = step.view
    view.execute(
        "UPDATE buffer SET n_itm = 0, buff_size = 0, dstatus = 'OPERATIONAL',"
        " user = 'databuf', token = 'databuf'"
    )
    view.execute("DELETE FROM buffer_file")
    tag_id = tag_rows.find_tag(view, step.stream_tag)
    if tag_id is None:
        return
    if not _is_frozen(step, tag_id):
        tag_rows.freeze_tag(step, tag_id, tag_fingerprint(view, tag_id))
    name = _archive_name(step)
    tag_rows.rename_tag(step, tag_id, name)
    tag_rows.note(step, tag_id, {"name": name})


def _is_frozen(step: Step, tag_id: int) -> bool:
    query = "SELECT state FROM global_tag WHERE id = ?"
    return bool(step.view.execute(query, (tag_id,)).fetchone()[0] == TagState.FROZEN)


def _archive_name(step: Step) -> str:
    """Return the name that a cleaned stream's tag gets: `stream-20261120T231700Z`, `…-2`."""
    moment = datetime.fromisoformat(step.time)
    base = f"{step.stream_tag}-{moment:%Y%m%dT%H%M%SZ}"
    name, number = base, 1
    while tag_rows.find_tag(step.view, name) is not None:
        number += 1
        name = f"{base}-{number}"
    return name
