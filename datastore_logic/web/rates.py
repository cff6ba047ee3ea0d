"""How many requests one caller may send: by the words of the `limits` library, a pod one limit.

Reads and writes are counted by who asks: the verified subject, or, for who is anonymous, the place
they ask from. Failed authentications are counted by place alone, and only they are refused for it:
a right credential is never shut out because somebody beside it guesses.

Windows are of the clock: 3000/second is 3000 in each of its seconds. So `Retry-After` is true:
in the next window there is room, whatever was sent in this one.
"""

from __future__ import annotations

import math
import time
from enum import StrEnum
from typing import TYPE_CHECKING

from limits import parse_many
from limits.strategies import FixedWindowRateLimiter

from datastore_logic.errors import TooManyRequests
from datastore_logic.web.address import place_of
from datastore_logic.web.counters import Counters

if TYPE_CHECKING:
    from pathlib import Path

    from limits import RateLimitItem

    from datastore_logic.config import Config


class Kind(StrEnum):
    """What is counted apart."""

    READS = "reads"
    WRITES = "writes"
    FAILURES = "failures"


def by_subject(subject: str) -> str:
    """Return under what name a verified caller is counted."""
    return f"subject {subject}"


def by_place(address: str) -> str:
    """Return under what name one is counted of whom nothing but the address is known."""
    return f"place {place_of(address)}"


class Rates:
    """The limits of one pod, counted in files beside the view. Constructing it opens nothing."""

    def __init__(self, config: Config, path: Path) -> None:
        told = {
            Kind.READS: config.rate_reads,
            Kind.WRITES: config.rate_writes,
            Kind.FAILURES: config.rate_failures,
        }
        self._limits = {kind: _limits(words, path, kind) for kind, words in told.items()}

    def refuse_if_over(self, kind: Kind, who: str) -> None:
        """Count a request of this kind by `by_subject(…)` or `by_place(…)`.

        Raises:
            TooManyRequests: they sent more than they may; says in how many seconds there is room.
        """
        over = [item for item, limiter in self._limits[kind] if not limiter.hit(item, who)]
        if over:
            raise TooManyRequests(max(map(_until_next, over)))


Limits = tuple[tuple["RateLimitItem", FixedWindowRateLimiter], ...]


def _limits(words: str, path: Path, kind: Kind) -> Limits:
    """Return each limit that the words tell, with the counters of its own; none for no words."""
    items = parse_many(words) if words else []
    return tuple(
        (item, FixedWindowRateLimiter(Counters(_named(path, kind, number), item.get_expiry())))
        for number, item in enumerate(items)
    )


def _named(path: Path, kind: Kind, number: int) -> Path:
    return path.with_name(f"{path.name}.{kind}{number or ''}")


def _until_next(item: RateLimitItem) -> int:
    """Return how many whole seconds it is until the next window, at least one."""
    seconds = item.get_expiry()
    return math.ceil(seconds - time.time() % seconds) or 1
