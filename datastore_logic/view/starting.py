"""Begin a view with a checkpoint, where there is one that fits: seconds instead of a long ledger.

Only for a view that is being built: it answers nothing yet, so nothing it said is taken back. A
complete view that is behind goes on by the ledger, however far: it answers meanwhile, and nobody
knows from the number of entries what they weigh.

What the databuffer's document says is compared with the ledger before anything is fetched: the next
entry, or the head, must name the hash that the checkpoint has at its LSN. Then the copy's bytes are
hashed while they are unpacked beside the view, never further than the document says; and what comes
out must have our tables and stand at that LSN. Whatever is wrong, the view is built from the ledger
as if there had been no checkpoint, and one line in the log says why. It is tried once until a view
has been complete, and one that is spoilt, or that a damaged view began with, is never taken again
(view/origin.py): so nobody goes around in circles with a checkpoint that leads nowhere.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
from contextlib import closing
from time import monotonic
from typing import TYPE_CHECKING, Final

from urllib3.exceptions import HTTPError

from datastore_logic.errors import BrokenChain, DatabufferError, ViewBuilding
from datastore_logic.view.checkpoint import DOCUMENT, Checkpoint, Spoilt, Unfit
from datastore_logic.view.database import (
    SCHEMA_VERSION,
    is_of_the_machine,
    read_position,
    remove,
    schema,
)
from datastore_logic.view.entries import linked
from datastore_logic.view.packing import unpack

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Protocol

    from urllib3.response import BaseHTTPResponse

    from datastore_logic.databuffer.answers import Document, Entries, Head
    from datastore_logic.domain.tags import Digest, TagName
    from datastore_logic.view.database import Database, Position

    class Store(Protocol):
        """What is needed of the databuffer."""

        def head(self) -> Head:
            """Return which ledger it is and how far it goes."""

        def entries(self, after: int, *, limit: int = ..., wait: int = ...) -> Entries:
            """Return what follows an LSN."""

        def get_state(self, name: str) -> Document | None:
            """Return a document, None if there is none."""

        def open_blob(
            self, method: str, digest: Digest, headers: dict[str, str]
        ) -> BaseHTTPResponse:
            """Return the open answer with a blob's bytes."""


SPARE: Final = 2
"""As many times what comes out must fit on the disk: slices and the view's journal live there."""

REASONS: Final = (
    *(Unfit, DatabufferError, ViewBuilding, HTTPError, OSError, sqlite3.Error),
    UnicodeDecodeError,  # of what SQLite has to say about a damaged file
)
"""Why there is no beginning with a checkpoint, none of which is an error."""

_TABLES: Final = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"

log = logging.getLogger(__name__)


class Starting:
    """Takes a checkpoint for the view at one path, if one is wanted. Constructing does nothing."""

    def __init__(
        self, database: Database, store: Store, stream_tag: TagName, view: Path, *, wanted: bool
    ) -> None:
        self._database, self._store, self._stream_tag = database, store, stream_tag
        self._taken = view.with_name(f"{view.name}.taken")
        self._wanted, self._tried = wanted, False

    def take(self) -> bool:
        """Have the view begin with a checkpoint if it is being built; return whether it does now.

        Whatever speaks against it is no error: the ledger has it all.
        """
        position = self._database.position()
        if position.complete or self._tried or not self._wanted:
            self._tried = self._tried and not position.complete
            return False
        self._tried, begun = True, monotonic()
        try:
            found = self._fitting(position)
            is_taken = self._fetched(found)
        except REASONS as reason:
            log.warning("the view is built from the ledger: %s", reason)
            return False
        if is_taken:
            megabytes, took = found.unpacked / 1e6, monotonic() - begun
            words = "the view begins with the checkpoint at LSN %d (%.1f MB, %.1f s)"
            log.info(words, found.lsn, megabytes, took)
        return is_taken

    def sweep(self) -> None:
        """Remove what was left of one that was being taken when its process was killed."""
        remove(self._taken)

    # ----------------------------------------------------------------------------------------

    def _fitting(self, position: Position) -> Checkpoint:
        """Return the checkpoint that brings the view on.

        Raises:
            Unfit: there is none.
            DatabufferError: nobody knows.
        """
        document = self._store.get_state(DOCUMENT)
        if document is None:
            raise Unfit("there is no checkpoint")
        found = Checkpoint.parse(document.content)
        if found.ledger != position.ledger:
            raise Unfit(f"the checkpoint is of another ledger, {found.ledger}")
        if not found.is_of(position.ledger, SCHEMA_VERSION, self._stream_tag):
            raise Unfit(f"the checkpoint is of schema {found.schema}, tag {found.stream_tag}")
        if found.lsn <= position.applied_lsn:
            raise Unfit(f"the checkpoint goes no further than the view, to LSN {found.lsn}")
        if self._database.distrusts(found):
            raise Unfit(f"the checkpoint at LSN {found.lsn} was found bad before")
        self._refuse_other_past(found)
        return found

    def _refuse_other_past(self, found: Checkpoint) -> None:
        """Refuse what is not on the ledger's chain of hashes.

        Raises:
            Unfit: the ledger ends before it, or has another entry at its LSN.
        """
        head = self._store.head()
        if head.ledger != found.ledger or head.lsn < found.lsn:
            raise Unfit(f"the checkpoint is at LSN {found.lsn}, the ledger at {head.lsn}")
        if head.lsn == found.lsn:
            fits = head.hash == found.hash
        else:
            lines = self._store.entries(found.lsn, limit=1).lines
            fits = bool(lines) and _follows(lines[0], found)
        if not fits:
            raise Unfit(f"the checkpoint is not of this ledger's LSN {found.lsn}")

    def _fetched(self, found: Checkpoint) -> bool:
        """Fetch a checkpoint and put it in the view's place; False if the view needs it no more."""
        self.sweep()
        try:
            self._download(found)
            self._prepare(found)
            return self._database.put(self._taken, found)
        except Spoilt:
            self._database.refuse(found)
            raise
        finally:
            self.sweep()

    def _download(self, found: Checkpoint) -> None:
        free = shutil.disk_usage(self._taken.parent).free
        if free < SPARE * found.unpacked:
            raise Unfit(f"the checkpoint has {found.unpacked} bytes, and only {free} are free")
        response = self._store.open_blob("GET", found.digest, {})
        with closing(response), self._taken.open("wb") as file:
            if response.status != 200:
                raise Unfit(f"the checkpoint cannot be had: the databuffer says {response.status}")
            unpack(response, file, found)
            file.flush()
            os.fsync(file.fileno())  # or a power cut leaves a view with holes that nobody notices

    def _prepare(self, found: Checkpoint) -> None:
        """See that it is what was said; have it answer nothing before it has reached the head.

        Raises:
            Spoilt: it is something else.
        """
        head = self._store.head()
        try:
            with closing(sqlite3.connect(self._taken, isolation_level=None)) as connection:
                _prepare(connection, found, head)
        except (sqlite3.DatabaseError, ViewBuilding, UnicodeDecodeError) as reason:
            if is_of_the_machine(reason):
                raise
            raise Spoilt(f"the checkpoint is damaged: {reason}") from reason


def _prepare(connection: sqlite3.Connection, found: Checkpoint, head: Head) -> None:
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA journal_mode = WAL")
    _refuse_other_tables(connection)
    if not _is_at(read_position(connection), found):
        raise Spoilt("the checkpoint does not hold what its document says")
    connection.execute(
        "UPDATE position SET halted = NULL, target_lsn = ?, head_lsn = ?,"
        " complete = applied_lsn >= ?",
        (head.lsn, head.lsn, head.lsn),
    )
    connection.execute(
        "UPDATE link SET reachable = 0, since = '', started_lsn = ?, checkpoint_lsn = ?",
        (found.lsn, found.lsn),
    )


def _follows(line: bytes, found: Checkpoint) -> bool:
    try:
        linked(line, found.lsn, found.hash)
    except BrokenChain:
        return False
    return True


def _refuse_other_tables(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    with closing(sqlite3.connect(":memory:")) as ours:
        ours.executescript(schema())
        expected = ours.execute(_TABLES).fetchall()
    if version != SCHEMA_VERSION or connection.execute(_TABLES).fetchall() != expected:
        raise Spoilt("the checkpoint has other tables than a view of this version")


def _is_at(position: Position, found: Checkpoint) -> bool:
    told = (position.ledger, position.applied_lsn, position.hash, position.stream_tag)
    return told == (found.ledger, found.lsn, found.hash, found.stream_tag)
