"""Whether the payloads that IOVs name are in the store, asked for in batches.

A payload is found wrong if the store has more or fewer bytes under its digest than the view
knows, or, where its bytes are read, if they do not hash to it.
"""

from __future__ import annotations

import hashlib
import time
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from datastore_logic.databuffer.answers import Answer
from datastore_logic.databuffer.client import ASKED_AT_ONCE, CHUNK
from datastore_logic.databuffer.refusals import refusal
from datastore_logic.domain.findings import Finding, Tally
from datastore_logic.domain.tags import Digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from datastore_logic.databuffer.answers import Unsound
    from datastore_logic.databuffer.client import BufferClient
    from datastore_logic.domain.bare import Bare

READING_SECONDS: Final = 60.0
"""For how long payloads are read; what is left then is counted as not read."""

_Sized = tuple[str, int | None]


class Presence:
    """Looks for payloads as rows pass by; `settle` asks for the last of them."""

    def __init__(self, buffer: BufferClient, *, read_bytes: bool) -> None:
        self._buffer = buffer
        self._until = time.monotonic() + READING_SECONDS if read_bytes else None
        self._noted: list[tuple[str, list[Bare]]] = []
        self._waiting = 0
        self.sought = self.sized = self.read = self.unread = 0
        self.found: dict[tuple[str, Finding], Tally] = {}

    def watch(self, payload_type: str, rows: Iterable[Bare]) -> Iterator[Bare]:
        """Yield the rows, having their payloads looked for soon."""
        passing = iter(rows)
        while some := list(islice(passing, ASKED_AT_ONCE)):
            self._noted.append((payload_type, some))
            self._waiting += len(some)
            if self._waiting >= ASKED_AT_ONCE:
                self.settle()
            yield from some

    def settle(self) -> None:
        """Ask for the payloads of the rows that have passed since the last time.

        Raises:
            DatabufferError: nobody knows.
        """
        noted, self._noted, self._waiting = self._noted, [], 0
        kept = [row[6:8] for _, rows in noted for row in rows if row[6] is not None]
        self.sought += len(kept)
        self.sized += sum(size is not None for _, size in kept)
        asked: set[_Sized] = set(kept)
        unsound = self._buffer.unsound(asked)
        damaged = self._damaged(asked, unsound)
        if unsound.missing or unsound.resized or damaged:
            for payload_type, rows in noted:
                self._blame(payload_type, rows, unsound, damaged)

    def _blame(
        self, payload_type: str, rows: list[Bare], unsound: Unsound, damaged: set[str]
    ) -> None:
        missing = set(unsound.missing)
        for row in rows:
            digest, size = row[6], row[7]
            if digest in missing:
                self._tally(payload_type, Finding.MISSING).add(row)
            elif digest in damaged or _differs(size, unsound.resized.get(digest)):
                self._tally(payload_type, Finding.WRONG).add(row)

    def _tally(self, payload_type: str, finding: Finding) -> Tally:
        return self.found.setdefault((payload_type, finding), Tally())

    def _damaged(self, asked: Iterable[_Sized], unsound: Unsound) -> set[str]:
        """Return those of which the bytes do not hash to their digest, as far as they are read."""
        if self._until is None:
            return set()
        there = {digest for digest, _ in asked} - set(unsound.missing)
        return {digest for digest in there if not self._is_sound(digest)}

    def _is_sound(self, digest: str) -> bool:
        if self._until is not None and time.monotonic() > self._until:
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


def _differs(told: int | None, found: int | None) -> bool:
    """Whether a size that is told is not the one that was found, where either is known."""
    return told is not None and found is not None and told != found
