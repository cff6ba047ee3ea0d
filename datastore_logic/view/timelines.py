"""Timelines in the view: made, copied, changed as an entry says.

A row that leaves or ends earlier stays among the past ones, so that any earlier LSN can be asked
about. A copy has only what stood; who asks about earlier is led to the timeline it was copied from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from datastore_logic.domain.errors import BadEvent
from datastore_logic.view.rows import BIRTH, COLUMNS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from datastore_logic.domain.columns import Columns
    from datastore_logic.domain.moment import Pair

_ROW: Final = (
    "start_major, start_minor, end_major, end_minor, id, name, checksum, digest, size, revision"
)
_AT: Final = "timeline_id = ? AND start_major = ? AND start_minor = ?"
_INSERT: Final = """
INSERT INTO iov VALUES
(?12, ?1, ?2, ?3, iif(?3 IS NULL, NULL, coalesce(?4, 0)), ?10, ?5, ?6, ?7, ?8, ?9, ?11)
"""
_TO_THE_PAST: Final = f"""
INSERT INTO iov_past SELECT *, ? FROM iov WHERE {_AT} AND lsn < ?
"""  # noqa: S608 - _AT is a constant
_BIRTH: Final = BIRTH.format(id="id")


def make(view: sqlite3.Connection, lsn: int, *, streamed: bool = False) -> int:
    """Make an empty timeline and return its id."""
    made = view.execute("INSERT INTO timeline (streamed, lsn) VALUES (?, ?)", (streamed, lsn))
    return int(made.lastrowid or 0)


def pin(view: sqlite3.Connection, timeline_id: int) -> None:
    """Keep a timeline as it is: who writes to it next copies it first."""
    view.execute("UPDATE timeline SET shared = 1 WHERE id = ?", (timeline_id,))


def copy(view: sqlite3.Connection, lsn: int, source: int, as_of: int | None = None) -> int:
    """Return a new timeline with the rows of another, as they are or as they were; ids are kept."""
    (streamed,) = view.execute("SELECT streamed FROM timeline WHERE id = ?", (source,)).fetchone()
    made = make(view, lsn, streamed=streamed)
    told = {"source": source, "made": made, "asof": lsn if as_of is None else as_of}
    upto = "timeline_id = :source AND lsn <= :asof"
    view.execute(
        f"INSERT INTO iov SELECT :made, {_ROW}, lsn FROM iov WHERE {upto}",  # noqa: S608 - constants
        told,
    )
    if as_of is not None:
        view.execute(
            f"INSERT INTO iov SELECT :made, {_ROW}, lsn FROM iov_past"  # noqa: S608 - constants
            f" WHERE {upto} AND until_lsn > :asof",
            told,
        )
    if streamed:
        view.execute(
            f"INSERT INTO segment SELECT :made, lsn, ordinal, {COLUMNS} FROM segment"  # noqa: S608
            f" WHERE {upto}",
            told,
        )
    return made


def restate(view: sqlite3.Connection, timeline_id: int, *, streamed: bool) -> None:
    """Make an ordinary timeline of a streamed one, which forgets its segments, or the reverse."""
    if streamed:
        view.execute(
            "INSERT INTO segment SELECT timeline_id, lsn,"  # noqa: S608 - COLUMNS is a constant
            " row_number() OVER (PARTITION BY lsn ORDER BY start_major, start_minor) - 1,"
            f" {COLUMNS} FROM iov WHERE timeline_id = ?",
            (timeline_id,),
        )
    else:
        view.execute("DELETE FROM segment WHERE timeline_id = ?", (timeline_id,))
    view.execute("UPDATE timeline SET streamed = ? WHERE id = ?", (streamed, timeline_id))


def size(view: sqlite3.Connection, timeline_id: int) -> int:
    """Count the IOVs of a timeline; in a streamed one, the segments."""
    (streamed,) = view.execute(
        "SELECT streamed FROM timeline WHERE id = ?", (timeline_id,)
    ).fetchone()
    table = "segment" if streamed else "iov"
    query = f"SELECT count(*) FROM {table} WHERE timeline_id = ?"  # noqa: S608 - one of two
    return int(view.execute(query, (timeline_id,)).fetchone()[0])


def new_ids(view: sqlite3.Connection, lsn: int, time: str, number: int) -> range:
    """Return so many ids for payload IOVs that come to be with this entry."""
    if not number:
        return range(0)
    (after,) = view.execute(
        "UPDATE sequence SET next = next + ? WHERE name = 'iov' RETURNING next", (number,)
    ).fetchone()
    first = after - number
    view.execute("INSERT OR IGNORE INTO birth VALUES (?, ?, ?)", (first, lsn, time))
    return range(first, after)


# One timeline, changed ---------------------------------------------------------------------------


class Writer:
    """Changes one timeline in the name of one entry."""

    __slots__ = ("_id", "_lsn", "_time", "_view")

    def __init__(self, view: sqlite3.Connection, timeline_id: int, lsn: int, time: str) -> None:
        self._view = view
        self._id = timeline_id
        self._lsn = lsn
        self._time = time

    def detach(self, starts: Sequence[Pair], from_tag: int | None) -> int:
        """Take rows out, keep them as IOVs in no list that came from a tag; return how many."""
        if not starts:
            return 0
        self._view.executemany(
            f"INSERT OR REPLACE INTO loose_iov SELECT id, {COLUMNS}, {_BIRTH}, ?, ?"  # noqa: S608
            f" FROM iov WHERE {_AT}",
            [(self._lsn, from_tag, self._id, *start) for start in starts],
        )
        return self.delete(starts)

    def delete(self, starts: Sequence[Pair]) -> int:
        """Take rows out and return how many.

        Raises:
            BadEvent: one of them is not there.
        """
        if not starts:
            return 0
        places = [(self._id, *start) for start in starts]
        self._keep_past(places)
        done = self._view.executemany(f"DELETE FROM iov WHERE {_AT}", places)  # noqa: S608
        self._refuse_unless_all(done.rowcount, starts, "takes out")
        return len(starts)

    def trim(self, ends: Sequence[tuple[Pair, Pair]]) -> None:
        """Let rows, named by their starts, end earlier.

        Raises:
            BadEvent: one of them is not there.
        """
        if not ends:
            return
        self._keep_past([(self._id, *start) for start, _ in ends])
        done = self._view.executemany(
            f"UPDATE iov SET end_major = ?, end_minor = ?, lsn = ? WHERE {_AT}",  # noqa: S608
            [(*end, self._lsn, self._id, *start) for start, end in ends],
        )
        self._refuse_unless_all(done.rowcount, [start for start, _ in ends], "trims")

    def attach(self, rows: Columns) -> int:
        """Put rows in, under the ids they have or new ones, and return how many."""
        numbered = zip(rows.bare(), self._ids(rows), strict=True)
        place = (self._lsn, self._id)
        told = ((*columns, number, *place) for columns, number in numbered)
        self._view.executemany(_INSERT, told)
        return len(rows)

    def _ids(self, rows: Columns) -> Iterable[int]:
        if rows.id is None:
            return new_ids(self._view, self._lsn, self._time, len(rows))
        known = [number for number in rows.id if number is not None]
        self._view.executemany("DELETE FROM loose_iov WHERE id = ?", [(one,) for one in known])
        fresh = iter(new_ids(self._view, self._lsn, self._time, len(rows) - len(known)))
        return [next(fresh) if number is None else number for number in rows.id]

    def _keep_past(self, places: list[tuple[int, int, int]]) -> None:
        """Keep rows as they were until this entry; what it made itself was never seen."""
        lsn = self._lsn
        self._view.executemany(_TO_THE_PAST, [(lsn, *place, lsn) for place in places])

    def _refuse_unless_all(self, done: int, starts: Sequence[Pair], verb: str) -> None:
        if done != len(starts):
            raise BadEvent(
                f"LSN {self._lsn} {verb} {len(starts)} IOVs beginning at {starts[0]} and so on,"
                f" of which only {done} are there"
            )
