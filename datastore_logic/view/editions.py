"""Editions: one name for the very rows that a reference names, and how slices are made of them.

A timeline's id is never given again, and each timeline knows its last change; so ids and those LSNs
tell one content from every other, whichever tag has it. A clone and its source, a frozen tag and
its fingerprint are one edition until somebody writes.
"""

from __future__ import annotations

from hashlib import sha256
from heapq import merge
from typing import TYPE_CHECKING, Any

import orjson

from datastore_logic.view import slices
from datastore_logic.view.database import SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from datastore_logic.view.contents import Content, ContentList
    from datastore_logic.view.database import Snapshot

    RowsOf = Callable[[ContentList], Iterable[tuple[Any, ...]]]
    """Return the IOV_COLUMNS of all rows of a list, in order."""


def edition(snapshot: Snapshot, content: Content) -> str:
    """Return the name of the rows that `content` names; not as of an earlier LSN."""
    timelines = ",".join(str(held.timeline_id) for held in content.lists)
    found = snapshot.connection.execute(
        f"SELECT id, lsn FROM timeline WHERE id IN ({timelines})"  # noqa: S608 - numbers
    )
    changed = dict(found.fetchall())
    rows = [
        (held.payload_type, held.timeline_id, changed[held.timeline_id]) for held in content.lists
    ]
    told = (slices.MAGIC.decode(), SCHEMA_VERSION, snapshot.position.ledger, rows)
    return sha256(orjson.dumps(told)).hexdigest()[:32]


def slices_of(content: Content, about: str, rows_of: RowsOf) -> Iterator[bytes]:
    """Yield, piece by piece, the slices of a content.

    Raises:
        Damaged: its rows overlap.
    """
    types = [held.payload_type for held in content.lists]
    changes = (
        slices.changes(number, held.payload_type, rows_of(held))
        for number, held in enumerate(content.lists)
    )
    return slices.written(about, types, merge(*changes))
