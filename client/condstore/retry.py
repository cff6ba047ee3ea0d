"""When to try again, and after how long: capped, jittered, never sooner than `Retry-After` asks.

Only `ServerAway` and `Contended` are tried again. Where a server is there and said when to come
again, that is done while patience lasts, whatever the attempts: something restarts, or one asks too
often. Every request of this package may be tried again: reads change nothing, payloads are named by
their digest, and every other write carries an `Idempotency-Key`, so that a request whose answer was
lost is answered, not done twice.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from condstore.errors import Contended, ServerAway, TooOften

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_SOON = 1.0  # seconds, where a server that wants fewer requests does not say when


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient to be: at most `attempts` calls, and pauses of at most `patience` s in all."""

    attempts: int
    first: float
    cap: float
    patience: float

    def after(
        self, away: ServerAway | Contended, failed: int, waited: float, chance: float
    ) -> float | None:
        """Return the seconds to wait after the latest of `failed` failures, None to give up."""
        if self.attempts > 1 and (asked := _invited(away)):
            return self.pause(min(failed, self.attempts - 1), waited, asked, chance)
        return self.pause(failed, waited, away.retry_after, chance)

    def pause(self, failed: int, waited: float, asked: float | None, chance: float) -> float | None:
        """Return the seconds to wait after `failed` failures, or None to give up.

        `chance` in [0, 1) spreads callers over the whole pause, so that a thousand jobs that failed
        in one moment do not come back in one moment. What the server asked for is a lower bound.

        >>> Policy(attempts=4, first=0.5, cap=8, patience=60).pause(2, 0.0, None, 0.5)
        0.5
        >>> Policy(attempts=4, first=0.5, cap=8, patience=60).pause(2, 0.0, 3.0, 0.5)
        3.5
        >>> Policy(attempts=4, first=0.5, cap=8, patience=60).pause(4, 0.0, None, 0.5) is None
        True
        """
        if failed >= self.attempts:
            return None
        spread = min(self.cap, self.first * 2.0 ** (failed - 1)) * chance
        wait = spread + (asked or 0.0)
        return wait if waited + wait <= self.patience else None


def _invited(away: ServerAway | Contended) -> float | None:
    """Return after how many seconds a server that is there wants to be asked again."""
    if isinstance(away, TooOften):
        return away.retry_after or _SOON
    return away.retry_after if isinstance(away, ServerAway) else None


ONCE = Policy(attempts=1, first=0, cap=0, patience=0)
HASTY = Policy(attempts=4, first=0.3, cap=2.0, patience=20.0)
PATIENT = Policy(attempts=40, first=0.25, cap=8.0, patience=120.0)


def persist(
    action: Callable[[], T],
    policy: Policy,
    *,
    sleep: Callable[[float], object] = time.sleep,
    chance: Callable[[], float] = random.random,
) -> T:
    """Call `action` until it raises neither; raise the last one when patience ends."""
    failed, waited = 0, 0.0
    while True:
        try:
            return action()
        except (ServerAway, Contended) as away:
            failed += 1
            pause = policy.after(away, failed, waited, chance())
            if pause is None:
                raise
        sleep(pause)
        waited += pause
