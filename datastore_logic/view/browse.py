"""What is there: tags, their lists, the streaming buffer, and the content a fingerprint covers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from datastore_logic.domain import fingerprint
from datastore_logic.domain.events import IovsChanged
from datastore_logic.domain.tags import TagState
from datastore_logic.domain.timeline import Attach
from datastore_logic.errors import KeyReused, NotFound
from datastore_logic.view.rows import COLUMNS, row

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from datastore_logic.domain.events import Event
    from datastore_logic.domain.moment import Interval
    from datastore_logic.domain.tags import TagRef
    from datastore_logic.domain.timeline import Row
    from datastore_logic.view.database import Snapshot

FROZEN: Final = "FROZEN"
_TAG: Final = (
    "SELECT id, name, state, fingerprint, description, streamed, created, updated, lsn,"
    " list_count, iov_count FROM global_tag"
)


@dataclass(frozen=True, slots=True)
class TagRow:
    """A global tag as lists show it; the counts are maintained, not counted."""

    id: int
    name: str
    state: TagState
    fingerprint: str | None
    description: str
    streamed: bool
    created: str
    updated: str
    lsn: int
    list_count: int
    iov_count: int


@dataclass(frozen=True, slots=True)
class ListRow:
    """A payload list: its type, how many IOVs it has and what they span (None when empty).

    `begin` and `end` are [major, minor]; `end` is None as well where the last IOV is open.
    """

    id: int
    payload_type: str
    iov_count: int
    begin: list[int] | None
    end: list[int] | None


@dataclass(frozen=True, slots=True)
class BufferRow:
    """The streaming buffer: how much it holds, its state, and who set it."""

    n_itm: int
    buff_size: int
    dstatus: str
    user: str
    token: str

    @property
    def frozen(self) -> bool:
        """Whether it takes nothing until it is cleaned."""
        return self.dstatus == FROZEN


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file now in the streaming buffer."""

    name: str
    size: int
    payload_type: str
    time: str


@dataclass(frozen=True, slots=True)
class LinkRow:
    """Whether this pod's follower reaches the databuffer, and since when (empty: not yet known)."""

    reachable: bool
    since: str


def find_tag(snapshot: Snapshot, name: str) -> TagRow:
    """Return the tag of that name.

    Raises:
        NotFound: there is none.
    """
    found = tag_named(snapshot, name)
    if found is None:
        raise NotFound("tag", name)
    return found


def tag_named(snapshot: Snapshot, name: str) -> TagRow | None:
    """Return the tag of that name, None if there is none."""
    found = snapshot.connection.execute(f"{_TAG} WHERE name = ?", (name,)).fetchone()
    return None if found is None else _tag_row(found)


def find_ref(snapshot: Snapshot, ref: TagRef) -> TagRow:
    """Return the tag a reader names, by its fingerprint if that is given.

    The streaming buffer's tag is renamed when the buffer is cleaned, yet its content keeps
    answering to the name it was frozen under.

    Raises:
        NotFound: no such tag, or it never had that fingerprint.
    """
    if ref.fingerprint is None:
        return find_tag(snapshot, ref.name)
    found = snapshot.connection.execute(
        f"{_TAG} WHERE fingerprint = ? AND (name = ? OR (streamed AND ? = ?)) ORDER BY id LIMIT 1",
        (ref.fingerprint, ref.name, ref.name, snapshot.position.stream_tag),
    ).fetchone()
    if found is None:
        raise NotFound("tag", str(ref))
    return _tag_row(found)


def tags(snapshot: Snapshot, limit: int = -1) -> list[TagRow]:
    """Return the tags by name; with a limit, those changed last."""
    order = "name" if limit < 0 else "lsn DESC"
    rows = snapshot.connection.execute(f"{_TAG} ORDER BY {order} LIMIT ?", (limit,))
    return [_tag_row(found) for found in rows]


def count_tags(snapshot: Snapshot) -> int:
    """Return how many tags there are."""
    return int(snapshot.connection.execute("SELECT count(*) FROM global_tag").fetchone()[0])


def lists(snapshot: Snapshot, tag_id: int) -> list[ListRow]:
    """Return the tag's payload lists by type."""
    rows = snapshot.connection.execute(
        "SELECT l.id, t.name, l.iov_count, l.timeline_id"
        " FROM payload_list l JOIN payload_type t ON t.id = l.type_id"
        " WHERE l.tag_id = ? ORDER BY t.name",
        (tag_id,),
    ).fetchall()
    return [
        ListRow(list_id, kind, count, *_extent(snapshot, timeline_id))
        for list_id, kind, count, timeline_id in rows
    ]


def timeline_id(snapshot: Snapshot, tag_id: int, payload_type: str) -> int | None:
    """Return the id of the timeline of a tag's list of a type, None if there is no such list."""
    found = snapshot.connection.execute(
        "SELECT l.timeline_id FROM payload_list l JOIN payload_type t ON t.id = l.type_id"
        " WHERE l.tag_id = ? AND t.name = ?",
        (tag_id, payload_type),
    ).fetchone()
    return None if found is None else int(found[0])


def overlapping(snapshot: Snapshot, timeline_id: int, interval: Interval) -> list[Row]:
    """Return the rows of a timeline that overlap `interval`, latest first."""
    end = interval.end
    before, until = ("", ()) if end is None else (_BEFORE, (end.major, end.minor))
    rows = snapshot.connection.execute(
        f"SELECT {COLUMNS} FROM iov WHERE timeline_id = ? {before}"  # noqa: S608 - constants
        " ORDER BY start_major DESC, start_minor DESC",
        (timeline_id, *until),
    )
    found = []
    for columns in rows:
        candidate = row(columns)
        if not candidate.interval.overlaps(interval):
            break
        found.append(candidate)
    rows.close()
    return found


def tag_fingerprint(connection: sqlite3.Connection, tag_id: int) -> str:
    """Return the fingerprint of all a tag holds: in a streamed one, of every segment."""
    (streamed,) = connection.execute(
        "SELECT streamed FROM global_tag WHERE id = ?", (tag_id,)
    ).fetchone()
    table = "segment" if streamed else "iov"
    found = connection.execute(
        "SELECT t.name, l.timeline_id FROM payload_list l JOIN payload_type t ON t.id = l.type_id"
        " WHERE l.tag_id = ?",
        (tag_id,),
    ).fetchall()
    return fingerprint.tag_fingerprint(
        {
            kind: fingerprint.timeline_fingerprint(_rows(connection, table, timeline_id))
            for kind, timeline_id in found
        }
    )


def buffer(snapshot: Snapshot) -> BufferRow:
    """Return the streaming buffer as the ledger tells it."""
    query = "SELECT n_itm, buff_size, dstatus, user, token FROM buffer"
    return BufferRow(*snapshot.connection.execute(query).fetchone())


def buffer_files(snapshot: Snapshot, *, newest: int | None = None) -> list[FileRow]:
    """Return the files in the streaming buffer, oldest first; or the newest ones, newest first."""
    query = "SELECT name, size, payload_type, time FROM buffer_file ORDER BY lsn"
    if newest is not None:
        query = f"{query} DESC LIMIT {newest:d}"
    return [FileRow(*found) for found in snapshot.connection.execute(query)]


def link(snapshot: Snapshot) -> LinkRow:
    """Return whether the databuffer is reached."""
    found = snapshot.connection.execute("SELECT reachable, since FROM link").fetchone()
    return LinkRow(bool(found[0]), found[1])


def about(event: Event, keys: Sequence[str]) -> str:
    """Return by what a repeated request is known: the entry's type and the first key it touches.

    For a payload IOV also which payload holds when; what was inserted is the last change of all.
    """
    told = " ".join((event.type, *keys[:1]))
    if isinstance(event, IovsChanged) and isinstance(last := event.changes[-1], Attach):
        iov = last.row
        told += f" {iov.interval} {iov.payload.digest} {iov.payload.name}"
    return told


def is_known(snapshot: Snapshot, idempotency_key: str) -> bool:
    """Return whether a caller's idempotency key made an entry."""
    query = "SELECT 1 FROM idempotency WHERE key = ?"
    return snapshot.connection.execute(query, (idempotency_key,)).fetchone() is not None


def known_request(snapshot: Snapshot, idempotency_key: str, asked: str) -> int | None:
    """Return the LSN of the entry a caller's idempotency key made, None if there is none.

    Raises:
        KeyReused: that entry is about something else than what is `asked` now.
    """
    query = "SELECT lsn, about FROM idempotency WHERE key = ?"
    found = snapshot.connection.execute(query, (idempotency_key,)).fetchone()
    if found is None:
        return None
    lsn, first = found
    if first != asked:
        raise KeyReused(f"This Idempotency-Key named another request, which made LSN {lsn}.")
    return int(lsn)


_BEFORE: Final = "AND (start_major, start_minor) < (?, ?)"


def _tag_row(columns: tuple[object, ...]) -> TagRow:
    tag_id, name, state, mark, description, streamed, *rest = columns
    return TagRow(tag_id, name, TagState(state), mark, description, bool(streamed), *rest)  # type: ignore[arg-type]  # SQLite's columns, typed by schema.sql


def _extent(snapshot: Snapshot, timeline_id: int) -> tuple[list[int] | None, list[int] | None]:
    columns = "start_major, start_minor, end_major, end_minor"
    query = f"SELECT {columns} FROM iov WHERE timeline_id = ? ORDER BY"  # noqa: S608 - constants
    first, last = (
        snapshot.connection.execute(f"{query} {order} LIMIT 1", (timeline_id,)).fetchone()
        for order in ("start_major, start_minor", "start_major DESC, start_minor DESC")
    )
    if first is None or last is None:
        return None, None
    return [first[0], first[1]], None if last[2] is None else [last[2], last[3]]


def _rows(connection: sqlite3.Connection, table: str, timeline_id: int) -> Iterable[Row]:
    query = f"SELECT {COLUMNS} FROM {table} WHERE timeline_id = ?"  # noqa: S608 - two constants
    return (row(columns) for columns in connection.execute(query, (timeline_id,)))
