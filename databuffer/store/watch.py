"""What the stores tell of their work, while they do it, to whoever counts."""

from __future__ import annotations

from typing import Protocol


class Watch(Protocol):
    """Is told; calls come from the loop and from the disk's threads, and cost next to nothing."""

    def appended(self, seconds: float) -> None:
        """Note that an entry of the ledger is durable, so long after it came."""

    def batched(self, entries: int) -> None:
        """Note that so many entries were decided together."""

    def synced(self, what: str, seconds: float) -> None:
        """Note how long the disk took to make bytes of the `ledger` or of `blobs` durable."""

    def opened(self, *, kept: bool) -> None:
        """Note that a blob was asked for, and whether memory had it."""


class Unwatched:
    """Nobody counts."""

    def appended(self, seconds: float) -> None:
        """Forget it."""

    def batched(self, entries: int) -> None:
        """Forget it."""

    def synced(self, what: str, seconds: float) -> None:
        """Forget it."""

    def opened(self, *, kept: bool) -> None:
        """Forget it."""


UNWATCHED = Unwatched()
