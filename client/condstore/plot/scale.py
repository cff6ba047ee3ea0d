"""From moments to equal cells, exactly: integers all the way, for moments up to 2^63-1.

A moment's position is `major * unit + minor`. The unit is a second's nanoseconds where minors look
like them, else one more than the largest minor there is, so that each run is as wide as the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from condstore.moments import LIMIT, Moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SECOND = 10**9
_LOOKS_LIKE_NANOSECONDS = 10**5  # no run has so many lumi sections


@dataclass(frozen=True, slots=True)
class Scale:
    """The positions [low, high) cut into `cells` equal cells."""

    unit: int
    low: int
    high: int
    cells: int

    @classmethod
    def between(cls, begin: Moment, end: Moment, unit: int, cells: int) -> Scale:
        """Return the scale of [begin, end), which must not be empty."""
        return cls(unit, begin.major * unit + begin.minor, end.major * unit + end.minor, cells)

    def position(self, moment: Moment) -> int:
        """Return where a moment lies, also outside of the window."""
        return moment.major * self.unit + moment.minor

    def moment(self, position: int) -> Moment:
        """Return the moment at a position."""
        return Moment(*divmod(position, self.unit))

    def clipped(self, position: int) -> int:
        """Return the position, or the window's nearest edge."""
        return min(max(position, self.low), self.high)

    def cell(self, position: int) -> int:
        """Return the cell that a position of the window lies in.

        >>> [Scale(1, 0, 100, 10).cell(position) for position in (0, 9, 10, 99)]
        [0, 0, 1, 9]
        """
        return (position - self.low) * self.cells // (self.high - self.low)

    def whole(self, begin: int, end: int) -> range:
        """Return the cells that [begin, end) covers entirely.

        >>> Scale(1, 0, 100, 10).whole(15, 40)
        range(2, 4)
        """
        span = self.high - self.low
        return range(
            -(-(begin - self.low) * self.cells // span), (end - self.low) * self.cells // span
        )

    def ticks(self, most: int) -> Iterator[int]:
        """Yield at most about so many round positions inside the window, evenly spaced.

        >>> list(Scale(1, 0, 100, 10).ticks(4)), list(Scale(18, 0, 1800, 10).ticks(2))
        ([50], [900])
        """
        if self.unit in {1, _SECOND} or self.high - self.low > 2 * self.unit:
            step = _round_step(self.high - self.low, most, self._base())
            yield from range((self.low // step + 1) * step, self.high, step)
            return
        step = _round_step(self.high - self.low, most, 1)
        for run in range(self.low // self.unit, self.high // self.unit + 1):
            zero = run * self.unit
            first = zero + max(self.low + step - zero, 0) // step * step
            yield from range(first, min(zero + self.unit, self.high), step)

    def _base(self) -> int:
        """Return what steps are multiples of: whole runs, but parts of seconds."""
        return 1 if self.unit == _SECOND else self.unit


def unit_of(moments: Iterable[Moment]) -> int:
    """Return how many minors one major has in a picture of these moments.

    >>> unit_of([Moment(1, 0)]), unit_of([Moment(1, 17)]), unit_of([Moment(1, 250_000_000)])
    (1, 18, 1000000000)
    """
    largest = max((moment.minor for moment in moments), default=0)
    return _SECOND if _LOOKS_LIKE_NANOSECONDS <= largest < _SECOND else largest + 1


def after(moment: Moment, since: Moment, unit: int) -> Moment:
    """Return a moment some way behind `moment`, to draw an interval without an end up to it."""
    span = (moment.major - since.major) * unit + moment.minor - since.minor
    place = moment.major * unit + moment.minor + (span // 12 or unit)
    return min(Moment(*divmod(place, unit)), Moment(LIMIT + 1, 0))


def _round_step(span: int, most: int, base: int) -> int:
    """Return the smallest of base times 1, 2, 5, 10, 20 … that fits into the span fewer times."""
    step = base
    for factor in _factors():
        step = base * factor
        if span // step <= most:
            break
    return step


def _factors() -> Iterator[int]:
    decade = 1
    while True:
        yield from (decade, 2 * decade, 5 * decade)
        decade *= 10
