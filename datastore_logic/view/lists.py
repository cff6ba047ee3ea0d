"""Payload types and payload lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from datastore_logic.domain.tags import ListName
from datastore_logic.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datastore_logic.view.database import Snapshot

_LIST: Final = (
    "SELECT l.id, t.name, l.tag_id, g.name, l.timeline_id, l.iov_count, l.created"
    " FROM payload_list l JOIN payload_type t ON t.id = l.type_id"
    " LEFT JOIN global_tag g ON g.id = l.tag_id"
)
_TYPE: Final = "SELECT id, name, created FROM payload_type"


@dataclass(frozen=True, slots=True)
class TypeRow:
    """A payload type."""

    id: int
    name: str
    created: str


@dataclass(frozen=True, slots=True)
class ListRow:
    """A payload list; `tag` is the name of the tag it is in, None if it is in none."""

    id: int
    name: ListName
    payload_type: str
    tag_id: int | None
    tag: str | None
    timeline_id: int
    iov_count: int
    created: str

    @classmethod
    def of(cls, columns: Sequence[Any]) -> ListRow:
        """Return the list of one row of the view."""
        list_id, payload_type, *rest = columns
        return cls(list_id, ListName.of(payload_type, list_id), payload_type, *rest)


def lists_of(snapshot: Snapshot, tag_id: int) -> list[ListRow]:
    """Return the tag's lists by payload type."""
    query = f"{_LIST} WHERE l.tag_id = ? ORDER BY t.name"
    return [ListRow.of(found) for found in snapshot.connection.execute(query, (tag_id,))]


def list_of(snapshot: Snapshot, tag_id: int, payload_type: str) -> ListRow | None:
    """Return the tag's list of a type, None if it has none."""
    query = f"{_LIST} WHERE l.tag_id = ? AND t.name = ?"
    found = snapshot.connection.execute(query, (tag_id, payload_type)).fetchone()
    return None if found is None else ListRow.of(found)


def find_list(snapshot: Snapshot, wanted: ListName | int) -> ListRow:
    """Return the list of a name or an id.

    Raises:
        NotFound: there is none.
    """
    list_id = wanted if isinstance(wanted, int) else wanted.id
    found = snapshot.connection.execute(f"{_LIST} WHERE l.id = ?", (list_id,)).fetchone()
    if found is None or (isinstance(wanted, ListName) and wanted.payload_type != found[1]):
        raise NotFound("payload_list", str(wanted))
    return ListRow.of(found)


def tag_of_list(snapshot: Snapshot, list_id: int) -> str | None:
    """Return the name of the tag that has the list, whoever asks; None if none has."""
    found = snapshot.connection.execute(
        "SELECT g.name FROM main.payload_list l JOIN main.global_tag g ON g.id = l.tag_id"
        " WHERE l.id = ?",
        (list_id,),
    ).fetchone()
    return None if found is None else str(found[0])


def list_made_by(snapshot: Snapshot, lsn: int) -> ListRow:
    """Return the list that an entry made.

    Raises:
        NotFound: it made none, or that is deleted.
    """
    found = snapshot.connection.execute(f"{_LIST} WHERE l.lsn = ? LIMIT 1", (lsn,)).fetchone()
    if found is None:
        raise NotFound("payload_list", f"made by LSN {lsn}")
    return ListRow.of(found)


def types(snapshot: Snapshot) -> list[TypeRow]:
    """Return the payload types by name."""
    query = f"{_TYPE} WHERE until_lsn IS NULL ORDER BY name"
    return [TypeRow(*found) for found in snapshot.connection.execute(query)]


def type_named(snapshot: Snapshot, name: str) -> TypeRow | None:
    """Return the payload type of that name, None if there is none."""
    query = f"{_TYPE} WHERE name = ? AND until_lsn IS NULL"
    found = snapshot.connection.execute(query, (name,)).fetchone()
    return None if found is None else TypeRow(*found)


def find_type(snapshot: Snapshot, name: str) -> TypeRow:
    """Return the payload type of that name.

    Raises:
        NotFound: there is none.
    """
    found = type_named(snapshot, name)
    if found is None:
        raise NotFound("payload_type", name)
    return found


def count_lists(snapshot: Snapshot, type_id: int) -> int:
    """Return how many lists are of a type, also those the caller does not see: it is in use."""
    query = "SELECT count(*) FROM main.payload_list WHERE type_id = ?"
    return int(snapshot.connection.execute(query, (type_id,)).fetchone()[0])
