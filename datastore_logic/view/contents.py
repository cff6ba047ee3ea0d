"""What a reference to a tag names: payload lists, and the timelines where their rows are.

A tag's name alone names its current rows; TAG@<fingerprint> the timelines that a freeze has
pinned, whatever became of the tag; TAG@<LSN> the timelines it had then, where rows have to be
looked for also among the past ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from datastore_logic.errors import NotFound
from datastore_logic.view.tags import TAG, TagRow

if TYPE_CHECKING:
    import sqlite3

    from datastore_logic.domain.tags import PayloadTypeName, TagRef
    from datastore_logic.view.database import Snapshot

_NOW: Final = (
    "SELECT t.name, l.id, l.timeline_id, l.iov_count"
    " FROM main.payload_list l JOIN payload_type t ON t.id = l.type_id WHERE l.tag_id = :of"
)
"""The lists of a tag that was found among what the caller sees: each of them is seen, and `main.`
spares SQLite to ask that again of every one (view/sight.py)."""

_PINNED: Final = (
    "SELECT t.name, l.list_id, l.timeline_id, l.iov_count"
    " FROM main.frozen_list l JOIN payload_type t ON t.id = l.type_id WHERE l.frozen_id = :of"
)
_THEN: Final = (
    "SELECT t.name, l.list_id, l.timeline_id, NULL"
    " FROM attachment l JOIN payload_type t ON t.id = l.type_id"
    " WHERE l.tag_id = :of AND l.lsn <= :lsn AND (l.until_lsn IS NULL OR l.until_lsn > :lsn)"
)
_VERSION: Final = (
    "SELECT tag_id, name, state, fingerprint, description, author, streamed, created, time, lsn"
    " FROM tag_version"
)
_STOOD: Final = "lsn <= :lsn AND (until_lsn IS NULL OR until_lsn > :lsn)"


@dataclass(frozen=True, slots=True)
class ContentList:
    """A payload list, and where its rows are; how many, if that is known."""

    payload_type: str
    list_id: int
    timeline_id: int
    iov_count: int | None


@dataclass(frozen=True, slots=True)
class Content:
    """The lists a reference names, by payload type, and the tag as it was then.

    `lsn` is what an answer from it reflects. Without `as_of` the current rows of the timelines
    are the answer, else those that stood at that LSN.
    """

    ref: TagRef
    tag: TagRow
    lsn: int
    as_of: int | None
    lists: tuple[ContentList, ...]


def find_content(snapshot: Snapshot, ref: TagRef, only: PayloadTypeName | None = None) -> Content:
    """Return what a reference names, of one payload type or of all.

    Raises:
        NotFound: no such tag that the caller may see under that name, or not with that fingerprint,
            or not at that LSN, or it has no list of the type `only`.
    """
    refuse_unseen(snapshot, ref)
    content = content_of(snapshot.connection, ref, snapshot.lsn, only)
    if only is not None and not content.lists:
        raise NotFound("payload_type", f"{only} in global tag {ref}")
    return content


def refuse_unseen(snapshot: Snapshot, ref: TagRef) -> None:
    """Refuse a name that the caller may not see, whatever the tag that had it is called by now.

    Raises:
        NotFound: they may not: the words are those for a name which no tag ever had.
    """
    if not snapshot.sees(ref.name):
        raise NotFound("tag", str(ref))


def content_of(
    connection: sqlite3.Connection, ref: TagRef, upto: int, only: str | None = None
) -> Content:
    """Return what a reference names in a view that reflects the LSN `upto`.

    Raises:
        NotFound: as `find_content`, except for `only`.
    """
    if ref.fingerprint is not None:
        return _pinned(connection, ref, only)
    if ref.lsn is not None:
        return _as_it_stood(connection, ref, upto, only)
    tag = _current(connection, "name = ?", ref.name)
    if tag is None:
        raise NotFound("tag", str(ref))
    return Content(ref, tag, upto, None, _lists(connection, _NOW, {"of": tag.id}, only))


def _pinned(connection: sqlite3.Connection, ref: TagRef, only: str | None) -> Content:
    """Return what was frozen under a fingerprint, in a tag that ever had that name."""
    found = connection.execute(
        "SELECT id, tag_id, lsn FROM frozen WHERE fingerprint = ?"
        " AND tag_id IN (SELECT tag_id FROM tag_version WHERE name = ?) ORDER BY id LIMIT 1",
        (ref.fingerprint, ref.name),
    ).fetchone()
    if found is None:
        raise NotFound("tag", str(ref))
    frozen_id, tag_id, lsn = found
    version = connection.execute(
        f"{_VERSION} WHERE tag_id = :tag AND {_STOOD}", {"tag": tag_id, "lsn": lsn}
    ).fetchone()
    totals = connection.execute(
        "SELECT count(*), coalesce(sum(iov_count), 0) FROM frozen_list WHERE frozen_id = ?",
        (frozen_id,),
    ).fetchone()
    tag = TagRow.of((*version, *totals))
    return Content(ref, tag, lsn, None, _lists(connection, _PINNED, {"of": frozen_id}, only))


def _as_it_stood(
    connection: sqlite3.Connection, ref: TagRef, upto: int, only: str | None
) -> Content:
    """Return what a tag of that name held at an LSN, which must not lie beyond the view."""
    lsn = ref.lsn or 0
    version = connection.execute(
        f"{_VERSION} WHERE name = :name AND {_STOOD}", {"name": ref.name, "lsn": lsn}
    ).fetchone()
    if version is None or lsn > upto:
        raise NotFound("tag", str(ref))
    tag_id = version[0]
    now = _current(connection, "id = ?", tag_id)
    if now is not None and now.lsn <= lsn:  # nothing has touched it since
        return Content(ref, now, lsn, None, _lists(connection, _NOW, {"of": tag_id}, only))
    lists = _lists(connection, _THEN, {"of": tag_id, "lsn": lsn}, only)
    of_all = lists if only is None else _lists(connection, _THEN, {"of": tag_id, "lsn": lsn}, None)
    tag = TagRow.of((*version, len(of_all), None))
    return Content(ref, _last_touched(connection, tag, lsn), lsn, lsn, lists)


def _current(connection: sqlite3.Connection, which: str, value: str | int) -> TagRow | None:
    found = connection.execute(f"{TAG} WHERE {which}", (value,)).fetchone()
    return None if found is None else TagRow.of(found)


def _last_touched(connection: sqlite3.Connection, tag: TagRow, lsn: int) -> TagRow:
    """Return the tag with the last act on it up to an LSN; segments are no acts of their own."""
    last, time = connection.execute(
        "SELECT max(lsn), time FROM tag_history WHERE tag_id = ? AND lsn <= ?", (tag.id, lsn)
    ).fetchone()
    return tag if last is None else replace(tag, lsn=last, updated=time)


def _lists(
    connection: sqlite3.Connection, query: str, bound: dict[str, Any], only: str | None
) -> tuple[ContentList, ...]:
    chosen = "" if only is None else " AND t.name = :only"
    found = connection.execute(f"{query}{chosen} ORDER BY t.name", {**bound, "only": only})
    return tuple(ContentList(*columns) for columns in found)
