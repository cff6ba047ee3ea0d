"""What a bundle is, byte by byte: its tables, its seals, its last line. docs/bundles.md tells it.

Rows are kept by *slices of time*: a slice holds, for every payload type, the rows that matter from
its start until the next one, so that a resolution reads one stretch of the file, not one place a
type. A row that reaches into further slices is repeated there.

Every row says where the next one of its type starts. So one row alone proves an answer, a gap too:
it is the last that starts at or before the moment, or the moment would not lie before `next`.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

APPLICATION_ID: Final = 0x636E6462
"""`cndb`: SQLite's header tells what kind of file it is."""

VERSION: Final = 1
"""SQLite's user_version; a bundle of another one is refused."""

PAGE_SIZE: Final = 4096
PIECE: Final = 1 << 20
"""Payloads are kept in pieces of so many bytes."""

PLACE: Final = "list, start_major, start_minor, end_major, end_minor, next_major, next_minor"
TOLD: Final = "name, checksum, digest, size, revision, id, lsn"
ROW: Final = f"{PLACE}, {TOLD}"
"""The columns of `iov` that its `seal` is over, in this order."""

SEALED: Final = "\t".join(["%s"] * len(ROW.split(", ")))
"""The text of a row that is sealed: its columns with tabs between, `None` for NULL."""

_COLUMNS: Final = """
    list INTEGER NOT NULL,
    start_major INTEGER NOT NULL, start_minor INTEGER NOT NULL,
    end_major INTEGER, end_minor INTEGER,
    next_major INTEGER, next_minor INTEGER,
    name TEXT, checksum TEXT, digest TEXT, size INTEGER, revision INTEGER,
    id INTEGER, lsn INTEGER,
    seal INTEGER NOT NULL"""

_TABLES: Final = f"""
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE payload_list (
    list INTEGER PRIMARY KEY, payload_type TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
    payload_iovs INTEGER,
    begin_major INTEGER, begin_minor INTEGER, end_major INTEGER, end_minor INTEGER,
    pulled INTEGER NOT NULL
);

CREATE TABLE slice (
    start_major INTEGER NOT NULL, start_minor INTEGER NOT NULL, slice INTEGER NOT NULL,
    PRIMARY KEY (start_major, start_minor)
) WITHOUT ROWID;

CREATE TABLE iov (
    slice INTEGER NOT NULL,{_COLUMNS},
    PRIMARY KEY (slice, list, start_major, start_minor)
) WITHOUT ROWID;

CREATE TABLE segment (
    list INTEGER NOT NULL, ordinal INTEGER NOT NULL,
    start_major INTEGER NOT NULL, start_minor INTEGER NOT NULL,
    end_major INTEGER, end_minor INTEGER,
    name TEXT NOT NULL, checksum TEXT, digest TEXT,
    PRIMARY KEY (list, ordinal)
) WITHOUT ROWID;

CREATE TABLE payload (
    payload INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, size INTEGER NOT NULL
);

CREATE TABLE piece (
    payload INTEGER NOT NULL, part INTEGER NOT NULL, bytes BLOB NOT NULL,
    PRIMARY KEY (payload, part)
);
"""
SCHEMA: Final = tuple(filter(None, map(str.strip, _TABLES.split(";"))))
"""The statements that make the tables; a bundle has just these."""

STAGED: Final = f"CREATE TEMP TABLE staged ({_COLUMNS})"

TRAILER: Final = b"\ncondstore bundle, sha256 of all before this line: %s\n"
TRAILER_SIZE: Final = len(TRAILER % (b"0" * 64))


_written: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=repr).encode


def seal(row: Sequence[Any]) -> int:
    """Return the CRC-32 of a row's columns as text with tabs between, `None` for NULL.

    It finds what happens to files; who might forge one is met by the fingerprint.

    >>> seal((1, 100, 0, None, None, None, None, "beam", None, None, None, None, 7, 12))
    2656403763
    """
    return zlib.crc32((SEALED % tuple(row)).encode())


def trailer(digest: str) -> bytes:
    """Return a bundle's last line: SQLite does not read it, `tail -1` does."""
    return TRAILER % digest.encode()


def catalogue_digest(connection: sqlite3.Connection) -> str:
    """Return the SHA-256 over `about` and `payload_list`: what is read when a bundle is opened."""
    about = "SELECT name, value FROM about WHERE name != 'catalogue_sha256' ORDER BY name"
    lists = "SELECT * FROM payload_list ORDER BY list"
    return _of_rows([*connection.execute(about), *connection.execute(lists)])


def payloads_digest(connection: sqlite3.Connection) -> str:
    """Return the SHA-256 over which payloads are inside."""
    return _of_rows(connection.execute("SELECT payload, digest, size FROM payload ORDER BY 1"))


def _of_rows(rows: Iterable[Sequence[Any]]) -> str:
    total = hashlib.sha256()
    for row in rows:  # of a damaged file anything may come: `repr` tells it apart too
        total.update(_written(row).encode() + b"\n")
    return total.hexdigest()
