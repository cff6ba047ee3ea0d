"""Opening a bundle: read only, nothing locked, and nothing answered from a file that is damaged.

Small bundles are hashed whole. Of larger ones what is read at once is checked now, each row and
each payload when it is used; `condstore verify` reads everything.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from condstore.bundle import format as layout
from condstore.errors import DamagedBundle, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SMALL: Final = 8 << 20
"""Bundles of up to so many bytes are hashed whole whenever they are opened, in some 8 ms."""

_CACHE_KIB: Final = 32 << 10


def open_bundle(path: Path, *, small: int = SMALL) -> sqlite3.Connection:
    """Return a connection to a bundle of which the beginning has been checked.

    Raises:
        DamagedBundle: it is not what was written.
        UsageError: there is no such file, or it is something else, or of another version.
    """
    written = told_digest(path)
    if path.stat().st_size <= small:
        check_whole(path, written)
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1",
        uri=True,
        check_same_thread=False,
    )
    try:
        with reading(path):
            _check_beginning(path, connection)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def opened(path: Path, *, small: int = SMALL) -> Iterator[sqlite3.Connection]:
    """Give such a connection for a while."""
    with closing(open_bundle(path, small=small)) as connection, reading(path):
        yield connection


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever SQLite says of a file that is damaged into `DamagedBundle`, which names it."""
    try:
        yield
    except sqlite3.ProgrammingError as error:
        raise UsageError(f"{path} was closed ({error}); open it again") from error
    except (sqlite3.Error, UnicodeDecodeError, OverflowError) as error:
        raise damaged(path, f"SQLite says: {error}") from error


def damaged(path: Path, what: str) -> DamagedBundle:
    """Return the error that names the file, and what to do."""
    return DamagedBundle(f"{path} is damaged ({what}); copy it anew, or pull it again")


def told_digest(path: Path) -> str:
    """Return the SHA-256 that the last line tells of all before it."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # a pipe would hold us
            raise UsageError(f"{path} is no file; a bundle is one file")
        with path.open("rb") as file:
            magic = file.read(16)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - layout.TRAILER_SIZE))
            last = file.read()
    except FileNotFoundError as error:
        raise UsageError(f"there is no bundle {path}; `condstore pull` writes one") from error
    except IsADirectoryError as error:
        raise UsageError(f"{path} is a directory; a bundle is one file") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read ({_why(error)})") from error
    digest = last.decode("ascii", "replace").strip()[-64:]
    if last == layout.trailer(digest):
        return digest
    if magic == b"SQLite format 3\0" or last.startswith(layout.TRAILER[:20]):
        raise damaged(path, "its last line is missing or changed: was it copied whole?")
    raise UsageError(f"{path} is no condstore bundle")


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def check_whole(path: Path, told: str) -> None:
    """Raise `DamagedBundle` unless every byte is as it was written."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        left = path.stat().st_size - layout.TRAILER_SIZE
        while left > 0 and (read := file.read(min(left, 1 << 20))):
            total.update(read)
            left -= len(read)
    if total.hexdigest() != told:
        raise damaged(path, f"its bytes hash to {total.hexdigest()[:12]}, not to {told[:12]}")


def _check_beginning(path: Path, connection: sqlite3.Connection) -> None:
    # Not mapped: a file that is cut off while it is open must be an error, not a dead process.
    for pragma in (f"cache_size=-{_CACHE_KIB}", "mmap_size=0", "trusted_schema=OFF"):
        connection.execute(f"PRAGMA {pragma}")
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != layout.APPLICATION_ID:
        raise damaged(path, "its header is not a bundle's")
    if version != layout.VERSION:
        raise UsageError(
            f"{path} is a bundle of version {version}, this condstore reads version "
            f"{layout.VERSION}; use the condstore that wrote it, or pull it again"
        )
    schema = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid"
    if tuple(sql for (sql,) in connection.execute(schema)) != layout.SCHEMA:
        raise damaged(path, "its tables are not a bundle's")
    told = connection.execute("SELECT value FROM about WHERE name = 'catalogue_sha256'").fetchone()
    if told is None or told[0] != layout.catalogue_digest(connection):
        raise damaged(path, "what it says of itself does not add up")
