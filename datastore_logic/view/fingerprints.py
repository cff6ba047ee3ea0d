"""The fingerprint of all a tag now holds, computed from the columns of the view.

The lines are those of domain/fingerprint.py, which says what they are. A tag may have millions of
rows: they come in order, and each is written as it comes, without an object made of it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import orjson

from datastore_logic.domain import fingerprint

if TYPE_CHECKING:
    import sqlite3

_LINE: Final = "start_major, start_minor, end_major, end_minor, name, checksum, digest"
_DISJOINT: Final = "start_major, start_minor"
_ANY: Final = (
    "start_major, start_minor, end_major NULLS LAST, end_minor NULLS LAST, name,"
    " checksum NULLS LAST, digest NULLS LAST"
)


def tag_fingerprint(connection: sqlite3.Connection, tag_id: int) -> str:
    """Return the fingerprint of all a tag holds: of a streamed list, of every segment."""
    found = connection.execute(
        "SELECT p.name, t.id, t.streamed FROM payload_list l"
        " JOIN payload_type p ON p.id = l.type_id JOIN timeline t ON t.id = l.timeline_id"
        " WHERE l.tag_id = ?",
        (tag_id,),
    ).fetchall()
    return fingerprint.tag_fingerprint(
        {
            payload_type: timeline_fingerprint(connection, timeline_id, streamed=bool(streamed))
            for payload_type, timeline_id, streamed in found
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
