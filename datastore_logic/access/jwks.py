"""An issuer's public keys as they are now: what was read last, and when it is read again.

They are read when the first token comes, then every few minutes, and when a token names a key that
is not known; in any case ten seconds after the last try at the earliest, so that who sends
tokens with made-up keys cannot make us ask the issuer for each. One thread of its own reads; tokens
whose key is known do not wait for it. If reading fails the keys of before hold for a day.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import TYPE_CHECKING, Final

from datastore_logic.access.key_source import WITHIN, KeyFile, Unreadable, key_source
from datastore_logic.access.signing_keys import BadKeySet, SigningKey, key_set, the_one
from datastore_logic.errors import BadConfiguration, KeysAway, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Callable

    from datastore_logic.access.key_source import KeySource

ASKED_AGAIN: Final = 10.0
"""Seconds between two tries at least."""

KEPT: Final = 86_400.0
"""Seconds that keys hold when none can be read anew."""

MOST_WAITING: Final = 4
"""Requests that wait for keys; a slow issuer must not hold all threads of this tier."""

log = logging.getLogger(__name__)


def refuse_unusable(where: str) -> None:
    """Refuse what can never become keys. A URL is not asked: its server may come up later.

    Raises:
        BadConfiguration: it is no URL that may be asked, and no file with keys.
    """
    source = key_source(where)
    if isinstance(source, KeyFile):
        try:
            key_set(source.read())
        except (Unreadable, BadKeySet) as reason:
            raise BadConfiguration(f"JWT_JWKS={where}: {reason}") from reason


class KeySet:
    """The keys at a source. Making it reads nothing and starts nothing."""

    def __init__(self, source: KeySource, clock: Callable[[], float] = time.monotonic) -> None:
        self._source, self._clock = source, clock
        self._keys: tuple[SigningKey, ...] = ()
        self._read_at = self._tried_at = -math.inf
        self._reading: threading.Event | None = None
        self._lock = threading.Lock()
        self._waiting = threading.BoundedSemaphore(MOST_WAITING)

    def key(self, kid: str | None, algorithm: str) -> SigningKey:
        """Return the key of this name, or the only one there is for the algorithm.

        Raises:
            Unauthenticated: the issuer has none such.
            KeysAway: nobody knows, for the issuer's keys cannot be had now.
        """
        if self._clock() - self._read_at >= self._source.fresh_for:
            self.refresh()
        found = the_one(self._held(), kid, algorithm)
        if found is None:
            self._await_new_ones()
            found = the_one(self._held(), kid, algorithm)
        if found is not None:
            return found
        if not self._held():
            raise KeysAway
        raise Unauthenticated("The token is signed by a key that is none of the issuer's.")

    def refresh(self) -> threading.Event | None:
        """Let the keys be read anew, unless they just were; return what tells that it is done."""
        with self._lock:
            if self._reading is None and self._clock() - self._tried_at >= ASKED_AGAIN:
                self._tried_at = self._clock()
                self._reading = threading.Event()
                threading.Thread(target=self._read, args=(self._reading,), daemon=True).start()
            return self._reading

    def _await_new_ones(self) -> None:
        """Wait for the keys to be read anew, if they may be.

        Raises:
            KeysAway: enough others wait.
        """
        done = self.refresh()
        if done is None:
            return
        if not self._waiting.acquire(blocking=False):
            raise KeysAway
        try:
            done.wait(WITHIN + 1)
        finally:
            self._waiting.release()

    def _held(self) -> tuple[SigningKey, ...]:
        return self._keys if self._clock() - self._read_at <= KEPT else ()

    def _read(self, done: threading.Event) -> None:
        """Read the keys; if that fails say so, and leave those of before."""
        try:
            self._keys = key_set(self._source.read())
            self._read_at = self._clock()
        except (Unreadable, BadKeySet) as reason:
            log.warning(
                "the keys at JWT_JWKS could not be read: %s; %d of before hold",
                *(reason, len(self._held())),
            )
        finally:
            with self._lock:
                self._reading = None
            done.set()
