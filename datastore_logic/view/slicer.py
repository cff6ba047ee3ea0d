"""Make slices of large contents, in a process of its own and at a lower priority.

It reads the view page by page, so neither requests nor who applies entries ever wait for it, and it
ends when the worker that started it does. If the rows change meanwhile, its work is thrown away.
What it made is compared with the view before anybody else can find it.
"""

from __future__ import annotations

import logging
import random
import subprocess
import sys
import threading
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from datastore_logic.domain.moment import Moment
from datastore_logic.domain.tags import TagRef
from datastore_logic.errors import NotFound, ViewError
from datastore_logic.view.apart import command, give_way
from datastore_logic.view.contents import find_content
from datastore_logic.view.database import Database
from datastore_logic.view.editions import edition, slices_of
from datastore_logic.view.iovs import rows_between
from datastore_logic.view.slice_files import NoRoom, SliceFiles
from datastore_logic.view.slices import Damaged
from datastore_logic.view.standing import look_up

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Sequence

    from datastore_logic.logs import LogFormat
    from datastore_logic.view.contents import Content, ContentList
    from datastore_logic.view.database import Snapshot
    from datastore_logic.view.slices import Slices

PAGE: Final = 512
COMPARED: Final = 50
"""Moments at which finished slices are compared with the view."""

PAUSE: Final = 60.0
PAUSE_AFTER_FAILURE: Final = 600.0
"""Seconds until slices are made of a tag again."""

NICENESS: Final = 5
"""Requests go first; yet it must get on, for it is wanted most when there are most of them."""

log = logging.getLogger(__name__)


class MovedOn(Exception):
    """The reference names other rows by now."""


class Slicer:
    """Starts the process, one at a time, where slices are asked for. Constructing starts none."""

    def __init__(
        self, view: Path, stream_tag: str, folder: Path, most: int, log_format: LogFormat
    ) -> None:
        arguments = (view, stream_tag, folder, most)
        self._command = command("datastore_logic.view.slicer", log_format, *arguments)
        self._lock = threading.Lock()
        self._at_work = False
        self._not_before: dict[str, float] = {}

    def ask(self, ref: TagRef, wanted: str) -> None:
        """See that the edition which `ref` names is sliced, some time."""
        with self._lock:
            if self._at_work or monotonic() < self._not_before.get(str(ref), 0.0):
                return
            self._at_work = True
        threading.Thread(target=self._run, args=(str(ref), wanted), daemon=True).start()

    def _run(self, ref: str, wanted: str) -> None:
        try:
            # Its end of the pipe tells it when this process ends, however that may be.
            whole = (*self._command, ref, wanted)
            with subprocess.Popen(whole, stdin=subprocess.PIPE) as process:  # noqa: S603 - ours
                failed = process.wait() != 0
        except OSError as reason:
            log.warning("no process to slice %s: %s", ref, reason)
            failed = True
        with self._lock:
            self._at_work = False
            self._not_before = {
                name: until for name, until in self._not_before.items() if until > monotonic()
            }
            self._not_before[ref] = monotonic() + (PAUSE_AFTER_FAILURE if failed else PAUSE)


def build(database: Database, files: SliceFiles, ref: TagRef, wanted: str) -> None:
    """Make the slices of the edition that `ref` names, unless they are there.

    Raises:
        MovedOn: it names another one by now.
        NoRoom: they would take too much of the disk.
        Damaged: what was made disagrees with the view.
        ViewError: the view cannot be read now.
    """
    with files.writing():
        if files.open(wanted) is not None:
            return
        with database.snapshot() as snapshot:
            content = _named(snapshot, ref, wanted)
            about = f"{snapshot.position.ledger} {ref}"
        made = files.write(wanted, slices_of(content, about, _paged(database, ref, wanted)))
        with database.snapshot() as snapshot:
            _compare(snapshot.connection, _named(snapshot, ref, wanted), made)
        files.publish(wanted, about)


def _named(snapshot: Snapshot, ref: TagRef, wanted: str) -> Content:
    """Return the content that `ref` names, as long as that is the wanted edition."""
    try:
        content = find_content(snapshot, ref)
    except NotFound as reason:
        raise MovedOn(str(reason)) from reason
    if edition(snapshot, content) != wanted:
        raise MovedOn(f"{ref} was changed")
    return content


def _paged(
    database: Database, ref: TagRef, wanted: str
) -> Callable[[ContentList], Iterator[tuple[Any, ...]]]:
    """Return what yields a list's rows, each page read by itself: no long transaction.

    Wherever the view has moved on from the page before, it is seen whether these rows have, too.
    """
    seen = -1

    def page_of(held: ContentList, after: Moment | None) -> list[tuple[Any, ...]]:
        nonlocal seen
        with database.snapshot() as snapshot:
            if snapshot.lsn != seen:
                _named(snapshot, ref, wanted)
                seen = snapshot.lsn
            return list(rows_between(snapshot, held, None, None, after=after, limit=PAGE))

    def rows_of(held: ContentList) -> Iterator[tuple[Any, ...]]:
        page = page_of(held, None)
        while page:
            yield from page
            page = page_of(held, Moment(*page[-1][1:3])) if len(page) == PAGE else []

    return rows_of


def _compare(connection: sqlite3.Connection, content: Content, made: Slices) -> None:
    """Compare slices with the view, at random moments.

    Raises:
        Damaged: they disagree.
    """
    starts = list(made.starts())
    for moment in random.sample(starts, min(COMPARED, len(starts))):
        found, expected = made.at(moment), look_up(connection, content, moment)
        same = found.holds == expected.holds and found.gaps == expected.gaps
        if not same or [*map(tuple, found.rows)] != [*map(tuple, expected.rows)]:
            raise Damaged(f"slices of {content.ref} disagree with the view at {moment}")


def main(arguments: Sequence[str]) -> int:
    """Build what the arguments name; return 0 if it is there then."""
    log_format, view, stream_tag, folder, most, ref, wanted = arguments
    give_way(NICENESS, log_format)
    database = Database(Path(view), stream_tag)
    try:
        build(database, SliceFiles(Path(folder), int(most)), TagRef.parse(ref), wanted)
    except MovedOn:
        return 1
    except (NoRoom, Damaged, ViewError, OSError) as reason:
        log.warning("no slices of %s: %s", ref, reason)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
