"""Writing a bundle: beside its name, synced, and named only when it is whole."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import sqlite3
from typing import IO, TYPE_CHECKING, Any, Final

from condstore import landing
from condstore.bundle import about as told
from condstore.bundle import format as layout
from condstore.bundle.slices import slices
from condstore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from condstore.bundle.about import About
    from condstore.bundle.fingerprint import Exact

_INSERT: Final = "INSERT INTO {} VALUES ({})"
_WIDTH: Final = len(layout.ROW.split(", ")) + 1
_STAGE: Final = _INSERT.format("staged", ", ".join("?" * _WIDTH))
_KEEP: Final = _INSERT.format("iov", ", ".join("?" * (_WIDTH + 1)))
_SEGMENT: Final = _INSERT.format("segment", ", ".join("?" * 9))


class Writer:
    """A bundle in the making, in a file that is not yet called by its name.

    Rows are staged list by list and cut into slices when all are there.
    """

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None)
        for pragma in (
            f"page_size={layout.PAGE_SIZE}",
            f"application_id={layout.APPLICATION_ID}",
            f"user_version={layout.VERSION}",
            "journal_mode=OFF",  # until it has its name nobody needs it whole
            "synchronous=OFF",  # it is synced once, at the end
        ):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute("BEGIN")
        for statement in (*layout.SCHEMA, layout.STAGED):
            self._connection.execute(statement)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def stage(self, rows: Iterable[tuple[Any, ...]]) -> int:
        """Take rows, `format.ROW` each, and return how many."""
        seal = layout.seal
        return self._connection.executemany(_STAGE, ((*row, seal(row)) for row in rows)).rowcount

    def keep_segments(self, number: int, segments: Iterable[Exact]) -> None:
        """Keep what a streamed list's fingerprint is over."""
        rows = ((number, at, *segment) for at, segment in enumerate(segments))
        self._connection.executemany(_SEGMENT, rows)

    def staged(self, number: int) -> Iterator[Exact]:
        """Yield the staged rows of a list that have a payload, by their start."""
        query = (
            "SELECT start_major, start_minor, end_major, end_minor, name, checksum, digest"
            " FROM staged WHERE list = ? AND name IS NOT NULL ORDER BY start_major, start_minor"
        )
        return self._connection.execute(query, (number,))

    def digests(self) -> Iterator[str]:
        """Yield the digests of the staged payloads, each once, in order."""
        query = "SELECT DISTINCT digest FROM staged WHERE digest IS NOT NULL ORDER BY digest"
        return (digest for (digest,) in self._connection.execute(query))

    def keep_payload(self, digest: str, file: IO[bytes]) -> int:
        """Take the bytes of a payload, piece by piece, and return how many."""
        insert = "INSERT INTO payload (digest, size) VALUES (?, 0)"
        payload, size, part = self._connection.execute(insert, (digest,)).lastrowid, 0, 0
        while piece := file.read(layout.PIECE):
            self._connection.execute("INSERT INTO piece VALUES (?, ?, ?)", (payload, part, piece))
            size, part = size + len(piece), part + 1
        self._connection.execute("UPDATE payload SET size = ? WHERE payload = ?", (size, payload))
        return size

    def finish(self, about: About) -> None:
        """Cut the slices, say what it is, and seal it."""
        self._cut(len(about.content.payload_lists))
        told.write(self._connection, about)
        counted = (
            "INSERT INTO about SELECT 'payload_iovs', count(*) FROM staged WHERE name IS NOT NULL"
        )
        self._connection.execute(counted)
        for name, digest in (
            ("payloads_sha256", layout.payloads_digest),
            ("catalogue_sha256", layout.catalogue_digest),
        ):
            row = (name, digest(self._connection))
            self._connection.execute("INSERT INTO about VALUES (?, ?)", row)
        self._connection.execute("COMMIT")

    def _cut(self, lists: int) -> None:
        ordered = self._connection.execute(
            f"SELECT {layout.ROW}, seal FROM staged ORDER BY start_major, start_minor, list"  # noqa: S608
        )
        for number, part in enumerate(slices(ordered, lists), 1):
            self._connection.execute("INSERT INTO slice VALUES (?, ?, ?)", (*part.start, number))
            self._connection.executemany(_KEEP, ((number, *row) for row in part.rows))


@contextlib.contextmanager
def unnamed(path: Path, *, force: bool) -> Iterator[Path]:
    """Give a new file beside `path`, which becomes `path` when all went well, else is gone.

    What pulls that were killed left behind is cleared away first.

    Raises:
        FileExistsError: not forced, another came to have that name meanwhile.
        OSError: it could not be written.
        UsageError: there is no such directory.
    """
    if not path.parent.is_dir():
        raise UsageError(f"there is no directory {path.parent} to write {path.name} into")
    _sweep(path)
    number, part = _begun(path)
    try:
        yield part
        _seal(part)
        _name(part, path, force=force)
        landing.sync_directory(path.parent)
    except sqlite3.Error as error:
        raise OSError(f"{path} could not be written: {error}") from error
    finally:
        os.close(number)
        part.unlink(missing_ok=True)


def _begun(path: Path) -> tuple[int, Path]:
    """Make a file beside `path` and lock it; once more if a sweep came in between."""
    while True:
        number, part = landing.made_beside(path, "part")
        with contextlib.suppress(FileNotFoundError):
            fcntl.flock(number, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(number), part.stat()):
                return number, part
        os.close(number)


def _sweep(path: Path) -> None:
    """Remove the files of pulls of that name which nobody is writing."""
    for part in path.parent.glob(f".{_literal(path.name)}.*.part"):
        with contextlib.suppress(OSError), part.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.unlink()


def _literal(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "[*?" else letter for letter in name)


def _seal(part: Path) -> None:
    """Append the last line, and sync."""
    with part.open("r+b") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0, os.SEEK_END)
        file.write(layout.trailer(digest))
        file.flush()
        os.fsync(file.fileno())


def _name(part: Path, path: Path, *, force: bool) -> None:
    """Give the file its name, in place of another one only with force."""
    if not force:
        try:
            path.hardlink_to(part)
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            if path.exists():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path) from None
        else:
            return
    part.replace(path)
