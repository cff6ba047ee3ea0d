"""A ledger of events and a view of it, without HTTP: what an entry makes of the view."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import orjson

from datastore_logic.domain.bare import row_of
from datastore_logic.domain.columns import Columns
from datastore_logic.domain.events import ListChange, TimelinesChanged
from datastore_logic.domain.moment import Interval, Moment
from datastore_logic.domain.tags import PayloadTypeName, TagName
from datastore_logic.domain.timeline import Payload, Row
from datastore_logic.errors import NotFound
from datastore_logic.view.apply import apply_entry
from datastore_logic.view.contents import find_content
from datastore_logic.view.database import NO_HASH, Database
from datastore_logic.view.entries import Context, read_entry
from datastore_logic.view.iovs import rows_between

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from datastore_logic.domain.tags import TagRef, TagState
    from datastore_logic.view.database import Snapshot

STREAM = TagName("stream")


class LedgerView:
    """Entries appended one by one, each applied at once; its LSN is also its second."""

    def __init__(self, path: Path) -> None:
        self.lines: list[bytes] = []
        self._database = Database(path, STREAM)
        self._database.prepare()
        with self._database.applying() as view:
            view.execute("UPDATE position SET complete = 1")

    def add(self, event: Any, *, actor: str = "alice", keys: Sequence[str] = ()) -> int:
        """Append an event, apply it, and return its LSN."""
        return self.append(event.type, event.data(), actor=actor, keys=keys)

    def append(
        self,
        kind: str,
        data: dict[str, Any],
        *,
        actor: str = "alice",
        keys: Sequence[str] = (),
        key: str | None = None,
    ) -> int:
        """Append an entry, apply it, and return its LSN."""
        lsn = len(self.lines) + 1
        previous = hashlib.sha256(self.lines[-1]).hexdigest() if self.lines else NO_HASH
        entry = {"lsn": lsn, "time": f"2026-11-20T23:{lsn // 60:02}:{lsn % 60:02}.000000Z"}
        entry |= {"actor": actor, "type": kind, "data": data, "keys": list(keys), "prev": previous}
        entry |= {"idempotency_key": key} if key else {}
        self.follow([orjson.dumps(entry)])
        return lsn

    def follow(self, lines: Sequence[bytes]) -> None:
        """Append lines that were written elsewhere and apply them in one transaction."""
        with self._database.applying() as view:
            for line in lines:
                lsn = len(self.lines)
                previous = hashlib.sha256(self.lines[-1]).hexdigest() if self.lines else NO_HASH
                apply_entry(Context(view, STREAM), read_entry(line, lsn, previous))
                self.lines.append(line)
            view.execute("UPDATE position SET applied_lsn = ?", (len(self.lines),))

    @contextmanager
    def read(self) -> Iterator[Snapshot]:
        """Read the view."""
        with self._database.snapshot() as snapshot:
            yield snapshot

    def rows(self, query: str, *bound: Any) -> list[tuple[Any, ...]]:
        """Return what SQL finds in the view."""
        with self.read() as snapshot:
            return snapshot.connection.execute(query, bound).fetchall()

    def close(self) -> None:
        """Close the view."""
        self._database.close()


def iov(start: int, end: int | None = None, name: str = "", **told: Any) -> Row:
    """Return a payload IOV over majors; without a name, that of its start."""
    interval = Interval(Moment(start), None if end is None else Moment(end))
    return Row(interval, Payload(name or f"p{start}", **told))


def change(
    kind: str,
    tag: str | None = None,
    *rows: Row,
    list_id: int | None = None,
    detached: Sequence[int] = (),
    deleted: Sequence[int] = (),
    trimmed: Sequence[tuple[int, int]] = (),
    ids: list[int | None] | None = None,
) -> ListChange:
    """Return a change of one list, by majors."""
    return ListChange(
        PayloadTypeName(kind),
        None if tag is None else TagName(tag),
        list_id,
        Columns.of(rows, ids),
        tuple(map(Moment, detached)),
        tuple(map(Moment, deleted)),
        tuple((Moment(start), Moment(end)) for start, end in trimmed),
    )


def changed(*args: Any, **told: Any) -> TimelinesChanged:
    """Return the entry of one change; the arguments are those of `change`."""
    return TimelinesChanged((change(*args, **told),))


def told(snapshot: Snapshot, ref: TagRef) -> tuple[TagState, dict[str, tuple[Row, ...]]] | None:
    """Return the state and the rows of each type that a reference names; None: nothing."""
    try:
        content = find_content(snapshot, ref)
    except NotFound:
        return None
    rows = {
        held.payload_type: tuple(
            row_of(columns) for _, *columns, _ in rows_between(snapshot, held, None, content.as_of)
        )
        for held in content.lists
    }
    return content.tag.state, rows
