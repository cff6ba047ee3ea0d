"""What a worker tells of its connections, to whoever counts them."""

from __future__ import annotations

from typing import Protocol


class Watch(Protocol):
    """Is told by the worker's main thread."""

    def holds(self, *, busy: int, threads: int, connections: int) -> None:
        """Note, a few times a second, how many threads have a request, and what is open."""

    def turns_away(self) -> None:
        """Note that a connection found no place."""


class Unwatched:
    """Nobody counts."""

    def holds(self, *, busy: int, threads: int, connections: int) -> None:
        """Forget it."""

    def turns_away(self) -> None:
        """Forget it."""
