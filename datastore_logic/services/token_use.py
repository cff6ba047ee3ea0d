"""When API tokens were last used, to the minute: in memory, and now and then in one document.

It is never a ledger entry: reading would become writing, and revoking would wait in line behind it.
The document is one for all replicas; each process adds what it knows, and of two times the later
one stays. A process that is killed loses what it had not yet written, half a minute at most; while
the databuffer is away nothing is lost but what does not fit in memory, and nobody has to wait.
"""

from __future__ import annotations

import logging
import random
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import orjson

from datastore_logic.errors import DatabufferError, ViewError
from datastore_logic.view.tokens import long_gone

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from datastore_logic.databuffer.answers import Document
    from datastore_logic.view.database import Database

    class Documents(Protocol):
        """What is needed of the databuffer."""

        def get_state(self, name: str) -> Document | None:
            """Return a document, None if there is none."""

        def put_state(self, name: str, content: bytes, instead_of: Document | None) -> bool:
            """Write a document in the place of the one read; False: it is another by now."""


DOCUMENT: Final = "token-use"
EVERY: Final = 30.0
"""Seconds, at least, between two writes of one process."""

MOST: Final = 10_000
"""Tokens whose last use is kept; of more, those that were used last."""

REMEMBERED_FOR: Final = 90 * 86_400.0
"""Seconds for which the last use of a token is kept after it was revoked or has expired."""

ATTEMPTS: Final = 10
LAST_CHANCE: Final = 3.0
"""Seconds that a worker which ends waits for its last write."""

_MINUTE: Final = 60

Used = dict[str, int]
"""The minute of each token's last use, as seconds since 1970."""

log = logging.getLogger(__name__)


class TokenUse:
    """What one process knows of when tokens were used. Constructing it starts nothing."""

    def __init__(
        self, documents: Documents, database: Database, clock: Callable[[], float] = time.time
    ) -> None:
        self._documents, self._database, self._clock = documents, database, clock
        self._lock = threading.Lock()
        self._seen: Used = {}
        self._unsaved: Used = {}
        self._saved: Used = {}
        self._news, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="token-use", daemon=True)

    def note(self, token_id: str, now: float) -> None:
        """Note that a token was used; costs next to nothing within the same minute."""
        minute = int(now) // _MINUTE * _MINUTE
        if self._seen.get(token_id, 0) < minute:
            with self._lock:
                for used in (self._seen, self._unsaved):
                    used[token_id] = minute
                    if len(used) > MOST:
                        del used[min(used, key=used.__getitem__)]
            self._news.set()

    def last(self) -> Used:
        """Return when tokens were last used, by this process or by what others have written.

        While the databuffer is away, what they had written when it was last asked.
        """
        try:
            self._saved = _used(self._documents.get_state(DOCUMENT))
        except DatabufferError as reason:
            log.info("when tokens were used elsewhere is not known now: %s", reason)
        with self._lock:
            return _later(self._saved, self._seen)

    def start(self) -> None:
        """Begin to write down what is noted."""
        self._thread.start()

    def stop(self) -> None:
        """Write down what is left, if that can be done soon."""
        self._stopping.set()
        self._news.set()
        if self._thread.is_alive():
            self._thread.join(LAST_CHANCE)

    def save(self) -> bool:
        """Write down what was noted since the last time; False: later."""
        with self._lock:
            noted, self._unsaved = self._unsaved, {}
        try:
            if not noted or self._merged(noted):
                return True
            log.info("when tokens were used is written later: others keep writing")
        except DatabufferError as reason:
            log.info("when tokens were used is written later: %s", reason)
        with self._lock:
            self._unsaved = _newest(_later(self._unsaved, noted))
        return False

    # ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._news.wait()
            self._news.clear()
            if not self.save():
                self._news.set()
            self._stopping.wait(EVERY * random.uniform(1, 1.2))  # noqa: S311 - jitter
        self.save()

    def _merged(self, noted: Used) -> bool:
        """Add what was noted to the document; False: others were always faster."""
        gone = self._gone()
        for lost in range(ATTEMPTS):
            time.sleep(random.uniform(0, 0.02 * lost))  # noqa: S311 - so that losers spread
            document = self._documents.get_state(DOCUMENT)
            found = _used(document)
            kept = _newest({k: at for k, at in _later(found, noted).items() if k not in gone})
            content = orjson.dumps({"used": kept}, option=orjson.OPT_SORT_KEYS)
            if kept == found or self._documents.put_state(DOCUMENT, content, document):
                self._saved = kept
                return True
        return False

    def _gone(self) -> frozenset[str]:
        """Return the tokens that nobody asks about any more; none while the view cannot tell."""
        try:
            with self._database.snapshot() as snapshot:
                return long_gone(snapshot, self._clock() - REMEMBERED_FOR)
        except (ViewError, sqlite3.Error):
            return frozenset()


def _used(document: Document | None) -> Used:
    """Return what a document says; what is no minute is not believed."""
    if document is None:
        return {}
    try:
        told: Any = orjson.loads(document.content)["used"]
        return {str(token): at for token, at in told.items() if type(at) is int}
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as reason:
        log.warning("the document %s is none of ours and is begun anew: %r", DOCUMENT, reason)
        return {}


def _later(one: Used, other: Used) -> Used:
    return one | {token: max(at, one.get(token, 0)) for token, at in other.items()}


def _newest(used: Used) -> Used:
    if len(used) <= MOST:
        return used
    return dict(sorted(used.items(), key=lambda each: each[1])[-MOST:])
