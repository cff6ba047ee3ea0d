"""Keep the view up with the ledger: fetch what follows, check the chain, apply it.

Any thread of any worker may do it at any time; what another has applied meanwhile is skipped.
Threads of one worker that wait for an LSN share one fetch.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from time import monotonic
from typing import TYPE_CHECKING, Final

from datastore_logic.domain.errors import BadEvent, LedgerEntryError, UnknownEvent
from datastore_logic.errors import (
    BrokenChain,
    DatabufferError,
    LsnBeyondHead,
    ViewBuilding,
    ViewError,
)
from datastore_logic.view.apply import apply_entry
from datastore_logic.view.database import is_of_the_machine, read_position
from datastore_logic.view.entries import Context, read_entry

if TYPE_CHECKING:
    from typing import Protocol

    from datastore_logic.databuffer.answers import Entries, Head
    from datastore_logic.domain.tags import TagName
    from datastore_logic.view.acknowledged import Acknowledged
    from datastore_logic.view.database import Database, Position

    class Ledger(Protocol):
        """The two reads of the ledger that following it needs."""

        def head(self) -> Head:
            """Return which ledger it is and how far it goes."""

        def entries(self, after: int, *, limit: int = ..., wait: int = ...) -> Entries:
            """Return what follows an LSN; raise LsnBeyondHead where the ledger ends before it."""


BATCH: Final = 10_000

log = logging.getLogger(__name__)


class Replica:
    """A view, the ledger it follows, and the threads of this process that wait for it."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        stream_tag: TagName,
        acknowledged: Acknowledged,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._acknowledged = acknowledged
        self._stream_tag = stream_tag
        self._turn = threading.Condition()
        self._pulling = False
        self._applied = 0

    def wait_for(self, lsn: int, timeout: float) -> bool:
        """Return True once the view has applied `lsn`, False if it does not within `timeout` s.

        What the ledger has not got to is not waited for: callers ask for what they were told, and
        whoever makes a number up would hold a thread of this tier.
        """
        deadline = monotonic() + timeout
        self._look()
        while not self._reached(lsn, deadline):
            try:
                position = self.pull(wanted=lsn)
            except (DatabufferError, ViewError, sqlite3.Error) as reason:
                log.warning("the view cannot reach LSN %d now: %s", lsn, reason)
                return False
            finally:
                self._hand_on()
            if position.halted is not None or position.head_lsn < lsn:
                break
        return self._applied >= lsn

    def pull(self, wait: int = 0, wanted: int | None = None) -> Position:
        """Apply what follows, waiting up to `wait` seconds for it; return where the view is then.

        Nothing is asked for if the LSN `wanted` is there already: another process applied it.

        Raises:
            DatabufferError: the databuffer did not answer.
        """
        position = self._known_position()
        if position.halted is None and not (wanted and position.applied_lsn >= wanted):
            try:
                entries = self._ledger.entries(position.applied_lsn, limit=BATCH, wait=wait)
            except LsnBeyondHead:
                self._begin_again(position, "the ledger ends before what was applied")
            else:
                self._take(position, entries)
            position = self._database.position()
        with self._turn:
            self._applied = position.applied_lsn
            self._turn.notify_all()
        return position

    def greet(self) -> None:
        """Compare the view with the ledger's head, and note the head as what to catch up with.

        An entry that an older version could not apply is tried again.

        Raises:
            DatabufferError: the databuffer did not answer.
        """
        self._database.prepare()
        position = self._known_position()
        head = self._ledger.head()
        if head.ledger != position.ledger or head.lsn < position.applied_lsn:
            self._begin_again(position, f"the ledger is now {head.ledger}", head)
        elif head.lsn == position.applied_lsn and head.hash != position.hash:
            self._begin_again(position, f"LSN {head.lsn} is not as it was", head)
        with self._database.applying() as view:
            view.execute(
                "UPDATE position SET halted = NULL, target_lsn = ?, head_lsn = ?,"
                " complete = complete OR applied_lsn >= ?",
                (head.lsn, head.lsn, head.lsn),
            )

    # ----------------------------------------------------------------------------------------

    def _look(self) -> None:
        """See how far the view is now: another process may have begun it again, on a new ledger."""
        try:
            applied = self._database.position().applied_lsn
        except (ViewError, sqlite3.Error):
            applied = 0
        with self._turn:
            self._applied = applied

    def _reached(self, lsn: int, deadline: float) -> bool:
        """Wait for whoever pulls; True if `lsn` is applied or time is up, False: pull yourself."""
        with self._turn:
            while self._pulling and self._applied < lsn:
                if not self._turn.wait(max(0.0, deadline - monotonic())):
                    break
            if self._applied >= lsn or monotonic() >= deadline:
                return True
            self._pulling = True
            return False

    def _hand_on(self) -> None:
        with self._turn:
            self._pulling = False
            self._turn.notify_all()

    def _known_position(self) -> Position:
        """Return where the view stands; make it, and say which ledger it is of, if need be."""
        try:
            position = self._database.position()
        except (ViewBuilding, sqlite3.DatabaseError):
            self._database.prepare()
            position = self._database.position()
        if not position.ledger:
            self._begin(self._ledger.head())
            position = self._database.position()
        return position

    def _begin(self, head: Head) -> None:
        """Say which ledger an empty view is of; it is complete once it reaches this head."""
        with self._database.applying() as view:
            view.execute(
                "UPDATE position SET ledger = ?, target_lsn = ?, head_lsn = ?, complete = ?"
                " WHERE ledger = ''",
                (head.ledger, head.lsn, head.lsn, head.lsn == 0),
            )

    def _begin_again(
        self, seen: Position, reason: object, head: Head | None = None, *, misled: bool = False
    ) -> None:
        log.warning("rebuilding the view, which was at LSN %d: %s", seen.applied_lsn, reason)
        self._database.discard(seen, misled=misled)
        self._acknowledged.forget()
        self._begin(head or self._ledger.head())

    def _take(self, position: Position, entries: Entries) -> None:
        """Apply fetched lines; begin again if they are not of the ledger that was known."""
        if entries.head.ledger != position.ledger:
            self._begin_again(position, f"the ledger is now {entries.head.ledger}")
            return
        if not entries.lines:
            return
        try:
            self._apply(position.applied_lsn, entries)
        except BrokenChain as reason:
            began = position.started_lsn == position.applied_lsn
            if position.complete or began:
                self._begin_again(position, reason, misled=began)
            else:  # it was just begun again: reading the same ledger once more mends nothing
                self._halt(position.applied_lsn, reason)

    def _apply(self, after: int, entries: Entries, upto: int | None = None) -> None:
        """Apply the lines in one transaction; one that cannot be applied stops the view there.

        But where that may be for the checkpoint that it began with, it begins again without it.
        """
        done, position = after, None
        try:
            with self._database.applying() as view:
                position = read_position(view)
                skip = position.applied_lsn - after
                if position.ledger != entries.head.ledger or skip < 0:
                    return  # another process has begun again meanwhile
                done, last_hash = position.applied_lsn, position.hash
                context = Context(view, self._stream_tag)
                for line in entries.lines[skip:upto]:
                    entry = read_entry(line, done, last_hash)
                    apply_entry(context, entry)
                    done, last_hash = entry.lsn, entry.hash
                view.execute(
                    "UPDATE position SET applied_lsn = ?, hash = ?, head_lsn = ?,"
                    " complete = complete OR ? >= target_lsn",
                    (done, last_hash, max(done, entries.head.lsn), done),
                )
        except (LedgerEntryError, sqlite3.IntegrityError, sqlite3.OperationalError) as reason:
            if position is not None and _is_misled(position, reason):
                self._begin_again(position, reason, misled=True)
                return
            if isinstance(reason, sqlite3.OperationalError):
                raise
            self._apply(after, entries, upto=done - after)
            self._halt(done, reason)

    def _halt(self, at: int, reason: Exception) -> None:
        code = getattr(reason, "code", BadEvent.code)
        log.error("the view stops at LSN %d (%s): %s", at, code, reason)
        with self._database.applying() as view:
            view.execute(
                "UPDATE position SET halted = ? WHERE applied_lsn = ?",
                (f"LSN {at + 1}: {reason}", at),
            )


def _is_misled(position: Position, reason: Exception) -> bool:
    """Whether an entry may be refused for the checkpoint that the view began with.

    Only until it has been complete: afterwards it goes on to answer what it knows. An entry of a
    newer version is refused by every view, and by a full disk each.
    """
    if position.started_lsn is None or position.complete:
        return False
    return not (isinstance(reason, UnknownEvent) or is_of_the_machine(reason))
