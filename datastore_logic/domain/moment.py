"""Moments and half-open intervals: the only order and the only interval in the system.

Wire forms with inclusive or "infinite" ends are converted at the edge; nothing here adds or
subtracts one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from datastore_logic.domain.errors import BadInterval, BadMoment

LIMIT: Final = 2**63 - 1
"""The largest value of either part of a moment."""

Pair = tuple[int, int]
"""A moment as its two integers; compares as moments do."""

_MAX_DIGITS: Final = len(str(LIMIT))


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    """A point in an experiment's time: (run, lumi), (experiment, run) or GPS (s, ns).

    Both parts are integers from 0 to 2^63-1; `minor` orders moments of equal `major`.

    >>> Moment(1, 9) < Moment(2) < Moment(2, 1)
    True
    """

    major: int
    minor: int = 0

    def __post_init__(self) -> None:
        """Refuse parts out of range."""
        if not 0 <= self.major <= LIMIT:
            raise BadMoment("major", f"{_shown(self.major)} is not from 0 to {LIMIT}")
        if not 0 <= self.minor <= LIMIT:
            raise BadMoment("minor", f"{_shown(self.minor)} is not from 0 to {LIMIT}")

    @classmethod
    def parse(cls, major: object, minor: object = 0) -> Moment:
        """Read a moment from integers or their decimal text.

        Raises:
            BadMoment: naming `major` or `minor`.

        >>> Moment.parse("968654552", 500000000)
        Moment(major=968654552, minor=500000000)
        """
        return cls(_integer("major", major), _integer("minor", minor))

    def pair(self) -> Pair:
        """Return both parts, for who works with very many moments."""
        return (self.major, self.minor)

    def wire(self) -> list[int]:
        """Return the JSON form, `[major, minor]`."""
        return [self.major, self.minor]

    def __str__(self) -> str:
        return f"{self.major}:{self.minor}"


@dataclass(frozen=True, slots=True)
class Interval:
    """The moments from `start` up to, not including, `end`; with `end=None` all that follow.

    >>> Moment(5) in Interval(Moment(1), Moment(5))
    False
    """

    start: Moment
    end: Moment | None = None

    def __post_init__(self) -> None:
        """Refuse an empty or backward interval."""
        if self.end is not None and self.end <= self.start:
            raise BadInterval("end", f"{self.end} does not come after the start {self.start}")

    @property
    def is_open(self) -> bool:
        """Whether it has no end."""
        return self.end is None

    def __contains__(self, moment: Moment) -> bool:
        return self.start <= moment and (self.end is None or moment < self.end)

    def overlaps(self, other: Interval) -> bool:
        """Whether any moment lies in both.

        >>> Interval(Moment(1), Moment(5)).overlaps(Interval(Moment(5)))
        False
        """
        return _before(self.start, other.end) and _before(other.start, self.end)

    def __and__(self, other: Interval) -> Interval | None:
        """Return what both cover, None if nothing.

        >>> str(Interval(Moment(1), Moment(5)) & Interval(Moment(3)))
        '[3:0, 5:0)'
        """
        if not self.overlaps(other):
            return None
        return Interval(max(self.start, other.start), earlier_end(self.end, other.end))

    def __sub__(self, other: Interval) -> tuple[Interval, ...]:
        """Return what only this one covers: none, one or two intervals in order.

        >>> [str(i) for i in Interval(Moment(1)) - Interval(Moment(3), Moment(4))]
        ['[1:0, 3:0)', '[4:0, ∞)']
        """
        if not self.overlaps(other):
            return (self,)
        left = (Interval(self.start, other.start),) if self.start < other.start else ()
        if other.end is None or not _before(other.end, self.end):
            return left
        return (*left, Interval(other.end, self.end))

    def __str__(self) -> str:
        return f"[{self.start}, {'∞' if self.end is None else self.end})"


def earlier_end(one: Moment | None, other: Moment | None) -> Moment | None:
    """Return the earlier of two ends, where None is the open end after all moments.

    >>> earlier_end(None, Moment(3))
    Moment(major=3, minor=0)
    """
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def _before(moment: Moment, end: Moment | None) -> bool:
    return end is None or moment < end


def _integer(field: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit():
        # Python refuses to convert absurdly long digit strings with an error of its own.
        if len(value) > _MAX_DIGITS:
            raise BadMoment(field, f"{value[:_MAX_DIGITS]}… is not from 0 to {LIMIT}")
        return int(value)
    raise BadMoment(field, f"{_shown(value)} is not an integer from 0 to {LIMIT}")


def _shown(value: object) -> str:
    """Return a short form of a value that may be huge, for an error message."""
    if isinstance(value, int) and abs(value) >= 10**40:
        return "a huge integer"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
