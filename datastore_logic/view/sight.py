"""What a caller with limited sight is shown: a view without what is hidden from them.

Their connection has temporary views of the tables' own names, which SQLite finds before the tables.
So whatever is asked over it, now or by a query yet to be written, cannot come to a hidden tag: not
to its row, its versions and its history, its lists and what is pinned of it, nor to the timelines,
whose ids only those tell. Counts, pages and searches come out as if it had never been there.

The rule: a tag is seen under its present name, or, if it is deleted, under the last it had; who
asks for it by an earlier name must see that name, too (`Snapshot.sees`). What came out of a tag (a
list that was detached, an IOV that a newer one displaced) is seen by who sees that tag; what never
was in one, by every reader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

_OF_TAG: Final = (
    "(SELECT sees(name) FROM main.tag_version WHERE tag_id = {tag} ORDER BY lsn DESC LIMIT 1)"
)
_CAME_OUT_OF: Final = f"({{came}} IS NULL OR {_OF_TAG.format(tag='{came}')})"
_FROZEN: Final = "(SELECT tag_id FROM main.frozen WHERE id = frozen_id)"

LIMITED: Final = {
    "global_tag": "sees(name)",
    "tag_version": _OF_TAG.format(tag="v.tag_id"),
    "tag_history": _OF_TAG.format(tag="v.tag_id"),
    "attachment": _OF_TAG.format(tag="v.tag_id"),
    "freeze_proposal": _OF_TAG.format(tag="v.tag_id"),
    "frozen": _OF_TAG.format(tag="v.tag_id"),
    "frozen_list": _OF_TAG.format(tag=_FROZEN),
    "payload_list": _CAME_OUT_OF.format(came="coalesce(v.tag_id, v.from_tag)"),
    "loose_iov": _CAME_OUT_OF.format(came="v.from_tag"),
}
"""Of which tables not every row is shown, and which are."""

BY_TIMELINE: Final = frozenset({"timeline", "iov", "iov_past", "segment"})
"""What is only ever looked up by a timeline's id, which the tables above tell."""

OF_NO_TAG: Final = frozenset(
    {
        *("position", "link", "touched", "idempotency", "payload_type", "birth", "sequence"),
        *("buffer", "buffer_file", "token"),
    }
)
"""What is the same for everybody; the buffer's routes ask for themselves who may read its tag."""


class Sees:
    """The predicate of one connection; it shows nothing until it is told who looks."""

    __slots__ = ("by",)

    def __init__(self) -> None:
        self.by: Callable[[str], bool] = _nothing

    def __call__(self, name: str) -> bool:
        """Say whether the tag is to be seen."""
        return self.by(name)

    def forget(self) -> None:
        """Show nothing again."""
        self.by = _nothing


def limit(connection: sqlite3.Connection) -> Sees:
    """Hide the tables of a connection behind what its `Sees`, which is returned, lets through."""
    sees = Sees()
    connection.create_function("sees", 1, sees)
    for table, shown in LIMITED.items():
        connection.execute(
            f"CREATE TEMP VIEW {table} AS SELECT * FROM main.{table} v WHERE {shown}"  # noqa: S608 - constants
        )
    return sees


def _nothing(_name: str) -> bool:
    return False
