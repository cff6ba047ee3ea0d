"""What stands at a moment, looked up in SQLite: one search of the primary key a payload list.

The rows of a timeline are disjoint, so the last one beginning at or before the moment is the
only one that can hold it; whether it does, its end says. A gap is a gap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from datastore_logic.domain.moment import Interval, Moment

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Sequence

    from datastore_logic.domain.moment import Pair
    from datastore_logic.view.contents import Content

Columns = tuple[Any, ...]

STANDING_COLUMNS: Final = (
    "name, checksum, size, start_major, start_minor, end_major, end_minor, revision, digest"
)
"""What follows the payload type in a row of a `Standing`, in this order."""

LAST_OF_EACH: Final = """
SELECT t.id, {columns} FROM timeline t JOIN iov i
ON i.timeline_id = t.id AND (i.start_major, i.start_minor) = (
    SELECT start_major, start_minor FROM iov
    WHERE timeline_id = t.id AND (start_major, start_minor) <= (:major, :minor)
    ORDER BY start_major DESC, start_minor DESC LIMIT 1
)
WHERE t.id IN ({timelines})
""".replace("{columns}", ", ".join(f"i.{name}" for name in STANDING_COLUMNS.split(", ")))
"""Both steps are searches of iov's primary key; a test reads the query plan."""

FIRST_AFTER: Final = """
SELECT start_major, start_minor FROM iov
WHERE timeline_id = :timeline AND (start_major, start_minor) > (:major, :minor)
ORDER BY start_major, start_minor LIMIT 1
"""

_NEAREST: Final = """
SELECT {columns} FROM {table} WHERE timeline_id = :timeline AND lsn <= :asof {until}
AND (start_major, start_minor) {side} (:major, :minor)
ORDER BY start_major {order}, start_minor {order} LIMIT 1
""".replace("{columns}", STANDING_COLUMNS)
_TABLES: Final = (("iov", ""), ("iov_past", "AND until_lsn > :asof"))


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands at a moment, and over which interval: rows by payload type, types without one.

    A row is the payload type and the STANDING_COLUMNS; an end of None is open.
    """

    holds: Interval
    rows: Iterable[Sequence[Any]]
    gaps: tuple[str, ...]


def look_up(connection: sqlite3.Connection, content: Content, moment: Moment) -> Standing:
    """Return what stands at a moment in what a reference names."""
    nearest = _now if content.as_of is None else _as_of
    last, first_after = nearest(connection, content, moment)
    at = (moment.major, moment.minor)
    rows, gaps = [], []
    start, end = (0, 0), None
    for held in content.lists:
        columns = last.get(held.timeline_id)
        until = (0, 0) if columns is None else _end(columns)
        if columns is not None and (until is None or at < until):
            rows.append((held.payload_type, *columns))
            since = _start(columns)
        else:
            gaps.append(held.payload_type)
            since, until = until or (0, 0), first_after(held.timeline_id)
        start, end = max(start, since), until if end is None else min(end, until or end)
    return Standing(_interval(start, end), rows, tuple(gaps))


def _start(columns: Columns) -> Pair:
    return columns[3], columns[4]


def _end(columns: Columns) -> Pair | None:
    return None if columns[5] is None else (columns[5], columns[6])


def _interval(start: Pair, end: Pair | None) -> Interval:
    return Interval(Moment(*start), None if end is None else Moment(*end))


# the rows beside a moment -----------------------------------------------------------------------

_Nearest = tuple["dict[int, Columns]", "Callable[[int], Pair | None]"]
"""The last row of each timeline at or before a moment, and where one goes on after it."""


def _now(connection: sqlite3.Connection, content: Content, moment: Moment) -> _Nearest:
    asked = {"major": moment.major, "minor": moment.minor}
    timelines = ",".join(str(held.timeline_id) for held in content.lists)
    query = LAST_OF_EACH.replace("{timelines}", timelines)
    last = {timeline: columns for timeline, *columns in connection.execute(query, asked)}

    def first_after(timeline: int) -> Pair | None:
        found: Pair | None = connection.execute(
            FIRST_AFTER, {**asked, "timeline": timeline}
        ).fetchone()
        return found

    return last, first_after


def _as_of(connection: sqlite3.Connection, content: Content, moment: Moment) -> _Nearest:
    """Look among the rows that are past as well; those of later entries are passed over."""
    asked = {"major": moment.major, "minor": moment.minor, "asof": content.as_of}

    def nearest(timeline: int, side: str, order: str) -> list[Columns]:
        bound = {**asked, "timeline": timeline}
        queries = (
            _NEAREST.format(table=table, until=until, side=side, order=order)
            for table, until in _TABLES
        )
        return [row for query in queries for row in connection.execute(query, bound)]

    def last(timeline: int) -> Columns | None:
        return max(nearest(timeline, "<=", "DESC"), key=_start, default=None)

    def first_after(timeline: int) -> Pair | None:
        return min(map(_start, nearest(timeline, ">", "ASC")), default=None)

    found = {held.timeline_id: last(held.timeline_id) for held in content.lists}
    return {timeline: row for timeline, row in found.items() if row is not None}, first_after
