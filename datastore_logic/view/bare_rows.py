"""The rows of a content's lists as bare columns, for who looks at all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from datastore_logic.view.iovs import rows_between
from datastore_logic.view.rows import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datastore_logic.domain.bare import Bare
    from datastore_logic.view.contents import Content, ContentList
    from datastore_logic.view.database import Snapshot

_NOW: Final = f"SELECT {COLUMNS} FROM iov WHERE timeline_id = ? ORDER BY start_major, start_minor"  # noqa: S608
_BARE: Final = slice(1, 10)
"""Where the columns of a `Bare` row stand in IOV_COLUMNS."""


def rows_of(snapshot: Snapshot, content: Content, held: ContentList | None) -> Iterator[Bare]:
    """Yield what resolution reads of a content's list, in order; nothing where there is no list."""
    if held is None:
        return iter(())
    if content.as_of is None:
        return snapshot.connection.execute(_NOW, (held.timeline_id,))
    found = rows_between(snapshot, held, None, content.as_of)
    return (columns[_BARE] for columns in found)


def segments_of(snapshot: Snapshot, content: Content, held: ContentList) -> Iterator[Bare]:
    """Yield every segment of a streamed content's list, also those that newer ones cover."""
    query = f"SELECT {COLUMNS} FROM segment WHERE timeline_id = ? AND lsn <= ?"  # noqa: S608
    return snapshot.connection.execute(query, (held.timeline_id, content.lsn))
