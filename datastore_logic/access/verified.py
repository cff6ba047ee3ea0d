"""Credentials that were verified a moment ago, so that the next request need not verify them again.

Kept under their SHA-256 for a minute, so that what was signed by a key taken back soon ends.
None is kept past its end, and none that was refused is kept at all, so no flood of bad ones pushes
out a good one. Of too many the oldest goes: it would have been verified again first.
"""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from datastore_logic.access.identify import Judge
    from datastore_logic.access.roles import Principal

KEPT: Final = 60.0
MOST: Final = 10_000


class _Entry(NamedTuple):
    principal: Principal
    since: float
    until: float


class Verified:
    """A judge that remembers whom another one has verified; safe to ask from many threads."""

    def __init__(self, judge: Judge, leeway: float, most: int = MOST) -> None:
        """Remember up to `most`; the judge lets a credential live `leeway` seconds past its end."""
        self._judge, self._leeway, self._most = judge, leeway, most
        self._entries: dict[bytes, _Entry] = {}
        self._lock = threading.Lock()

    def __call__(self, credential: str, now: float) -> Principal:
        """Return whose it is; `now` in seconds since 1970.

        Raises:
            What the judge raises: Unauthenticated, KeysAway.
        """
        digest = hashlib.sha256(credential.encode()).digest()
        known = self._entries.get(digest)
        if known is not None and known.since <= now < known.until:
            return known.principal
        principal = self._judge(credential, now)
        self._keep(digest, principal, now)
        return principal

    def __len__(self) -> int:
        """Return how many are kept."""
        return len(self._entries)

    def _keep(self, digest: bytes, principal: Principal, now: float) -> None:
        until = now + KEPT
        if principal.expires is not None:
            until = min(until, principal.expires + self._leeway)
        with self._lock:
            self._entries.pop(digest, None)  # what is verified anew is the newest again
            if len(self._entries) >= self._most:
                del self._entries[next(iter(self._entries))]
            self._entries[digest] = _Entry(principal, now, until)
