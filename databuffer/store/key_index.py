"""Which LSN carries which idempotency key: derived, rebuilt at each start, never trusted.

It is on disk only so that years of keys need no memory. When the file cannot be had (a full volume)
it is kept in memory; when adding fails, the keys wait in memory for the next try: no key is ever
forgotten.
"""

from __future__ import annotations

import logging
import sqlite3
from hashlib import blake2b
from typing import TYPE_CHECKING

from databuffer.errors import LedgerFailed

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger(__name__)
_BULK = 2_000


class KeyIndex:
    """A map from idempotency key to LSN. Used from one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unsaved: dict[bytes, int] = {}
        self._table: sqlite3.Connection

    def rebuild(self) -> None:
        """Start empty."""
        try:
            self._path.unlink(missing_ok=True)
            self._table = _create(str(self._path))
        except (OSError, sqlite3.Error) as error:
            _log.warning("idempotency keys stay in memory, %s cannot be had: %s", self._path, error)
            self._table = _create(":memory:")

    def note(self, key: str, lsn: int) -> None:
        """Add one key; keys go to the file many at a time."""
        self._unsaved[_short(key)] = lsn
        if len(self._unsaved) >= _BULK:
            self._save()

    def find(self, key: str) -> int | None:
        """Say which LSN carries the key."""
        short = _short(key)
        if short in self._unsaved:
            return self._unsaved[short]
        try:
            row = self._table.execute("SELECT lsn FROM named WHERE key = ?", (short,)).fetchone()
        except sqlite3.Error as error:
            raise LedgerFailed(f"the index of idempotency keys failed: {error}") from error
        return int(row[0]) if row else None

    def close(self) -> None:
        """Close the file."""
        self._table.close()

    def _save(self) -> None:
        try:
            self._table.execute("BEGIN")
            self._table.executemany("INSERT INTO named VALUES (?, ?)", self._unsaved.items())
            self._table.execute("COMMIT")
            self._unsaved = {}
        except sqlite3.Error:
            if self._table.in_transaction:
                self._table.execute("ROLLBACK")


def _create(path: str) -> sqlite3.Connection:
    table = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    try:
        table.execute("PRAGMA locking_mode = EXCLUSIVE")
        table.execute("PRAGMA journal_mode = MEMORY")  # OFF could not roll back on a full volume
        table.execute("PRAGMA synchronous = OFF")
        table.execute("CREATE TABLE named (key BLOB PRIMARY KEY, lsn INTEGER) WITHOUT ROWID")
    except sqlite3.Error:
        table.close()
        raise
    return table


def _short(key: str) -> bytes:
    return blake2b(key.encode(), digest_size=16).digest()
