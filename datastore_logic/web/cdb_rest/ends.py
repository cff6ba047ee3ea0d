"""How this contract writes the end of an IOV, and nothing else in the system does.

An open end is (2^63-1, 2^63-1). In the mode `continuous` an IOV holds up to its end, as everywhere
inside; in `discrete` its end is the last moment at which it holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from datastore_logic.config import IovMode
from datastore_logic.domain.moment import LIMIT, Interval, Moment
from datastore_logic.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datastore_logic.domain.moment import Pair

OPEN: Final = (LIMIT, LIMIT)


@dataclass(frozen=True, slots=True)
class Ends:
    """The conversions of one mode.

    >>> Ends(IovMode.DISCRETE).read((7, 4)), Ends(IovMode.CONTINUOUS).read((7, 4))
    ((7, 5), (7, 4))
    """

    mode: IovMode

    def read(self, told: Pair) -> Pair | None:
        """Return the first moment at which what ends so does not hold, None if it always does."""
        if told == OPEN:
            return None
        return _following(told) if self.mode is IovMode.DISCRETE else told

    def write(self, end: Pair | None) -> Pair:
        """Return what `read` would read as this end."""
        if end is None:
            return OPEN
        return _preceding(end) if self.mode is IovMode.DISCRETE else end

    def interval(self, name: str, start: Moment, end: Moment) -> Interval:
        """Return the interval that a caller tells for the payload `name`.

        Raises:
            BadRequest: the end does not follow the start, as the mode demands.
        """
        until = self.read(end.pair())
        if until is not None and until <= start.pair():
            raise BadRequest(
                f"{name} PayloadIOV ending IOVs should be greater or equal than starting."
                f" Provided end IOVs: major_iov: {start.major} major_iov_end: {end.major}"
                f" minor_iov: {start.minor} minor_iov_end: {end.minor}",
                field="major_iov_end",
            )
        return Interval(start, None if until is None else Moment(*until))

    def rows(self, held: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Return rows whose columns 6 and 7 are an end, 9 columns each, with ends as told here."""
        if self.mode is IovMode.DISCRETE:
            return [(*row[:6], *self.write(_pair(row[6], row[7])), row[8]) for row in held]
        return [row[:9] if row[6] is not None else (*row[:6], *OPEN, row[8]) for row in held]


def comb_iov(major: int, minor: int) -> str:
    """Return `major + minor / 10^19` in the 19 decimals that nopayloaddb keeps.

    >>> comb_iov(3, 1000)
    '3.0000000000000001000'
    """
    return f"{major}.{minor:019d}"


def _pair(major: int | None, minor: int | None) -> Pair | None:
    return None if major is None else (major, minor or 0)


def _following(moment: Pair) -> Pair:
    major, minor = moment
    return (major, minor + 1) if minor < LIMIT else (major + 1, 0)


def _preceding(moment: Pair) -> Pair:
    major, minor = moment
    return (major, minor - 1) if minor else (major - 1, LIMIT)
