"""Copy the view and pack the copy, in a process of its own and at the lowest priority.

In a worker's thread it would take the interpreter from those that answer, and when a thread of a
lower priority has it they all wait. On its standard output it first tells in one line where the
copy stands, or what it is refused for, then writes the packed bytes. It ends when the worker does.
"""

from __future__ import annotations

import logging
import sqlite3
import sys
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import orjson

from datastore_logic.domain.tags import TagName
from datastore_logic.errors import CopyFailed, LogicError, ScratchFull, ViewBuilding
from datastore_logic.view.apart import give_way
from datastore_logic.view.database import Database, is_of_the_machine, read_position
from datastore_logic.view.packing import packed
from datastore_logic.view.soundness import Unsound, refuse_damaged, refuse_unsound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datastore_logic.view.database import Position

NICENESS: Final = 19
"""Nobody waits for a checkpoint but who asked for it."""

log = logging.getLogger(__name__)

REFUSALS: Final = (ScratchFull, CopyFailed, ViewBuilding)


@dataclass(frozen=True, slots=True)
class Copied:
    """Which ledger a copy reflects, how far, for which stream tag, and its size in bytes."""

    ledger: str
    lsn: int
    hash: str
    stream_tag: str
    bytes: int


def copied(database: Database, to: Path) -> Copied:
    """Copy a complete view as it stands, without what is of its pod alone; see that it is sound.

    Raises:
        ScratchFull: there is no room.
        CopyFailed: it cannot be written, or is not what a view must be.
        ViewBuilding: there is no complete view, or it was damaged.
    """
    try:
        database.copy(to)
        with closing(sqlite3.connect(to, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = OFF")  # it is read at once, and removed
            position = _clean_and_sound(connection, database)
    except (sqlite3.Error, OSError) as reason:
        if getattr(reason, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            raise ScratchFull from reason
        raise CopyFailed(f"The view cannot be copied: {reason}") from reason
    at = (position.ledger, position.applied_lsn, position.hash, position.stream_tag)
    return Copied(*at, to.stat().st_size)


def _clean_and_sound(copy: sqlite3.Connection, database: Database) -> Position:
    """Clean a copy and return where it stands, if it is what a view must be.

    Who begins with one that is not would have that, too.

    Raises:
        ViewBuilding: it is not complete, or the view itself is damaged and is begun again.
        CopyFailed: something else is wrong; the view is left to who looks after it.
    """
    try:
        refuse_damaged(copy)
        position = read_position(copy)
        if not position.complete or not position.ledger:
            raise ViewBuilding("The view is being built from the ledger; ask again shortly.")
        _clean(copy)
        refuse_unsound(copy)
    except (Unsound, sqlite3.DatabaseError, UnicodeDecodeError) as reason:
        if is_of_the_machine(reason):
            raise
        database.refuse_damaged()
        log.error("no checkpoint is made, the copy of the view is not sound: %s", reason)  # noqa: TRY400 - no bug of ours
        raise CopyFailed(f"The copy of the view is not sound: {reason}") from reason
    return position


def _clean(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")  # as a view is; its header tells
    connection.execute(
        "UPDATE position SET head_lsn = applied_lsn, target_lsn = applied_lsn, halted = NULL"
    )
    connection.execute(
        "UPDATE link SET reachable = 0, since = '', started_lsn = NULL, checkpoint_lsn = 0"
    )


def main(arguments: Sequence[str]) -> int:
    """Copy the view that the arguments name to the file they name, and write it out, packed."""
    log_format, view, stream_tag, to = arguments
    give_way(NICENESS, log_format)
    return write(Database(Path(view), TagName(stream_tag)), Path(to), sys.stdout.buffer)


def write(database: Database, to: Path, out: IO[bytes]) -> int:
    """Copy a view to a file, and write that out, packed; return 0 if it is all there."""
    try:
        out.write(orjson.dumps({"copied": asdict(copied(database, to))}) + b"\n")
    except REFUSALS as reason:
        out.write(orjson.dumps({"refused": reason.code, "detail": str(reason)}) + b"\n")
        return 1
    for piece in packed(to):
        out.write(piece)
        out.flush()
    return 0


def refusal(code: str, detail: str) -> LogicError:
    """Return what a process was refused for, of which only code and words are known."""
    return next((kind(detail) for kind in REFUSALS if kind.code == code), CopyFailed(detail))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
