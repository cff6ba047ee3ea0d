"""Under pressure the slowest ends first: whom threads wait for, while others wait for threads.

Nobody is ended who sends, or takes an answer, at `CROWDED` times MIN_BODY_RATE.
"""

from __future__ import annotations

from heapq import nsmallest
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datastore_logic.serving.connection import Connection

SOON: Final = 1.0
"""Seconds that a request may wait for a thread before others are ended for it."""

CROWDED: Final = 16
"""By so much the least rate rises for whom a thread waits while others wait for a thread."""


def end_slowest(among: Iterable[Connection], many: int, rate: int, now: float) -> None:
    """End so many at most, of those who are too slow for a crowd; `rate` is MIN_BODY_RATE."""
    slow = [conn for conn in among if conn.sock.speed(now) < CROWDED * rate]
    for conn in nsmallest(many, slow, key=lambda conn: conn.sock.speed(now)):
        conn.sock.give_up()
