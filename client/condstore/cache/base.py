"""One SQLite file in a folder, shared by processes, that may be thrown away at any time.

It never waits for the disk (`synchronous=OFF`): what is read from it must carry a checksum of its
own. A file that SQLite calls damaged is removed and another begun under a new random name; who
still has the old one open works on in it, and when he closes it, SQLite removes *its* side files
by name, which must not be those of the new one. Whatever cannot be done now is not done.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import sqlite3
import stat
import threading
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from condstore.cache.counts import Counts
    from condstore.cache.folder import Folder
    from condstore.cache.troubles import Troubles

T = TypeVar("T")

_FILE: Final = re.compile(r"(answers-[0-9a-f]{8}\.sqlite)(?:-wal|-shm)?")
_SIDES: Final = ("", "-wal", "-shm")
_LOCK: Final = "answers"
_PATIENCE: Final = 5.0  # seconds, for one who opens the file
_BUSY: Final = 2.0  # seconds, for one who writes into it
_PAGE: Final = 4096
_SETTINGS: Final = """
PRAGMA synchronous = OFF;
PRAGMA journal_mode = WAL;
PRAGMA journal_size_limit = 1048576;
PRAGMA wal_autocheckpoint = 256;
PRAGMA max_page_count = {pages};
"""
_NOT_NOW: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_DAMAGED: Final = frozenset(
    {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_ERROR}
)


class _Open:
    """The connection of one process: SQLite's must not be used by a forked child."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.lock = threading.Lock()
        self.connection: sqlite3.Connection | None = None
        self.name = ""


class Base:
    """The file with this schema, of at most `limit` bytes; threads take turns."""

    def __init__(
        self, folder: Folder, limit: int, schema: str, counts: Counts, troubles: Troubles
    ) -> None:
        self._folder = folder
        self._script = _SETTINGS.format(pages=limit // _PAGE) + schema
        self._counts = counts
        self._troubles = troubles
        self._open = _Open()
        self._inherited: list[_Open] = []  # never used, and never closed from here

    def tried(self, act: Callable[[sqlite3.Connection], T]) -> T | None:
        """Return what `act` does with the file; None if that cannot be done."""
        mine = self._mine()
        with mine.lock:
            try:
                return act(self._connected(mine))
            except sqlite3.Error as error:
                self._mend(mine, error)
            except OSError as error:
                self._troubles.tell(error)
        return None

    def size(self) -> int:
        """Return the bytes of disk that it takes, side files included; may raise `OSError`."""
        files = self._folder.files("")
        return sum(facts.st_size for name, facts in files if _FILE.fullmatch(name))

    def close(self) -> None:
        """Close the file; it opens again if it is used again."""
        mine = self._mine()
        with mine.lock:
            _close(mine)

    def _mine(self) -> _Open:
        if self._open.process != os.getpid():
            self._inherited.append(self._open)
            self._open = _Open()
        return self._open

    def _mend(self, mine: _Open, error: sqlite3.Error) -> None:
        """Begin another file in place of a damaged one; of any other failure only tell."""
        code = code_of(error)
        if code in _NOT_NOW:
            self._counts.add("uncached")
        elif code in _DAMAGED and mine.name:
            self._counts.add("damaged")
            self._remove(mine)
        else:
            self._troubles.tell(error)

    def _remove(self, mine: _Open) -> None:
        name = mine.name
        _close(mine)
        try:
            with self._folder.locked(_LOCK, _PATIENCE):
                for side in _SIDES:
                    self._folder.unlink("", name + side)
        except OSError as error:
            self._troubles.tell(error)

    def _connected(self, mine: _Open) -> sqlite3.Connection:
        """Open the file that is there, or begin one; one process at a time."""
        if mine.connection is None:
            with self._folder.locked(_LOCK, _PATIENCE):
                mine.name = self._chosen()
                self._check_path()
                mine.connection = sqlite3.connect(
                    self._folder.path / mine.name,
                    timeout=_BUSY,
                    isolation_level=None,
                    check_same_thread=False,
                )
                self._check_path()
                mine.connection.executescript(self._script)
        return mine.connection

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

    def _check_path(self) -> None:
        """SQLite goes by the path: see that it leads to the folder that was found to be ours."""
        if not self._folder.is_at_its_path():
            raise PermissionError(f"{self._folder.path} was moved or replaced")


def code_of(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def _close(mine: _Open) -> None:
    if mine.connection is not None:
        with contextlib.suppress(sqlite3.Error):
            mine.connection.close()
    mine.connection, mine.name = None, ""
