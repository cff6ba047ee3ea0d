"""A copy of the view as it stands, for as long as somebody needs it: one at a time in a pod.

It lies beside the view. What a killed process left of one is removed when the next is made, and
when a worker begins to follow the ledger.
"""

from __future__ import annotations

import fcntl
import shutil
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from datastore_logic.errors import CopyFailed, CopyUnderWay, ScratchFull, ViewBuilding
from datastore_logic.view.database import read_position, remove

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from datastore_logic.view.database import Database, Position

SPARE: Final = 2
"""As many times the view must fit on the disk: slices and its journal live there, too."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of a complete view, where it stands, and its size in bytes."""

    path: Path
    position: Position
    bytes: int


class Copies:
    """Copies of the view at one path. Constructing it touches no disk."""

    def __init__(self, database: Database, view: Path) -> None:
        self._database, self._view = database, view
        self._path = view.with_name(f"{view.name}.copy")

    @contextmanager
    def one(self) -> Iterator[Copy]:
        """Make a copy and yield it; afterwards it is removed.

        Raises:
            CopyUnderWay: another is being made.
            ScratchFull: there is no room for it.
            CopyFailed: it cannot be made.
            ViewBuilding: there is no complete view.
        """
        with self._alone():
            remove(self._path)
            try:
                yield self._made()
            finally:
                remove(self._path)

    def sweep(self) -> None:
        """Remove what was left of one when its process was killed; nothing if one is being made."""
        try:
            with self._alone():
                remove(self._path)
        except CopyUnderWay:
            return

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._path.with_name(f"{self._path.name}.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as reason:
                raise CopyUnderWay from reason
            yield

    def _made(self) -> Copy:
        self._refuse_without_room()
        try:
            self._database.copy(self._path)
            with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
                position = _cleaned(connection)
        except (sqlite3.Error, OSError) as reason:
            if getattr(reason, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                raise ScratchFull from reason
            raise CopyFailed(f"The view cannot be copied: {reason}") from reason
        return Copy(self._path, position, self._path.stat().st_size)

    def _refuse_without_room(self) -> None:
        try:
            needed = SPARE * self._view.stat().st_size
        except FileNotFoundError as reason:
            raise ViewBuilding("The view is not there yet; ask again shortly.") from reason
        if shutil.disk_usage(self._path.parent).free < needed:
            raise ScratchFull


def _cleaned(connection: sqlite3.Connection) -> Position:
    """Return where a copy stands, having cleared it of what was of its pod alone."""
    position = read_position(connection)
    if not position.complete or not position.ledger:
        raise ViewBuilding("The view is being built from the ledger; ask again shortly.")
    connection.execute("PRAGMA journal_mode = WAL")  # as a view is; its header tells
    connection.execute(
        "UPDATE position SET head_lsn = applied_lsn, target_lsn = applied_lsn, halted = NULL"
    )
    connection.execute(
        "UPDATE link SET reachable = 0, since = '', started_lsn = NULL, checkpoint_lsn = 0"
    )
    return position
