"""Whether the payloads that IOVs name are in the store, asked for in batches.

A payload is found wrong if the store has more or fewer bytes under its digest than the view
knows, or, where its bytes are read, if they do not hash to it.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any, Final

from datastore_logic.buffer_client import ASKED_AT_ONCE, CHUNK, Answer, refusal
from datastore_logic.domain.findings import Finding, Tally
from datastore_logic.domain.tags import Digest

if TYPE_CHECKING:
    from datastore_logic.buffer_client import BufferClient
    from datastore_logic.domain.difference import Bare

READING_SECONDS: Final = 60.0
"""For how long payloads are read; what is left then is counted as not read."""

_Asked = tuple[str, str, int | None]


class Presence:
    """Looks for payloads as they are noted; `settle` asks for the last of them."""

    def __init__(self, buffer: BufferClient, *, read_bytes: bool) -> None:
        self._buffer = buffer
        self._until = time.monotonic() + READING_SECONDS if read_bytes else None
        self._noted: dict[_Asked, tuple[Bare, int]] = {}
        self.sought = self.sized = self.read = self.unread = 0
        self.found: dict[tuple[str, Finding], Tally] = {}

    def note(self, payload_type: str, row: Bare) -> None:
        """Have the payload of a row looked for, soon."""
        asked = (payload_type, row[6], row[7])
        first, count = self._noted.get(asked, (row, 0))
        self._noted[asked] = (first, count + 1)
        self.sought += 1
        self.sized += row[7] is not None
        if len(self._noted) >= ASKED_AT_ONCE:
            self.settle()

    def settle(self) -> None:
        """Ask for what was noted since the last time.

        Raises:
            DatabufferError: nobody knows.
        """
        noted, self._noted = self._noted, {}
        if not noted:
            return
        unsound = self._buffer.unsound((digest, size) for _, digest, size in noted)
        missing, sizes = set(unsound.missing), unsound.resized
        asked = dict.fromkeys(digest for _, digest, _ in noted)
        damaged = {d for d in asked if d not in missing and not self._is_sound(d)}
        for (payload_type, digest, size), (row, count) in noted.items():
            if digest in missing:
                self._add(payload_type, Finding.MISSING, row, count)
            elif digest in damaged or (size is not None and sizes.get(digest, size) != size):
                self._add(payload_type, Finding.WRONG, row, count)

    def _add(self, payload_type: str, finding: Finding, row: Bare, count: int) -> None:
        self.found.setdefault((payload_type, finding), Tally()).add(row, number=count)

    def _is_sound(self, digest: str) -> bool:
        """Whether the bytes hash to the digest, as far as they are to be read."""
        if self._until is None:
            return True
        if time.monotonic() > self._until:
            self.unread += 1
            return True
        self.read += 1
        return self._hash(Digest(digest)) == digest

    def _hash(self, digest: Digest) -> str:
        response = self._buffer.open_blob("GET", digest, {})
        try:
            if response.status != 200:
                raise refusal(Answer(response.status, response.read(), 0))
            total = hashlib.sha256()
            for chunk in response.stream(CHUNK):
                total.update(chunk)
        finally:
            response.release_conn()
        return f"sha256:{total.hexdigest()}"

    def told(self) -> dict[str, Any]:
        """Return how far was looked: numbers of IOVs, but of payloads whose bytes were read."""
        return {
            "looked_for": self.sought,
            "sizes_compared": self.sized,
            "bytes_read": self.read,
            "bytes_not_read": self.unread,
        }
