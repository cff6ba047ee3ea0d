"""What changes from one content to another: which intervals of which payload types.

Lists on the same timeline, as it stood at the same LSN or unchanged since, are the same without
a look at their rows. So what a clone of millions of payload IOVs has changed is found at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from datastore_logic.domain.difference import differences, union
from datastore_logic.view.bare_rows import rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datastore_logic.domain.moment import Interval
    from datastore_logic.domain.tags import PayloadTypeName
    from datastore_logic.domain.timeline import Payload
    from datastore_logic.view.contents import Content, ContentList
    from datastore_logic.view.database import Snapshot


@dataclass(frozen=True, slots=True)
class Change:
    """An interval over which a type has one payload in the old content, another in the new."""

    payload_type: str
    interval: Interval
    old: Payload | None
    new: Payload | None


@dataclass(frozen=True, slots=True)
class Difference:
    """The changes by type and start, and what they cover together, of whatever type.

    Not `complete`: there are more of both.
    """

    changes: tuple[Change, ...]
    reprocess: tuple[Interval, ...]
    complete: bool


def difference(
    snapshot: Snapshot, old: Content, new: Content, only: PayloadTypeName | None, limit: int
) -> Difference:
    """Return up to `limit` of the changes from one content to another, of one type or of all."""
    found = tuple(islice(_changes(snapshot, old, new, only), limit + 1))
    told = found[:limit]
    reprocess = union(change.interval for change in told)
    return Difference(told, reprocess, complete=len(found) <= limit)


def _changes(
    snapshot: Snapshot, old: Content, new: Content, only: PayloadTypeName | None
) -> Iterator[Change]:
    before, after = ({held.payload_type: held for held in content.lists} for content in (old, new))
    for kind in sorted(before.keys() | after.keys() if only is None else {only}):
        one, other = before.get(kind), after.get(kind)
        if not _is_same(snapshot, (old, one), (new, other)):
            rows = rows_of(snapshot, old, one), rows_of(snapshot, new, other)
            for changed in differences(*rows):
                yield Change(kind, changed.interval, changed.old, changed.new)


def _is_same(
    snapshot: Snapshot,
    old: tuple[Content, ContentList | None],
    new: tuple[Content, ContentList | None],
) -> bool:
    """Whether two lists are known to be the same without reading them."""
    (before, one), (after, other) = old, new
    if one is None or other is None or one.timeline_id != other.timeline_id:
        return False
    if before.as_of == after.as_of:
        return True
    query = "SELECT lsn FROM timeline WHERE id = ?"
    (changed,) = snapshot.connection.execute(query, (one.timeline_id,)).fetchone()
    return all(as_of is None or changed <= as_of for as_of in (before.as_of, after.as_of))
