"""A directory that backups are taken into: one at a time, of one ledger and one history of it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from condstore.backup import record as records
from condstore.backup import unfinished
from condstore.backup.layout import LOCK, content
from condstore.backup.record import Record
from condstore.errors import WrongBackup

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from condstore.ledger import Head


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keep other backups out of a directory, which is made if need be, for its owner alone.

    Raises `WrongBackup` if it holds something else, or another backup into it is under way.
    """
    here = content(directory)
    known = {records.RECORD, unfinished.NAME} & {*here} or records.is_lost(directory)
    if here and not known and here != [LOCK]:
        raise WrongBackup(f"{directory} is not empty and holds no backup: give another directory")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    number = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise WrongBackup(f"another backup into {directory} is under way") from None
    else:
        yield
    finally:
        os.close(number)


def last(directory: Path, head: Head) -> Record:
    """Return the record of the last backup here, of nothing if there is none.

    Raises `WrongBackup` if it, or one that was begun, is of another ledger or of another history.
    """
    begun = unfinished.begun(directory)
    if (directory / records.RECORD).exists() or (not begun and records.is_lost(directory)):
        found = records.read(directory)
    else:
        found = Record(begun or head.ledger)
    refuse_unless_of(head, directory, found.ledger)
    refuse_unless_past_of(head, directory, found)
    return found


def refuse_unless_of(head: Head, directory: Path, ledger: str) -> None:
    """Raise `WrongBackup` unless the databuffer serves the ledger that is in a directory."""
    if ledger != head.ledger:
        raise WrongBackup(
            f"{directory} is a backup of ledger {ledger}, the databuffer serves ledger "
            f"{head.ledger} (was it restored?): give another directory"
        )


def refuse_unless_past_of(head: Head, directory: Path, found: Record) -> None:
    """Raise `WrongBackup` unless the databuffer may have all that is in a directory."""
    if head.lsn < found.lsn or (head.lsn == found.lsn and found.lsn and head.hash != found.hash):
        raise WrongBackup(
            f"{directory} holds ledger {found.ledger} up to LSN {found.lsn}, the databuffer has "
            f"another history of it up to LSN {head.lsn}: entries were lost there. Keep this "
            "backup, and find out what happened"
        )
