"""Take ledger entries into the view: one function an event type, each deterministic.

Two replicas that applied the same entries hold the same rows with the same ids. Nothing here
decides: an entry says what now stands.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import orjson

from datastore_logic.domain.errors import BadEvent
from datastore_logic.domain.events import (
    BufferCleaned,
    BufferFrozen,
    BufferStored,
    Event,
    IovsChanged,
    TagCreated,
    TagFrozen,
    parse,
)
from datastore_logic.domain.tags import TagName, TagState
from datastore_logic.domain.timeline import Attach
from datastore_logic.errors import BrokenChain
from datastore_logic.view.browse import about, tag_fingerprint
from datastore_logic.view.timelines import change_rows, store_segments

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping

OWN_KEY: Final = "auto:"
"""How idempotency keys begin that a replica made for itself; nobody will ask for them again."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger."""

    lsn: int
    time: str
    event: Event
    keys: tuple[str, ...]
    idempotency_key: str | None
    data: Mapping[str, Any]
    hash: str


@dataclass(frozen=True, slots=True)
class Context:
    """The view's write transaction, and which tag the streaming buffer is."""

    view: sqlite3.Connection
    stream_tag: TagName


def read_entry(line: bytes, after_lsn: int, after_hash: str) -> Entry:
    """Read a ledger line that must follow the entry of `after_lsn` and `after_hash`.

    Raises:
        BrokenChain: it does not follow.
        UnknownEvent: a newer version wrote it.
        BadEvent: it is malformed.
    """
    try:
        told = orjson.loads(line)
        lsn, previous = told["lsn"], told["prev"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as reason:
        raise BrokenChain(f"what follows LSN {after_lsn} is no ledger entry") from reason
    if lsn != after_lsn + 1 or previous != after_hash:
        raise BrokenChain(f"LSN {lsn} does not follow LSN {after_lsn} as it was known")
    return Entry(
        lsn,
        told["time"],
        parse(told["type"], told["data"]),
        tuple(told["keys"]),
        told.get("idempotency_key"),
        told["data"],
        hashlib.sha256(line).hexdigest(),
    )


def apply_entry(context: Context, entry: Entry) -> None:
    """Take one entry into the view; moving `position` is the caller's.

    Raises:
        BadEvent: it speaks of what is not there.
    """
    _APPLY[type(entry.event)](context, entry, entry.event)
    context.view.executemany(
        "INSERT INTO touched VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET lsn = excluded.lsn",
        [(key, entry.lsn) for key in entry.keys],
    )
    if entry.idempotency_key and not entry.idempotency_key.startswith(OWN_KEY):
        context.view.execute(
            "INSERT OR IGNORE INTO idempotency VALUES (?, ?, ?)",
            (entry.idempotency_key, entry.lsn, about(entry.event, entry.keys)),
        )


# One function an event type --------------------------------------------------------------------


def _tag_created(context: Context, entry: Entry, event: TagCreated) -> None:
    # The first segment, or a clean, may have made a tag of that name a moment before.
    if _find_tag(context, event.tag) is None:
        _make_tag(context, entry, event.tag, event.description)


def _tag_frozen(context: Context, entry: Entry, event: TagFrozen) -> None:
    _freeze(context, entry, _tag(context, event.tag), event.fingerprint)


def _iovs_changed(context: Context, entry: Entry, event: IovsChanged) -> None:
    tag_id = _find_tag(context, event.tag)
    if tag_id is None and event.tag == context.stream_tag:
        tag_id = _make_tag(context, entry, event.tag, "")
    if tag_id is None:
        raise BadEvent(f"LSN {entry.lsn} changes the unknown global tag {event.tag}")
    list_id, timeline_id = _list(context, entry, tag_id, event.payload_type)
    if _is_streamed(context, tag_id):
        rows = [change.row for change in event.changes if isinstance(change, Attach)]
        added = store_segments(context.view, entry.lsn, timeline_id, rows)
    else:
        added = change_rows(context.view, entry.lsn, timeline_id, event.changes)
    _count(context, entry, tag_id, list_id, added)


def _buffer_stored(context: Context, entry: Entry, event: BufferStored) -> None:
    view, segment = context.view, event.row
    tag_id = _find_tag(context, context.stream_tag)
    if tag_id is None:
        tag_id = _make_tag(context, entry, context.stream_tag, "")
    list_id, timeline_id = _list(context, entry, tag_id, event.payload_type)
    store_segments(view, entry.lsn, timeline_id, [segment], event.sample_ns)
    _count(context, entry, tag_id, list_id, 1)
    size = segment.payload.size
    view.execute("UPDATE buffer SET n_itm = n_itm + 1, buff_size = buff_size + ?", (size,))
    view.execute(
        "INSERT INTO buffer_file VALUES (?, ?, ?, ?, ?)",
        (entry.lsn, segment.payload.name, size, event.payload_type, entry.time),
    )


def _buffer_frozen(context: Context, entry: Entry, event: BufferFrozen) -> None:
    context.view.execute(
        "UPDATE buffer SET dstatus = 'FROZEN', user = ?, token = ?", (event.user, event.token)
    )
    tag_id = _find_tag(context, context.stream_tag)
    if tag_id is not None:
        _freeze(context, entry, tag_id, tag_fingerprint(context.view, tag_id))


def _buffer_cleaned(context: Context, entry: Entry, _event: BufferCleaned) -> None:
    view = context.view
    view.execute(
        "UPDATE buffer SET n_itm = 0, buff_size = 0, dstatus = 'OPERATIONAL',"
        " user = 'databuf', token = 'databuf'"
    )
    view.execute("DELETE FROM buffer_file")
    tag_id = _find_tag(context, context.stream_tag)
    if tag_id is None:
        return
    if not _is_frozen(context, tag_id):
        _freeze(context, entry, tag_id, tag_fingerprint(view, tag_id))
    # Time and LSN stay those of the freeze: the content is not touched by the new name.
    view.execute(
        "UPDATE global_tag SET name = ? WHERE id = ?", (_archive_name(context, entry), tag_id)
    )


_APPLY: Final[Mapping[type[Event], Callable[[Context, Entry, Any], None]]] = {
    TagCreated: _tag_created,
    TagFrozen: _tag_frozen,
    IovsChanged: _iovs_changed,
    BufferStored: _buffer_stored,
    BufferFrozen: _buffer_frozen,
    BufferCleaned: _buffer_cleaned,
}


# What they share -------------------------------------------------------------------------------


def _find_tag(context: Context, name: str) -> int | None:
    found = context.view.execute("SELECT id FROM global_tag WHERE name = ?", (name,)).fetchone()
    return None if found is None else int(found[0])


def _tag(context: Context, name: str) -> int:
    tag_id = _find_tag(context, name)
    if tag_id is None:
        raise BadEvent(f"the ledger speaks of the unknown global tag {name}")
    return tag_id


def _is_streamed(context: Context, tag_id: int) -> bool:
    query = "SELECT streamed FROM global_tag WHERE id = ?"
    return bool(context.view.execute(query, (tag_id,)).fetchone()[0])


def _is_frozen(context: Context, tag_id: int) -> bool:
    query = "SELECT state FROM global_tag WHERE id = ?"
    return bool(context.view.execute(query, (tag_id,)).fetchone()[0] == TagState.FROZEN)


def _make_tag(context: Context, entry: Entry, name: str, description: str) -> int:
    made = context.view.execute(
        "INSERT INTO global_tag (name, state, description, streamed, created, updated, lsn)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            name, TagState.UNLOCKED, description, name == context.stream_tag,
            entry.time, entry.time, entry.lsn,
        ),
    )  # fmt: skip
    return int(made.lastrowid or 0)


def _freeze(context: Context, entry: Entry, tag_id: int, fingerprint: str) -> None:
    context.view.execute(
        "UPDATE global_tag SET state = ?, fingerprint = ?, updated = ?, lsn = ? WHERE id = ?",
        (TagState.FROZEN, fingerprint, entry.time, entry.lsn, tag_id),
    )


def _list(context: Context, entry: Entry, tag_id: int, payload_type: str) -> tuple[int, int]:
    """Return the ids of the tag's list of that type and of its timeline; make both if need be."""
    view = context.view
    found = view.execute(
        "SELECT l.id, l.timeline_id FROM payload_list l JOIN payload_type t ON t.id = l.type_id"
        " WHERE l.tag_id = ? AND t.name = ?",
        (tag_id, payload_type),
    ).fetchone()
    if found is not None:
        return int(found[0]), int(found[1])
    view.execute(
        "INSERT INTO payload_type (name, created) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
        (payload_type, entry.time),
    )
    timeline_id = view.execute("INSERT INTO timeline DEFAULT VALUES").lastrowid
    made = view.execute(
        "INSERT INTO payload_list (tag_id, type_id, timeline_id, created)"
        " VALUES (?, (SELECT id FROM payload_type WHERE name = ?), ?, ?)",
        (tag_id, payload_type, timeline_id, entry.time),
    )
    view.execute("UPDATE global_tag SET list_count = list_count + 1 WHERE id = ?", (tag_id,))
    return int(made.lastrowid or 0), int(timeline_id or 0)


def _count(context: Context, entry: Entry, tag_id: int, list_id: int, added: int) -> None:
    context.view.execute(
        "UPDATE payload_list SET iov_count = iov_count + ? WHERE id = ?", (added, list_id)
    )
    context.view.execute(
        "UPDATE global_tag SET iov_count = iov_count + ?, updated = ?, lsn = ? WHERE id = ?",
        (added, entry.time, entry.lsn, tag_id),
    )


def _archive_name(context: Context, entry: Entry) -> str:
    """Return the name that a cleaned stream's tag gets: `stream-20261120T231700Z`, `…-2`."""
    moment = datetime.fromisoformat(entry.time)
    base = f"{context.stream_tag}-{moment:%Y%m%dT%H%M%SZ}"
    name, number = base, 1
    while _find_tag(context, name) is not None:
        number += 1
        name = f"{base}-{number}"
    return name
