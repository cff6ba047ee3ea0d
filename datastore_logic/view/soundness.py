"""Whether a view holds together: what is looked at in a copy before others begin with it.

SQLite looks at every page and index. What it cannot know is looked at here: that every text is one,
that the counts are those of the rows, and that what was frozen still has its fingerprint. A row of
no frozen tag in which one letter became another passes all of it.
"""

from __future__ import annotations

from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from datastore_logic.domain import fingerprint
from datastore_logic.view.fingerprints import timeline_fingerprint

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

_ALL: Final = 2**31 - 1
_BARE: Final = "SELECT name FROM pragma_table_list WHERE wr AND schema = 'main'"
_NO_VALUE: Final = "NULL value in "
_COLUMNS: Final = "SELECT name FROM pragma_table_info(?) WHERE "

_LISTS: Final = """
SELECT 'payload_list ' || l.id FROM payload_list l LEFT JOIN timeline t ON t.id = l.timeline_id
WHERE l.iov_count IS NOT CASE t.streamed
    WHEN 0 THEN (SELECT count(*) FROM iov WHERE timeline_id = t.id)
    WHEN 1 THEN (SELECT count(*) FROM segment WHERE timeline_id = t.id) END
"""
_TAGS: Final = """
SELECT 'global_tag ' || g.id FROM global_tag g LEFT JOIN
    (SELECT tag_id, count(*) AS lists, sum(iov_count) AS iovs FROM payload_list GROUP BY tag_id) l
    ON l.tag_id = g.id
WHERE (g.list_count, g.iov_count) IS NOT (coalesce(l.lists, 0), coalesce(l.iovs, 0))
"""
_FROZEN: Final = """
SELECT f.id, f.fingerprint, t.name, l.timeline_id, s.streamed FROM frozen f
LEFT JOIN frozen_list l ON l.frozen_id = f.id LEFT JOIN payload_type t ON t.id = l.type_id
LEFT JOIN timeline s ON s.id = l.timeline_id ORDER BY f.id
"""


class Unsound(Exception):
    """A view is not what a view must be; says what of it."""


def refuse_damaged(connection: sqlite3.Connection) -> None:
    """Have SQLite look at every page and index.

    Raises:
        Unsound: naming the first thing that is wrong.
        sqlite3.DatabaseError: it cannot even look.
    """
    bare = {name for (name,) in connection.execute(_BARE)}
    suspected = set()
    for (told,) in connection.execute(f"PRAGMA integrity_check({_ALL})"):
        table = told.removeprefix(_NO_VALUE).partition(".")[0]
        if told.startswith(_NO_VALUE) and table in bare:
            suspected.add(table)
        elif told != "ok":
            raise Unsound(told.splitlines()[0])
    for table in suspected:
        _refuse_holes(connection, table)


def refuse_unsound(connection: sqlite3.Connection) -> None:
    """Look at what SQLite cannot know.

    Raises:
        Unsound: naming the first thing that is wrong.
        sqlite3.DatabaseError: a row cannot be read, or a text of it is none.
    """
    for table in _tables(connection):
        _read_texts(connection, table)
    for (miscounted,) in connection.execute(f"{_LISTS} UNION ALL {_TAGS}"):
        raise Unsound(f"the counts of {miscounted} are not those of its rows")
    _refuse_other_content(connection)


def _tables(connection: sqlite3.Connection) -> list[str]:
    found = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    return [name for (name,) in found]


def _refuse_holes(connection: sqlite3.Connection, table: str) -> None:
    """Refuse a NULL where there is none: SQLite 3.40, Debian 12's, looks at other columns.

    That is where the key of a table without row ids is not its first columns.
    """
    for row in _rows(connection, table, '"notnull" OR pk'):
        if None in row:
            raise Unsound(f"a row of {table} lacks a value")


def _read_texts(connection: sqlite3.Connection, table: str) -> None:
    for _ in _rows(connection, table, "type = 'TEXT'"):
        pass


def _rows(connection: sqlite3.Connection, table: str, which: str) -> Iterable[tuple[Any, ...]]:
    """Return some columns of all rows."""
    names = [name for (name,) in connection.execute(_COLUMNS + which, (table,))]
    if not names:
        return ()
    return connection.execute(f"SELECT {', '.join(names)} FROM {table}")  # noqa: S608 - the view's own


def _refuse_other_content(connection: sqlite3.Connection) -> None:
    """Compute the fingerprint of all that was ever frozen, each timeline once."""

    @cache
    def of_timeline(timeline_id: int, streamed: bool) -> str:
        return timeline_fingerprint(connection, timeline_id, streamed=streamed)

    rows = connection.execute(_FROZEN).fetchall()
    for (number, told), lists in groupby(rows, key=itemgetter(0, 1)):
        found = {kind: of_timeline(*timeline) for _, _, kind, *timeline in lists if kind}
        if fingerprint.tag_fingerprint(found) != told:
            raise Unsound(f"what was frozen (frozen {number}) has another fingerprint by now")
