"""Global tags, as lists show them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from datastore_logic.domain.tags import TagState
from datastore_logic.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datastore_logic.view.database import Snapshot

TAG: Final = (
    "SELECT id, name, state, fingerprint, description, author, streamed, created, updated, lsn,"
    " list_count, iov_count FROM global_tag"
)
"""What `TagRow.of` reads."""


@dataclass(frozen=True, slots=True)
class TagRow:
    """A global tag; the counts are maintained, not counted.

    `lsn` is the entry that last touched it or an IOV of its lists. Of a tag as it stood at an
    earlier LSN, how many IOVs it had is None: nobody has counted.
    """

    id: int
    name: str
    state: TagState
    fingerprint: str | None
    description: str
    author: str | None
    streamed: bool
    created: str
    updated: str
    lsn: int
    list_count: int
    iov_count: int | None

    @classmethod
    def of(cls, columns: Sequence[Any]) -> TagRow:
        """Return the tag of one row of the view."""
        tag_id, name, state, mark, description, author, streamed, *rest = columns
        return cls(tag_id, name, TagState(state), mark, description, author, bool(streamed), *rest)


def find_tag(snapshot: Snapshot, name: str) -> TagRow:
    """Return the tag of that name.

    Raises:
        NotFound: there is none.
    """
    found = tag_named(snapshot, name)
    if found is None:
        raise NotFound("tag", name)
    return found


def tag_named(snapshot: Snapshot, name: str) -> TagRow | None:
    """Return the tag of that name, None if there is none."""
    found = snapshot.connection.execute(f"{TAG} WHERE name = ?", (name,)).fetchone()
    return None if found is None else TagRow.of(found)


def tags(
    snapshot: Snapshot,
    *,
    after: str = "",
    search: str = "",
    state: TagState | None = None,
    limit: int = -1,
) -> list[TagRow]:
    """Return the tags by name: those after a name, of a state, with a text in name or author."""
    terms, bound = ["name > ?"], [after]
    if state is not None:
        terms.append("state = ?")
        bound.append(state)
    if search:
        terms.append("instr(lower(name || char(10) || coalesce(author, '')), lower(?))")
        bound.append(search)
    query = f"{TAG} WHERE {' AND '.join(terms)} ORDER BY name LIMIT ?"
    return [TagRow.of(found) for found in snapshot.connection.execute(query, (*bound, limit))]


def newest_tags(snapshot: Snapshot, limit: int) -> list[TagRow]:
    """Return the tags that were changed last."""
    found = snapshot.connection.execute(f"{TAG} ORDER BY lsn DESC, id DESC LIMIT ?", (limit,))
    return [TagRow.of(columns) for columns in found]


def count_tags(snapshot: Snapshot) -> int:
    """Return how many tags there are."""
    return int(snapshot.connection.execute("SELECT count(*) FROM global_tag").fetchone()[0])
