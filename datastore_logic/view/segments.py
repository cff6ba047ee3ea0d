"""Segments of a streamed timeline: kept in full, and what is visible of them.

Whoever wrote an entry cannot know which segments precede it (they touch another key), so in a
streamed tag an entry brings rows only, and what they cover is worked out here: the newest wins over
its interval, whose ends snap within half a sample.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from datastore_logic.domain import timeline
from datastore_logic.domain.bare import bare_of, row_of
from datastore_logic.domain.columns import Columns
from datastore_logic.domain.tags import TagState
from datastore_logic.domain.timeline import Attach, Detach, Row, Trim
from datastore_logic.view.rows import COLUMNS
from datastore_logic.view.timelines import Writer

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from datastore_logic.domain.moment import Interval
    from datastore_logic.domain.timeline import Change
    from datastore_logic.view.entries import Step

_INSERT_SEGMENT: Final = f"""
INSERT INTO segment (timeline_id, lsn, ordinal, {COLUMNS})
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
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


def store(step: Step, timeline_id: int, rows: Iterable[Row], sample_ns: int = 0) -> int:
    """Keep rows in full, make them visible, and return how many they are."""
    view, kept = step.view, 0
    for segment in rows:
        view.execute(_INSERT_SEGMENT, (timeline_id, step.lsn, kept, *bare_of(segment)))
        kept += 1
        near = _rows_near(view, timeline_id, segment.interval)
        seen = Row(_snapped(segment.interval, near, sample_ns), segment.payload)
        _change(step, timeline_id, timeline.insert(near, seen, TagState.UNLOCKED))
    return kept


def _change(step: Step, timeline_id: int, changes: Sequence[Change]) -> None:
    writer = Writer(step.view, timeline_id, step.lsn, step.time)
    writer.delete([change.start.pair() for change in changes if isinstance(change, Detach)])
    writer.trim(
        [(change.start.pair(), change.end.pair()) for change in changes if isinstance(change, Trim)]
    )
    writer.attach(Columns.of(change.row for change in changes if isinstance(change, Attach)))


def _rows_near(view: sqlite3.Connection, timeline_id: int, interval: Interval) -> list[Row]:
    """Return the rows that overlap `interval`, and the neighbour on each side."""
    start, end = interval.start, interval.end
    upto, before = (_ALL, ()) if end is None else (_STARTING_BEFORE, (end.major, end.minor))
    near = []
    backwards = view.execute(upto, (timeline_id, *before))
    for found in backwards:
        near.append(row_of(found))
        last_end = near[-1].interval.end
        if last_end is not None and last_end <= start:
            break
    backwards.close()
    if end is not None:
        following = view.execute(_STARTING_AT, (timeline_id, end.major, end.minor))
        near += [row_of(found) for found in following]
    return near


def _snapped(interval: Interval, near: Iterable[Row], sample_ns: int) -> Interval:
    if not sample_ns:
        return interval
    ends = (iov.interval.end for iov in near)
    boundaries = [*(iov.interval.start for iov in near), *(end for end in ends if end is not None)]
    return timeline.snap(interval, boundaries, sample_ns)
