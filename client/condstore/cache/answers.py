"""Immutable answers in one SQLite file, found by the moment they hold at.

Kept are answers to `TAG@<fingerprint>`, which are the same for ever, each with the interval
[since, until) over which it is the answer. Not `TAG@<lsn>`: that is fixed within one history
only, a restored ledger numbers another one alike, and no answer says which ledger it is from.
Nor the plain `TAG`, whose answer is what it is now.

SQLite because "which stored interval has this moment in it" is one step in a B-tree, and because
it lets 64 processes write at once. Each answer carries a checksum over its question, its interval
and its text, so that what a power cut or a failing disk leaves is not believed.

Full, it forgets what it learnt first.
"""

from __future__ import annotations

import hashlib
import sqlite3
from typing import TYPE_CHECKING, Final, NamedTuple

from condstore.cache.base import Base, code_of
from condstore.moments import Moment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from condstore.cache.counts import Counts
    from condstore.cache.folder import Folder
    from condstore.cache.troubles import Troubles

Row = tuple[object, ...]

_ATTEMPTS: Final = 4  # to make room, an eighth of what is oldest at a time
_SCHEMA: Final = """
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


class Kept(NamedTuple):
    """An answer's text and the interval over which it holds."""

    since: Moment
    until: Moment | None
    body: bytes


class Answers:
    """The answers in a folder; the file takes at most `limit` bytes."""

    def __init__(self, folder: Folder, limit: int, counts: Counts, troubles: Troubles) -> None:
        self._counts = counts
        self._base = Base(folder, limit, _SCHEMA, counts, troubles)
        self.close = self._base.close

    def find(self, question: str, moment: Moment) -> bytes | None:
        """Return the text of the answer that holds at this moment, if it is here and whole."""
        asked = (_key(question), *moment)
        row = self._base.tried(lambda base: base.execute(_FIND, asked).fetchone())
        if row is None:
            return None
        number, major, minor, major_end, minor_end, checksum, body = row
        until = None if major_end is None else Moment(major_end, minor_end)
        if isinstance(body, bytes):  # a flipped bit may have made it something else
            kept = Kept(Moment(major, minor), until, body)
            if _checksum(question, kept) == checksum:
                return body
        self._counts.add("damaged")
        self._base.tried(lambda base: base.execute("DELETE FROM answers WHERE id = ?", (number,)))
        return None

    def keep(self, question: str, answers: Iterable[Kept]) -> None:
        """Keep answers to a question, in place of those that begin where they do."""
        key = _key(question)
        rows: list[Row] = [
            (key, *one.since, *(one.until or (None, None)), _checksum(question, one), one.body)
            for one in answers
        ]
        self._base.tried(lambda base: _written(base, rows))

    def holds(self) -> tuple[int, int]:
        """Return how many answers there are, and how many bytes of disk they take."""
        count = "SELECT count(*) FROM answers"
        row = self._base.tried(lambda base: base.execute(count).fetchone())
        return (row[0] if row else 0), self._base.size()


def _written(base: sqlite3.Connection, rows: list[Row]) -> None:
    """Write all rows or none, forgetting what is oldest if there is no room."""
    for attempt in range(_ATTEMPTS):
        try:
            _at_once(base, rows)
        except sqlite3.OperationalError as error:
            if code_of(error) != sqlite3.SQLITE_FULL or attempt == _ATTEMPTS - 1:
                raise
            base.execute(_FORGET)
        else:
            return


def _at_once(base: sqlite3.Connection, rows: list[Row]) -> None:
    base.execute("BEGIN IMMEDIATE")
    try:
        base.executemany(_KEEP, rows)
        base.execute("COMMIT")
    except BaseException:
        if base.in_transaction:
            base.execute("ROLLBACK")
        raise


def _key(question: str) -> bytes:
    return hashlib.blake2b(question.encode(), digest_size=16).digest()


def _checksum(question: str, kept: Kept) -> bytes:
    about = f"{question}\n{kept.since}\n{kept.until}\n".encode()
    return hashlib.blake2b(about + kept.body, digest_size=16).digest()
