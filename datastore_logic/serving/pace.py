"""How fast somebody must send, or take, what we wait for.

They have BODY_TIMEOUT seconds. Each second that we wait for them takes one away, each MIN_BODY_RATE
bytes that come give one back, never beyond what they had. So who falls silent is given up after
BODY_TIMEOUT seconds, who drips somewhat later, and who keeps to the rate never; what was sent
quickly at first does not let anybody dawdle later. Time in which nobody waits does not count.

>>> pace = Pace(rate=1000, patience=30)
>>> pace.after(seconds=29, count=1); pace.is_spent
False
>>> pace.after(seconds=2, count=1); pace.is_spent
True
"""

from __future__ import annotations

import errno
import math
from dataclasses import dataclass
from typing import Final

WINDOW: Final = 1.0
"""Seconds of waiting over which a speed is told: who has not been waited for so long has none."""


class TooSlow(TimeoutError):
    """The peer does not send what it announced, or not fast enough."""

    def __init__(self, words: str = "nothing more has come") -> None:
        super().__init__(errno.ETIMEDOUT, words)


class Pace:
    """What one peer has left. With a rate of 0 any byte gives everything back."""

    __slots__ = ("_count", "_left", "_patience", "_rate", "_speed", "_waited")

    def __init__(self, rate: int, patience: float) -> None:
        self._rate, self._patience, self._left = rate, patience, patience
        self._waited, self._count, self._speed = 0.0, 0, math.inf

    def after(self, seconds: float, count: int) -> None:
        """Note that we waited so long and so many bytes came."""
        earned = count / self._rate if self._rate else count * self._patience
        self._left = min(self._patience, self._left - seconds + earned)
        self._waited += seconds
        self._count += count
        if self._waited >= WINDOW:
            self._speed = self._count / self._waited
            self._waited, self._count = 0.0, 0

    @property
    def is_spent(self) -> bool:
        """Whether there is no more reason to wait."""
        return self._left < 0

    def would_be_spent(self, seconds: float) -> bool:
        """Tell whether it would be after so many more seconds without a byte."""
        return self._left < seconds

    def speed(self, seconds: float) -> float:
        """Return the bytes a second of late, if for so many seconds none has come."""
        return 0.0 if seconds >= WINDOW else self._speed


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a connection may take for what, in seconds, and how fast it must be."""

    head: float = 10.0
    body: float = 30.0
    rate: int = 1024
    idle: float = 75.0
    linger: float = 2.0
    """In which a client may still send after our last word, and after SIGTERM."""
    drain: float = 0.0
    """For which new connections are taken after SIGTERM."""
    stuck: float = 300.0
    """After which threads that get nowhere are taken for dead."""

    @property
    def farewell(self) -> float:
        """How long after SIGTERM a connection may stay idle: a request may be on its way."""
        return max(self.linger, self.drain)

    def pace(self) -> Pace:
        """Return the pace of one who begins."""
        return Pace(self.rate, self.body)
