"""The thread that keeps a pod fresh by itself: a long poll of the ledger, one a pod.

Every worker starts one; the lock on a file beside the view elects which one polls, and the
kernel passes it on when that worker ends. It also has a view that is being built begin with a
checkpoint, sweeps what killed workers left beside the view, and notes, for all workers, whether the
databuffer is reached.
"""

from __future__ import annotations

import fcntl
import logging
import random
import sqlite3
import threading
from contextlib import closing, suppress
from datetime import UTC, datetime
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

from datastore_logic.errors import DatabufferError, ViewError

if TYPE_CHECKING:
    from pathlib import Path

    from datastore_logic.view.copying import Copies
    from datastore_logic.view.database import Database
    from datastore_logic.view.replica import Replica
    from datastore_logic.view.starting import Starting

POLL: Final = 5
"""Seconds a long poll lasts: so long at most until a view that was deleted is missed."""

PAUSE: Final = 0.02
"""Seconds between polls: writers fetch for themselves, so the follower may gather a few."""

LOOK_AGAIN: Final = 0.02
UNKNOWN: Final = 2**63 - 1
"""The LSN to catch up with before the databuffer was asked: there is no such entry."""

FIRST_WAIT: Final = 0.1
LONGEST_WAIT: Final = 5.0

log = logging.getLogger(__name__)


def caught_up(database: Database, within: float) -> bool:
    """Wait until the view has reached the head seen at the start; False if not in `within` s."""
    deadline = monotonic() + within
    while monotonic() < deadline:
        with suppress(ViewError, sqlite3.Error):
            if database.position().caught_up:
                return True
        sleep(LOOK_AGAIN)
    return False


def expect_news(view_path: Path) -> None:
    """Have a view that an earlier start left pass for behind until the databuffer was asked.

    It may be hours old, and know API tokens that were revoked meanwhile. Where other workers follow
    already nothing is changed; nor where there is no view of this version, or a damaged one, which
    is made anew.
    """
    unreadable = (sqlite3.Error, UnicodeDecodeError)  # of what SQLite says about a damaged file
    with _lock_path(view_path).open("a") as lock, suppress(BlockingIOError, *unreadable):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        uri = f"{view_path.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(uri, uri=True)) as view, view:
            view.execute("UPDATE position SET target_lsn = ? WHERE complete", (UNKNOWN,))
            view.execute("UPDATE link SET reachable = 0")


class Follower:
    """Follows the ledger in a thread of its own. Constructing it starts nothing."""

    def __init__(
        self,
        replica: Replica,
        database: Database,
        view_path: Path,
        starting: Starting,
        copies: Copies,
    ) -> None:
        self._replica = replica
        self._database = database
        self._starting = starting
        self._copies = copies
        self._lock_path = _lock_path(view_path)
        self._stopping = threading.Event()
        self._reachable: bool | None = None
        # A daemon: a worker that ends does not wait for a poll that brings nothing.
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)

    def start(self) -> None:
        """Begin to follow, or to stand by."""
        self._thread.start()

    def stop(self) -> None:
        """Stop at the next chance."""
        self._stopping.set()

    def _run(self) -> None:
        self._lock_path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock_path.open("a") as lock:
            while not self._stopping.is_set():
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    self._stopping.wait(random.uniform(0.5, 1.0))  # noqa: S311 - jitter
                else:
                    self._sweep()
                    self._follow()

    def _sweep(self) -> None:
        """Remove what is beside the view of workers that were killed; nobody needs it removed."""
        with suppress(OSError):
            self._starting.sweep()
            self._copies.sweep()

    def _follow(self) -> None:
        wait = FIRST_WAIT
        greeted = False
        while not self._stopping.is_set():
            try:
                if not greeted:
                    self._replica.greet()
                    greeted = True
                if self._starting.take():
                    self._reachable = None
                self._note(reachable=True)
                position = self._replica.pull(wait=POLL)
                if not position.reachable:
                    self._reachable = None  # the view was made anew and has to be told
            except (DatabufferError, ViewError, sqlite3.Error, OSError) as reason:
                greeted = False
                self._lost(reason)
                self._stopping.wait(random.uniform(wait / 2, wait))  # noqa: S311 - jitter
                wait = min(2 * wait, LONGEST_WAIT)
            else:
                wait = FIRST_WAIT
                self._stopping.wait(PAUSE if position.halted is None else LONGEST_WAIT)

    def _lost(self, reason: Exception) -> None:
        if self._reachable is not False:
            log.warning("cannot follow the ledger, reads go on from the view: %s", reason)
        if not isinstance(reason, DatabufferError):
            return
        try:
            self._note(reachable=False)
        except (
            ViewError,
            sqlite3.Error,
            OSError,
        ) as failure:  # a full disk must not end the thread
            log.warning("cannot note that the databuffer is away: %s", failure)

    def _note(self, *, reachable: bool) -> None:
        """Record, for every worker, a change of whether the databuffer is reached."""
        if reachable is self._reachable:
            return
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        self._database.prepare()
        with self._database.applying() as view:
            view.execute("UPDATE link SET reachable = ?, since = ?", (reachable, now))
            if not reachable:  # then there are no news to wait for
                news = "UPDATE position SET target_lsn = applied_lsn WHERE target_lsn = ?"
                view.execute(news, (UNKNOWN,))
        if reachable and self._reachable is False:
            log.info("the databuffer is reached again, the ledger is followed")
        self._reachable = reachable


def _lock_path(view_path: Path) -> Path:
    return view_path.with_name(f"{view_path.name}.follower")
