"""Immutable answers in one SQLite file, found by the moment they hold at.

Kept are answers to `TAG@<fingerprint>`, which are the same for ever, each with the interval
[since, until) over which it is the answer. Not `TAG@<lsn>`: that is fixed within one history
only, a restored ledger numbers another one alike, and no answer says which ledger it is from.
Nor the plain `TAG`, whose answer is what it is now.

SQLite because "which stored interval has this moment in it" is one step in a B-tree, and because
it lets 64 processes write at once. It never waits for the disk (`synchronous=OFF`): what a power
cut leaves is not believed, as each answer carries a checksum over its question, its interval and
its text. A file that SQLite calls damaged is removed and another begun under a new random name;
who still has the old one open works on in it, and when he closes it, SQLite removes *its* side
files by name, which must not be those of the new one.

Full, it forgets what it learnt first.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import sqlite3
import stat
import sys
import threading
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from condstore.moments import Moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from condstore.cache.counts import Counts
    from condstore.cache.folder import Folder
    from condstore.cache.troubles import Troubles

T = TypeVar("T")
Row = tuple[object, ...]

_FILE: Final = re.compile(r"(answers-[0-9a-f]{8}\.sqlite)(?:-wal|-shm)?")
_LOCK: Final = "answers"
_PATIENCE: Final = 5.0  # seconds, for one who opens the file
_BUSY: Final = 2.0  # seconds, for one who writes into it
_PAGE: Final = 4096
_ATTEMPTS: Final = 4  # to make room, an eighth of what is oldest at a time
_SCHEMA: Final = """
PRAGMA synchronous = OFF;
PRAGMA journal_mode = WAL;
PRAGMA journal_size_limit = 1048576;
PRAGMA wal_autocheckpoint = 256;
PRAGMA max_page_count = {pages};
CREATE TABLE IF NOT EXISTS answers (
  id INTEGER PRIMARY KEY, question BLOB NOT NULL,
  since_major INTEGER NOT NULL, since_minor INTEGER NOT NULL,
  until_major INTEGER, until_minor INTEGER, checksum BLOB NOT NULL, body BLOB NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS by_moment ON answers (question, since_major, since_minor);
"""
_FIND: Final = """
SELECT id, since_major, since_minor, until_major, until_minor, checksum, body FROM answers
WHERE id = (SELECT id FROM answers WHERE question = ?1 AND (since_major, since_minor) <= (?2, ?3)
            ORDER BY since_major DESC, since_minor DESC LIMIT 1)
  AND (until_major IS NULL OR (until_major, until_minor) > (?2, ?3))
"""
_KEEP: Final = """
INSERT OR REPLACE INTO answers
  (question, since_major, since_minor, until_major, until_minor, checksum, body)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_FORGET: Final = """
DELETE FROM answers WHERE id <= (SELECT min(id) + (max(id) - min(id)) / 8 FROM answers)
"""
_NOT_NOW: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_DAMAGED: Final = frozenset(
    {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_ERROR}
)


class Kept(NamedTuple):
    """An answer's text and the interval over which it holds."""

    since: Moment
    until: Moment | None
    body: bytes


class _Base:
    """One connection, of one process: SQLite's must not be used by a forked child."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.lock = threading.Lock()
        self.open: sqlite3.Connection | None = None
        self.name = ""


class Answers:
    """The answers in a folder; the file takes at most `limit` bytes."""

    def __init__(self, folder: Folder, limit: int, counts: Counts, troubles: Troubles) -> None:
        self._folder = folder
        self._pages = limit // _PAGE
        self._counts = counts
        self._troubles = troubles
        self._base = _Base()
        self._inherited: list[_Base] = []  # never used, and never closed from here

    def find(self, question: str, moment: Moment) -> bytes | None:
        """Return the text of the answer that holds at this moment, if it is here and whole."""
        asked = (_key(question), *moment)
        row = self._tried(lambda base: base.execute(_FIND, asked).fetchone())
        if row is None:
            return None
        number, major, minor, major_end, minor_end, checksum, body = row
        until = None if major_end is None else Moment(major_end, minor_end)
        if isinstance(body, bytes):  # a flipped bit may have made it something else
            kept = Kept(Moment(major, minor), until, body)
            if _checksum(question, kept) == checksum:
                return body
        self.drop(number)
        return None

    def drop(self, number: int) -> None:
        """Remove an answer that cannot be believed."""
        self._counts.add("damaged")
        self._tried(lambda base: base.execute("DELETE FROM answers WHERE id = ?", (number,)))

    def keep(self, question: str, answers: Iterable[Kept]) -> None:
        """Keep answers to a question, in place of those that begin where they do."""
        key = _key(question)
        rows: list[Row] = [
            (key, *one.since, *(one.until or (None, None)), _checksum(question, one), one.body)
            for one in answers
        ]
        self._tried(lambda base: _written(base, rows))

    def holds(self) -> tuple[int, int]:
        """Return how many answers there are, and how many bytes of disk they take."""
        row = self._tried(lambda base: base.execute("SELECT count(*) FROM answers").fetchone())
        files = self._folder.files("")
        size = sum(facts.st_size for name, facts in files if _FILE.fullmatch(name))
        return (row[0] if row else 0), size

    def close(self) -> None:
        """Close the file; it opens again if it is used again."""
        base = self._own()
        with base.lock:
            _closed(base)

    # -- the file --------------------------------------------------------------------------------

    def _tried(self, act: Callable[[sqlite3.Connection], T]) -> T | None:
        """Return what `act` does with the file; None if that cannot be done."""
        base = self._own()
        with base.lock:
            try:
                if base.open is None:
                    self._connect(base)
                assert base.open is not None  # noqa: S101 - for the type checker
                return act(base.open)
            except sqlite3.Error as error:
                self._mend(base, error)
            except OSError as error:
                self._troubles.tell(error)
        return None

    def _own(self) -> _Base:
        if self._base.process != os.getpid():
            self._inherited.append(self._base)
            self._base = _Base()
        return self._base

    def _mend(self, base: _Base, error: sqlite3.Error) -> None:
        """Begin another file in place of a damaged one; of any other failure only tell."""
        code = _code(error)
        if code in _NOT_NOW:
            self._counts.add("uncached")
            return
        if code not in _DAMAGED or not base.name:
            self._troubles.tell(error)
            return
        self._counts.add("damaged")
        name = base.name
        _closed(base)
        try:
            with self._folder.locked(_LOCK, _PATIENCE):
                for end in ("", "-wal", "-shm"):
                    self._folder.unlink("", name + end)
        except OSError as trouble:
            self._troubles.tell(trouble)

    def _connect(self, base: _Base) -> None:
        """Open the file that is there, or begin one; one process at a time."""
        with self._folder.locked(_LOCK, _PATIENCE):
            base.name = self._chosen()
            self._at_its_path()
            base.open = sqlite3.connect(
                self._folder.path / base.name,
                timeout=_BUSY,
                isolation_level=None,
                check_same_thread=False,
            )
            self._at_its_path()
            base.open.executescript(_SCHEMA.format(pages=self._pages))

    def _chosen(self) -> str:
        """Return the name of the file; remove what a dropped one left.

        Nothing here opens it: closing a descriptor of ours would take away the locks that another
        connection of this process has on it.
        """
        files = {
            name: found[1]
            for name, facts in self._folder.files("")
            if (found := _FILE.fullmatch(name)) and stat.S_ISREG(facts.st_mode)
        }
        whole = min((name for name, file in files.items() if name == file), default=None)
        for name, file in files.items():
            if file != whole:
                self._folder.unlink("", name)
        return whole or f"answers-{secrets.token_hex(4)}.sqlite"

    def _at_its_path(self) -> None:
        if not self._folder.is_at_its_path():
            raise PermissionError(f"{self._folder.path} was moved or replaced")


def _written(base: sqlite3.Connection, rows: list[Row]) -> None:
    """Write all rows or none, forgetting what is oldest if there is no room."""
    for attempt in range(_ATTEMPTS):
        try:
            base.execute("BEGIN IMMEDIATE")
            try:
                base.executemany(_KEEP, rows)
            finally:
                if base.in_transaction:
                    base.execute("COMMIT" if sys.exc_info()[0] is None else "ROLLBACK")
        except sqlite3.OperationalError as error:
            if _code(error) != sqlite3.SQLITE_FULL or attempt == _ATTEMPTS - 1:
                raise
            base.execute(_FORGET)
        else:
            return


def _closed(base: _Base) -> None:
    if base.open is not None:
        with contextlib.suppress(sqlite3.Error):
            base.open.close()
    base.open, base.name = None, ""


def _code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def _key(question: str) -> bytes:
    return hashlib.blake2b(question.encode(), digest_size=16).digest()


def _checksum(question: str, kept: Kept) -> bytes:
    about = f"{question}\n{kept.since}\n{kept.until}\n".encode()
    return hashlib.blake2b(about + kept.body, digest_size=16).digest()
