"""What who waits for long work on a ledger is told: which stage it is at, and how far that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    Tell = Callable[[str, int, int], object]
    """Called with a stage, how many of its things are done, and of how many."""

ENTRIES: Final = "ledger entries"
PAYLOADS: Final = "payloads"


def nobody(_stage: str, _done: int, _of: int) -> None:
    """Tell nobody."""
