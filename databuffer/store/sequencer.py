"""Deciding places in the ledger: pure, the same for every implementation.

A batch is decided on a draft over the accepted state. Only when its lines are durable is the draft
accepted; a draft that could not be written is forgotten, and nothing has happened.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from databuffer.errors import KeysMoved
from databuffer.store.lines import NO_HASH, NO_TIME, Entry, compose, hash_of
from databuffer.store.protocols import Appended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from databuffer.store.protocols import NewEntry


@dataclass(slots=True)
class Draft:
    """What a batch would do: one outcome an entry, in order, and the lines to write."""

    lsn: int
    hash: str
    time: str
    outcomes: list[Appended | KeysMoved] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    touched: dict[str, int] = field(default_factory=dict)
    named: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Sequencer:
    """Where the ledger stands: its last LSN, hash and time, and which LSN last touched each key."""

    lsn: int = 0
    hash: str = NO_HASH
    time: str = NO_TIME
    touched: dict[str, int] = field(default_factory=dict)

    def draft(
        self, entries: Iterable[NewEntry], now: str, find: Callable[[str], int | None]
    ) -> Draft:
        """Decide the entries in order; `find` knows the accepted idempotency keys."""
        draft = Draft(self.lsn, self.hash, max(self.time, now))
        for entry in entries:
            draft.outcomes.append(self._decide(draft, entry, find))
        return draft

    def accept(self, draft: Draft) -> None:
        """Take over a draft whose lines are durable."""
        self.lsn, self.hash = draft.lsn, draft.hash
        if draft.lines:
            self.time = draft.time
        self.touched.update(draft.touched)

    def replay(self, entry: Entry, line: bytes) -> None:
        """Take over an entry read back."""
        self.lsn, self.hash, self.time = entry.lsn, hash_of(line), max(self.time, entry.time)
        for key in entry.keys:
            self.touched[key] = entry.lsn

    def _decide(
        self, draft: Draft, entry: NewEntry, find: Callable[[str], int | None]
    ) -> Appended | KeysMoved:
        key = entry.idempotency_key
        if key is not None:
            first = draft.named.get(key) or find(key)
            if first is not None:
                return Appended(first, NO_TIME, repeated=True)
        if entry.expect and (moved := self._moved(draft, entry)):
            return KeysMoved(moved, draft.lsn)
        return _place(draft, entry)

    def _moved(self, draft: Draft, entry: NewEntry) -> dict[str, int]:
        current = (
            (key, draft.touched.get(key) or self.touched.get(key, 0)) for key in entry.expect
        )
        return {key: lsn for key, lsn in current if lsn != entry.expect[key]}


def _place(draft: Draft, entry: NewEntry) -> Appended:
    draft.lsn += 1
    line = compose(draft.lsn, draft.time, entry.body, draft.hash)
    draft.hash = hash_of(line)
    draft.lines += (line, b"\n")
    draft.touched.update(dict.fromkeys(entry.keys, draft.lsn))
    if entry.idempotency_key is not None:
        draft.named[entry.idempotency_key] = draft.lsn
    return Appended(draft.lsn, draft.time)
