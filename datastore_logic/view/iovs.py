"""Payload IOVs: those of a timeline, now or as of an LSN, and single ones by their id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from datastore_logic.domain.bare import row_of
from datastore_logic.domain.moment import Moment
from datastore_logic.errors import NotFound
from datastore_logic.view.rows import BIRTH, COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datastore_logic.domain.moment import Interval
    from datastore_logic.domain.timeline import Row
    from datastore_logic.view.contents import ContentList
    from datastore_logic.view.database import Snapshot

IOV_COLUMNS: Final = f"id, {COLUMNS}, lsn"
"""The columns of `rows_between`, in this order."""

SEGMENT_COLUMNS: Final = f"ordinal, {COLUMNS}, lsn"
"""The columns of `segments_after`, in this order."""

_STOOD_NOW: Final = "iov WHERE timeline_id = :timeline"
_STOOD: Final = (
    f"{_STOOD_NOW} AND lsn <= :asof",
    "iov_past WHERE timeline_id = :timeline AND lsn <= :asof AND until_lsn > :asof",
)
_START: Final = "(start_major, start_minor)"
_IN_NO_LIST: Final = f"SELECT NULL, inserted, {COLUMNS} FROM loose_iov WHERE id = ?"  # noqa: S608
_IN_A_LIST: Final = f"""
SELECT l.id, {BIRTH.format(id="i.id")}, {", ".join(f"i.{name}" for name in COLUMNS.split(", "))}
FROM iov i JOIN payload_list l ON l.timeline_id = i.timeline_id
WHERE i.id = ? ORDER BY l.id, i.start_major, i.start_minor LIMIT 1
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class KnownIov:
    """A payload IOV, and the list it is in, if it is in one."""

    id: int
    list_id: int | None
    row: Row
    inserted: str


def rows_between(
    snapshot: Snapshot,
    content_list: ContentList,
    interval: Interval | None,
    as_of: int | None,
    *,
    after: Moment | None = None,
    limit: int | None = None,
) -> Iterator[tuple[Any, ...]]:
    """Yield the IOV_COLUMNS of a list's rows that overlap `interval`, in order.

    Those that begin at `after` or before it are left out, and what exceeds `limit`.
    """
    tables = _tables(as_of)
    bound: dict[str, Any] = {"timeline": content_list.timeline_id, "asof": as_of}
    first = None if interval is None else _first_reaching(snapshot, tables, bound, interval.start)
    terms = ""
    if after is not None and (first is None or after >= first):
        first, terms = after, f" AND {_START} > (:major, :minor)"
    elif first is not None:
        terms = f" AND {_START} >= (:major, :minor)"
    if first is not None:
        bound |= {"major": first.major, "minor": first.minor}
    if interval is not None and interval.end is not None:
        bound |= {"end_major": interval.end.major, "end_minor": interval.end.minor}
        terms += f" AND {_START} < (:end_major, :end_minor)"
    bound["limit"] = -1 if limit is None else limit
    parts = [f"SELECT {IOV_COLUMNS} FROM {table}{terms}" for table in tables]  # noqa: S608
    query = " UNION ALL ".join(parts) + " ORDER BY start_major, start_minor LIMIT :limit"
    return iter(snapshot.connection.execute(query, bound))


def segments_after(
    snapshot: Snapshot, timeline_id: int, after: tuple[int, int], upto: int | None, limit: int
) -> list[tuple[Any, ...]] | None:
    """Return SEGMENT_COLUMNS of a streamed timeline by (lsn, ordinal), None if it is not streamed.

    They are what its fingerprint is over: each with its exact bounds, also those newer ones cover.
    """
    query = "SELECT streamed FROM timeline WHERE id = ?"
    if not snapshot.connection.execute(query, (timeline_id,)).fetchone()[0]:
        return None
    return snapshot.connection.execute(
        f"SELECT {SEGMENT_COLUMNS} FROM segment WHERE timeline_id = ? AND (lsn, ordinal) > (?, ?)"  # noqa: S608
        " AND lsn <= coalesce(?, lsn) ORDER BY lsn, ordinal LIMIT ?",
        (timeline_id, *after, upto, limit),
    ).fetchall()


def overlapping(snapshot: Snapshot, timeline_id: int, interval: Interval) -> list[Row]:
    """Return the rows of a timeline that now overlap `interval`, in order."""
    first = _first_reaching(snapshot, (_STOOD_NOW,), {"timeline": timeline_id}, interval.start)
    query = f"SELECT {COLUMNS} FROM iov WHERE timeline_id = ? AND {_START} >= (?, ?)"  # noqa: S608
    bound = [timeline_id, first.major, first.minor]
    if interval.end is not None:
        query += f" AND {_START} < (?, ?)"
        bound += [interval.end.major, interval.end.minor]
    found = snapshot.connection.execute(f"{query} ORDER BY start_major, start_minor", bound)
    return [*map(row_of, found)]


def first_start_after(snapshot: Snapshot, timeline_id: int, moment: Moment) -> Moment | None:
    """Return the start of the first row of a timeline that begins after a moment."""
    found = snapshot.connection.execute(
        f"SELECT start_major, start_minor FROM iov WHERE timeline_id = ? AND {_START} > (?, ?)"  # noqa: S608 - constants
        " ORDER BY start_major, start_minor LIMIT 1",
        (timeline_id, moment.major, moment.minor),
    ).fetchone()
    return None if found is None else Moment(*found)


def extent(
    snapshot: Snapshot, timeline_id: int, as_of: int | None
) -> tuple[list[int] | None, list[int] | None]:
    """Return from where to where the rows of a timeline go, as [major, minor].

    Both are None where there are no rows, the second also where the last one is open.
    """
    every = " UNION ALL ".join(
        f"SELECT start_major, start_minor, end_major, end_minor FROM {table}"  # noqa: S608
        for table in _tables(as_of)
    )
    bound = {"timeline": timeline_id, "asof": as_of}
    first, last = (
        snapshot.connection.execute(f"{every} ORDER BY {order} LIMIT 1", bound).fetchone()
        for order in ("start_major, start_minor", "start_major DESC, start_minor DESC")
    )
    if first is None or last is None:
        return None, None
    return [first[0], first[1]], None if last[2] is None else [last[2], last[3]]


def iov_at(snapshot: Snapshot, timeline_id: int, start: Moment) -> tuple[int, Row] | None:
    """Return the id and the row of a timeline that begins at a moment, None if none does."""
    found = snapshot.connection.execute(
        f"SELECT id, {COLUMNS} FROM iov WHERE timeline_id = ? AND {_START} = (?, ?)",  # noqa: S608
        (timeline_id, start.major, start.minor),
    ).fetchone()
    return None if found is None else (found[0], row_of(found[1:]))


def find_iov(snapshot: Snapshot, iov_id: int) -> KnownIov:
    """Return the payload IOV of an id; of several lists that share it, the first.

    One that was detached is in no list, though a clone made before may still have it.

    Raises:
        NotFound: there is none, or no more.
    """
    told = snapshot.connection.execute(_IN_NO_LIST, (iov_id,)).fetchone()
    told = told or snapshot.connection.execute(_IN_A_LIST, (iov_id,)).fetchone()
    if told is None:
        raise NotFound("payload_iov", str(iov_id))
    list_id, inserted, *columns = told
    return KnownIov(iov_id, list_id, row_of(columns), inserted)


def iov_made_by(snapshot: Snapshot, lsn: int) -> KnownIov:
    """Return the first payload IOV that an entry made.

    Raises:
        NotFound: it made none, or that is gone.
    """
    query = "SELECT first_id FROM birth WHERE lsn = ?"
    found = snapshot.connection.execute(query, (lsn,)).fetchone()
    if found is None:
        raise NotFound("payload_iov", f"made by LSN {lsn}")
    return find_iov(snapshot, found[0])


def _tables(as_of: int | None) -> tuple[str, ...]:
    """Return where the rows of a timeline are, now or as of an LSN."""
    return (_STOOD_NOW,) if as_of is None else _STOOD


def _first_reaching(
    snapshot: Snapshot, tables: tuple[str, ...], bound: dict[str, Any], moment: Moment
) -> Moment:
    """Return where the row that contains a moment begins; the moment itself, if none does."""
    told = {**bound, "at_major": moment.major, "at_minor": moment.minor}
    starts = []
    for table in tables:
        found = snapshot.connection.execute(
            f"SELECT start_major, start_minor, end_major, end_minor FROM {table}"  # noqa: S608
            f" AND {_START} <= (:at_major, :at_minor)"
            " ORDER BY start_major DESC, start_minor DESC LIMIT 1",
            told,
        ).fetchone()
        if found is not None and (found[2] is None or found[2:] > (moment.major, moment.minor)):
            starts.append(Moment(*found[:2]))
    return max(starts, default=moment)
