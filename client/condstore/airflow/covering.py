"""Whether intervals leave a gap: half-open, in order of their starts, perhaps overlapping."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from condstore.moments import Moment


def first_gap(
    intervals: Iterable[tuple[Moment, Moment | None]], begin: Moment, end: Moment
) -> tuple[Moment, Moment] | None:
    """Return the first part of [begin, end) that no interval covers, or None.

    `intervals` come by their start; one without an end covers all that follows. Reads no further
    than it must.

    >>> from condstore.moments import Moment as M
    >>> first_gap([(M(0), M(5)), (M(5), M(9)), (M(11), None)], M(1), M(20))
    (Moment(major=9, minor=0), Moment(major=11, minor=0))
    >>> first_gap([(M(0), M(5)), (M(3), None)], M(1), M(20)) is None
    True
    >>> first_gap([], M(1), M(20))
    (Moment(major=1, minor=0), Moment(major=20, minor=0))
    """
    reached = begin
    for start, stop in intervals:
        if reached < start:
            return reached, min(start, end)
        if stop is None:
            return None
        reached = max(reached, stop)
        if reached >= end:
            return None
    return reached, end
