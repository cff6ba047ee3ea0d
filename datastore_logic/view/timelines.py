"""The rows of a timeline in the view: changed as an entry says, or laid over each other.

An ordinary timeline is told its changes. A streamed one keeps every segment in full, for the
fingerprint, and beside them the disjoint rows that resolution reads: what is visible of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from datastore_logic.domain import timeline
from datastore_logic.domain.errors import BadEvent
from datastore_logic.domain.tags import TagState
from datastore_logic.domain.timeline import Attach, Detach, Row, Trim
from datastore_logic.view.rows import COLUMNS, columns, row

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from datastore_logic.domain.moment import Interval
    from datastore_logic.domain.timeline import Change

_INSERT_IOV: Final = f"""
INSERT INTO iov (timeline_id, {COLUMNS}, lsn) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""  # noqa: S608 - COLUMNS is a constant
_INSERT_SEGMENT: Final = f"""
INSERT INTO segment (timeline_id, lsn, ordinal, {COLUMNS})
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""  # noqa: S608 - COLUMNS is a constant
_ALL: Final = f"""
SELECT {COLUMNS} FROM iov WHERE timeline_id = ? ORDER BY start_major DESC, start_minor DESC
"""  # noqa: S608 - COLUMNS is a constant
_STARTING_BEFORE: Final = f"""
SELECT {COLUMNS} FROM iov WHERE timeline_id = ? AND (start_major, start_minor) < (?, ?)
ORDER BY start_major DESC, start_minor DESC
"""  # noqa: S608 - COLUMNS is a constant
_STARTING_AT: Final = f"""
SELECT {COLUMNS} FROM iov WHERE timeline_id = ? AND (start_major, start_minor) >= (?, ?)
ORDER BY start_major, start_minor LIMIT 1
"""  # noqa: S608 - COLUMNS is a constant


def change_rows(
    view: sqlite3.Connection, lsn: int, timeline_id: int, changes: Iterable[Change]
) -> int:
    """Make the changes, in order, and return by how many rows the timeline has grown.

    Raises:
        BadEvent: a row to trim or detach is not there.
    """
    grown = 0
    for change in changes:
        match change:
            case Attach(iov):
                view.execute(_INSERT_IOV, (timeline_id, *columns(iov), lsn))
                grown += 1
            case Trim(start, end):
                _trim(view, timeline_id, (start.major, start.minor), (end.major, end.minor))
            case Detach(start):
                _detach(view, timeline_id, (start.major, start.minor))
                grown -= 1
    return grown


def store_segments(
    view: sqlite3.Connection, lsn: int, timeline_id: int, rows: Sequence[Row], sample_ns: int = 0
) -> int:
    """Keep rows of a streamed tag in full, make them visible, and return how many they are.

    Whoever wrote the entry cannot know which segments precede it (they touch another key), so
    in a streamed tag an entry brings rows only, and what they cover is worked out here: the newest
    wins over its interval, whose ends snap within half a sample of `sample_ns`.
    """
    for ordinal, segment in enumerate(rows):
        view.execute(_INSERT_SEGMENT, (timeline_id, lsn, ordinal, *columns(segment)))
        near = _rows_near(view, timeline_id, segment.interval)
        seen = Row(_snapped(segment.interval, near, sample_ns), segment.payload)
        change_rows(view, lsn, timeline_id, timeline.insert(near, seen, TagState.UNLOCKED))
    return len(rows)


def _trim(
    view: sqlite3.Connection, timeline_id: int, start: tuple[int, int], end: tuple[int, int]
) -> None:
    done = view.execute(
        "UPDATE iov SET end_major = ?, end_minor = ?"
        " WHERE timeline_id = ? AND start_major = ? AND start_minor = ?",
        (*end, timeline_id, *start),
    )
    if done.rowcount != 1:
        raise BadEvent(f"the ledger trims an IOV beginning at {start} that is not there")


def _detach(view: sqlite3.Connection, timeline_id: int, start: tuple[int, int]) -> None:
    done = view.execute(
        "DELETE FROM iov WHERE timeline_id = ? AND start_major = ? AND start_minor = ?",
        (timeline_id, *start),
    )
    if done.rowcount != 1:
        raise BadEvent(f"the ledger detaches an IOV beginning at {start} that is not there")


def _rows_near(view: sqlite3.Connection, timeline_id: int, interval: Interval) -> list[Row]:
    """Return the rows that overlap `interval`, and the neighbour on each side."""
    start, end = interval.start, interval.end
    upto, before = (_ALL, ()) if end is None else (_STARTING_BEFORE, (end.major, end.minor))
    near = []
    found = view.execute(upto, (timeline_id, *before))
    for columns_found in found:
        near.append(row(columns_found))
        last_end = near[-1].interval.end
        if last_end is not None and last_end <= start:
            break
    found.close()
    if end is not None:
        following = view.execute(_STARTING_AT, (timeline_id, end.major, end.minor))
        near += [row(columns_found) for columns_found in following]
    return near


def _snapped(interval: Interval, near: Iterable[Row], sample_ns: int) -> Interval:
    if not sample_ns:
        return interval
    ends = (iov.interval.end for iov in near)
    boundaries = [*(iov.interval.start for iov in near), *(end for end in ends if end is not None)]
    return timeline.snap(interval, boundaries, sample_ns)
