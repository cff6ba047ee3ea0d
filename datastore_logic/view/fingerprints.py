"""The fingerprint of all a tag now holds, computed from the columns of the view.

The lines are those of domain/fingerprint.py, which says what they are. A tag may have millions of
rows: they come in order, and each is written as it comes, without an object made of it.
"""

from __future__ import annotations

import hashlib
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Final

import orjson

from datastore_logic.domain import fingerprint

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from datastore_logic.view.database import Snapshot

    OfTimeline = Callable[[int, int, bool], str]
    """From a timeline's id, the LSN of its last change and whether it is streamed."""

REMEMBERED: Final = 20_000
"""Timelines whose fingerprints a process remembers, at some hundred bytes each."""

_LINE: Final = "start_major, start_minor, end_major, end_minor, name, checksum, digest"
_DISJOINT: Final = "start_major, start_minor"
_ANY: Final = (
    "start_major, start_minor, end_major NULLS LAST, end_minor NULLS LAST, name,"
    " checksum NULLS LAST, digest NULLS LAST"
)


class Fingerprints:
    """The fingerprints of timelines that this process has computed, kept while they hold.

    A clone of millions of IOVs in which one list was mended is frozen at the cost of that list.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: dict[tuple[str, int, int], str] = {}

    def of_tag(self, snapshot: Snapshot, tag_id: int) -> str:
        """Return the fingerprint of all a tag holds: of a streamed list, of every segment."""
        of_timeline = partial(self._of_timeline, snapshot)
        return _of_tag(snapshot.connection, tag_id, of_timeline)

    def _of_timeline(
        self,
        snapshot: Snapshot,
        timeline_id: int,
        lsn: int,
        streamed: bool,
    ) -> str:
        key = (snapshot.position.ledger, timeline_id, lsn)
        found = self._known.get(key)
        if found is None:
            found = timeline_fingerprint(snapshot.connection, timeline_id, streamed=streamed)
            with self._lock:
                if len(self._known) >= REMEMBERED:
                    self._known.clear()
                self._known[key] = found
        return found


def tag_fingerprint(connection: sqlite3.Connection, tag_id: int) -> str:
    """Return the fingerprint of all a tag holds, computed from its rows here and now."""

    def of_timeline(timeline_id: int, _lsn: int, streamed: bool) -> str:
        return timeline_fingerprint(connection, timeline_id, streamed=streamed)

    return _of_tag(connection, tag_id, of_timeline)


def _of_tag(connection: sqlite3.Connection, tag_id: int, of_timeline: OfTimeline) -> str:
    found = connection.execute(
        "SELECT p.name, t.id, t.lsn, t.streamed FROM payload_list l"
        " JOIN payload_type p ON p.id = l.type_id JOIN timeline t ON t.id = l.timeline_id"
        " WHERE l.tag_id = ?",
        (tag_id,),
    ).fetchall()
    return fingerprint.tag_fingerprint(
        {
            payload_type: of_timeline(timeline_id, lsn, bool(streamed))
            for payload_type, timeline_id, lsn, streamed in found
        }
    )


def timeline_fingerprint(
    connection: sqlite3.Connection, timeline_id: int, *, streamed: bool = False
) -> str:
    """Return the fingerprint of a timeline's rows, or of its segments."""
    table, order = ("segment", _ANY) if streamed else ("iov", _DISJOINT)
    rows = connection.execute(
        f"SELECT {_LINE} FROM {table} WHERE timeline_id = ? ORDER BY {order}",  # noqa: S608
        (timeline_id,),
    )
    total = hashlib.sha256()
    for row in rows:
        total.update(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
    return total.hexdigest()
