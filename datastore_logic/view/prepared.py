"""What this process has been asked about, so that the next answer costs less.

SQLite answers first. A content that is asked about again and does not change gets slices: a small
one here in memory, a large one from a file, which another process is asked to make. What was
found out about a name is forgotten as soon as its tag is touched.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from math import inf
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Final

from datastore_logic.view.contents import find_content, refuse_unseen
from datastore_logic.view.editions import edition, slices_of
from datastore_logic.view.iovs import rows_between
from datastore_logic.view.slices import Damaged, Slices
from datastore_logic.view.standing import look_up
from datastore_logic.watch import unwatched

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from datastore_logic.domain.moment import Moment
    from datastore_logic.domain.tags import TagRef
    from datastore_logic.view.contents import Content
    from datastore_logic.view.database import Snapshot
    from datastore_logic.view.slice_files import SliceFiles
    from datastore_logic.view.standing import Standing
    from datastore_logic.watch import Cache

    Ask = Callable[[TagRef, str], None]
    """Have slices made of the edition that a reference names."""

    _Key = tuple[TagRef, int]
    """What is asked for; of which tag, where that depends on who asks."""

REMEMBERED: Final = 64
"""References that are remembered; each may hold the slices of a small content."""

SMALL: Final = 4096
"""IOVs of a content whose slices are kept in memory; to make them takes some milliseconds."""

WORTH_MEMORY: Final = 16
WORTH_A_FILE: Final = 5000
"""For so many IOVs it must have been asked once, until slices of them are worth their making."""

LOOK_AGAIN: Final = 1.0
"""Seconds until it is looked for a file again."""

NOTE_USE: Final = 1000
"""Answers from a file until it is noted again that the file is in use."""

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Known:
    """A reference: what it named while `mark` was the same, and what there is to answer from.

    Of the view's `generation` it is known that the mark was the same.
    """

    key: _Key
    ref: TagRef
    mark: tuple[object, ...]
    content: Content
    rows: int
    generation: int | None
    asked: int = 0
    used: float = inf
    edition: str = ""
    slices: Slices | None = None
    look_at: float = 0.0


class Prepared:
    """The contents that one process knows; any number of threads may ask.

    Without `files` only small contents get slices; without `ask` nobody is asked to make files.
    """

    def __init__(
        self,
        files: SliceFiles | None = None,
        ask: Ask | None = None,
        watch: Cache = unwatched,
    ) -> None:
        self._watch = watch
        self._files = files
        self._ask = ask
        self._known: dict[_Key, _Known] = {}
        self._lock = Lock()

    def standing(self, snapshot: Snapshot, ref: TagRef, moment: Moment) -> tuple[Content, Standing]:
        """Return what a reference names, and what stands there at a moment.

        Not for TAG@<lsn>. The content's `lsn` is of when it was first looked at.

        What a name names is the same for all who may see it. A fingerprint may be of several tags
        that had the name, or of one that is called otherwise by now: so who does not see everything
        is answered from what is known of the first that they see, which the view is asked for.

        Raises:
            NotFound: no such tag that the caller may see, or it never had that fingerprint.
        """
        refuse_unseen(snapshot, ref)
        key: _Key = (ref, 0)
        if snapshot.sight is not None and ref.fingerprint is not None:
            key = (ref, find_content(snapshot, ref).tag.id)
        known = self._recalled(snapshot, key)
        slices = known.slices or self._slices(snapshot, known)
        self._watch("slices", hit=slices is not None)
        if slices is None:
            return known.content, look_up(snapshot.connection, known.content, moment)
        try:
            return known.content, slices.at(moment)
        except Damaged as reason:
            self._forsake(known, reason)
            return self.standing(snapshot, ref, moment)

    def _recalled(self, snapshot: Snapshot, key: _Key) -> _Known:
        """Return what is known of a reference in this very state.

        The view's file is left alone only if nothing at all was written since, and slices answer.
        """
        known = self._known.get(key)
        is_current = (
            known is not None
            and known.slices is not None
            and known.generation is not None
            and known.generation == snapshot.generation
        )
        self._watch("prepared", hit=is_current)
        if known is None or not is_current:
            known = _found_out(snapshot, key, known)
            self._remember(known)
        known.asked += 1
        known.used = monotonic()
        if self._files is not None and known.edition and known.asked % NOTE_USE == 0:
            self._files.note_use(known.edition)
        return known

    def _remember(self, known: _Known) -> None:
        """Keep what is known, and forget what was asked for longest ago.

        Only here is a lock taken: one that each answer takes makes threads wait in line.
        """
        with self._lock:
            self._known[known.key] = known
            if len(self._known) > REMEMBERED:
                del self._known[min(self._known.values(), key=lambda each: each.used).key]

    def _slices(self, snapshot: Snapshot, known: _Known) -> Slices | None:
        """Return slices if there are any by now."""
        if known.rows > SMALL:
            return self._from_file(snapshot, known)
        if known.asked > 1 and known.rows <= known.asked * WORTH_MEMORY and known.content.lists:
            known.slices = _in_memory(snapshot, known.content)
        return known.slices

    def _from_file(self, snapshot: Snapshot, known: _Known) -> Slices | None:
        now = monotonic()
        if self._files is None or now < known.look_at:
            return None
        known.look_at = now + LOOK_AGAIN
        known.edition = known.edition or edition(snapshot, known.content)
        known.slices = self._files.open(known.edition)
        if known.slices is None and known.rows <= known.asked * WORTH_A_FILE and self._ask:
            self._ask(known.ref, known.edition)
        return known.slices

    def _forsake(self, known: _Known, reason: Damaged) -> None:
        log.error("the slices of %s are of no use: %s", known.ref, reason)
        known.slices, known.look_at = None, inf
        if self._files is not None and known.edition:
            self._files.delete(known.edition)


def _found_out(snapshot: Snapshot, key: _Key, known: _Known | None) -> _Known:
    """Return what was known, if nothing has touched the tag since, else what there is now."""
    ref, _ = key
    mark = _mark(snapshot.connection, snapshot.position.ledger, ref)
    if known is not None and known.mark == mark:
        known.generation = snapshot.generation
        return known
    content = find_content(snapshot, ref)
    rows = sum(held.iov_count or 0 for held in content.lists)
    return _Known(key, ref, mark, content, rows, snapshot.generation)


def _mark(connection: sqlite3.Connection, ledger: str, ref: TagRef) -> tuple[object, ...]:
    """Return what stays the same for as long as the reference names the same rows."""
    if ref.fingerprint is not None:
        return (ledger,)
    query = "SELECT id, lsn FROM global_tag WHERE name = ?"
    return ledger, connection.execute(query, (ref.name,)).fetchone()


def _in_memory(snapshot: Snapshot, content: Content) -> Slices:
    made = b"".join(slices_of(content, "", lambda held: rows_between(snapshot, held, None, None)))
    return Slices(lambda at, length: made[at : at + length], len(made))
