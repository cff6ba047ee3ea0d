"""What a cache holds and what it did, as values."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Done:
    """What this process did with a cache since it made it; sizes in bytes."""

    payload_hits: int = 0
    payload_misses: int = 0
    bytes_brought: int = 0
    waited: int = 0
    """Payloads that another process was downloading already."""
    answers_remembered: int = 0
    """Answers from this process's memory."""
    answer_hits: int = 0
    """Answers from the directory."""
    answer_misses: int = 0
    evicted: int = 0
    """Payloads removed to make room."""
    damaged: int = 0
    """Payloads and answers that were not what they had been, and were dropped."""
    uncached: int = 0
    """Payloads and answers that the directory could not take or give."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """What lies in a cache directory now, for this user, and what this process did."""

    path: Path
    limit: int
    payloads: int
    payload_bytes: int
    answers: int
    answer_bytes: int
    done: Done

    @property
    def size(self) -> int:
        """The bytes that count against the limit."""
        return self.payload_bytes + self.answer_bytes


class Counts:
    """Counters that threads may share."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counter: Counter[str] = Counter()
        self._names = frozenset(field.name for field in fields(Done))

    def add(self, name: str, count: int = 1) -> None:
        """Count one more, or so many more; `name` is one of the fields of `Done`."""
        assert name in self._names, name  # noqa: S101 - a slip of ours, not of a caller
        with self._lock:
            self._counter[name] += count

    def done(self) -> Done:
        """Return them as they are now."""
        with self._lock:
            return Done(**self._counter)
