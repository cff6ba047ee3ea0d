"""The newest lines of a ledger, in memory for those who follow it closely.

Every replica asks for the entries of the last few milliseconds, again and again. They were in
memory a moment ago; from disk each page costs a call into the pool.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from databuffer.store.protocols import Page

if TYPE_CHECKING:
    from collections.abc import Iterable


class Tail:
    """The last lines, of about `most` bytes together. Their LSNs are dense."""

    def __init__(self, most: int) -> None:
        self._room = most
        self._lines: dict[int, bytes] = {}

    def add(self, first: int, lines: Iterable[bytes]) -> None:
        """Take the lines, without newlines, from LSN `first` on; let go of the oldest."""
        for lsn, line in enumerate(lines, first):
            self._lines[lsn] = line
            self._room -= len(line)
        while self._room < 0:
            self._room += len(self._lines.pop(next(iter(self._lines))))

    def page(self, after: int, limit: int) -> Page | None:
        """Return up to `limit` lines after this LSN; None: it does not reach back so far."""
        if after + 1 not in self._lines:
            return None
        last = min(after + limit, next(reversed(self._lines)))
        wanted = [self._lines[lsn] for lsn in range(after + 1, last + 1)]
        return Page(b"\n".join([*wanted, b""]), last)
