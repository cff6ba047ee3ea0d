"""Callers' requests that were done before, known by their idempotency keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from datastore_logic.errors import KeyReused

if TYPE_CHECKING:
    from datastore_logic.view.database import Snapshot
    from datastore_logic.view.entries import Entry

OWN_KEY: Final = "auto:"
"""How idempotency keys begin that a replica made for itself; nobody will ask for them again."""


def about(entry: Entry) -> str:
    """Return by what a repeated request is known: the mark its first one left in the entry.

    An entry without one was made by the databuffer or by a first version; it is its type and the
    first key it touches.
    """
    return entry.asked or " ".join((entry.event.type, *entry.keys[:1]))


def is_known(snapshot: Snapshot, idempotency_key: str) -> bool:
    """Return whether a caller's idempotency key made an entry."""
    query = "SELECT 1 FROM idempotency WHERE key = ?"
    return snapshot.connection.execute(query, (idempotency_key,)).fetchone() is not None


def known_request(snapshot: Snapshot, idempotency_key: str, asked: str) -> int | None:
    """Return the LSN of the entry a caller's idempotency key made, None if there is none.

    Raises:
        KeyReused: that entry is about something else than what is `asked` now.
    """
    query = "SELECT lsn, about FROM idempotency WHERE key = ?"
    found = snapshot.connection.execute(query, (idempotency_key,)).fetchone()
    if found is None:
        return None
    lsn, first = found
    if first != asked:
        raise KeyReused(f"This Idempotency-Key named another request, which made LSN {lsn}.")
    return int(lsn)
