"""Which payload IOVs would change no answer: their payload holds already, all over their validity.

Two payloads are identical when their digests are; their names are not compared. The rule knows the
server's own for bulk inserts (docs/conditions-model.md): an entry without an end stops at the next
start, sent or stored. Leaving out what this names, and sending the rest, resolves at every moment
to the same digests as sending all. Pure.

Where sent intervals overlap each other it names none: what they come to depends on their order.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from condstore.moments import Moment


class Held(NamedTuple):
    """A payload over [start, end), open without an end; no digest: it is kept elsewhere."""

    start: Moment
    end: Moment | None
    digest: str | None


def needless(stored: Sequence[Held], sent: Sequence[Held]) -> set[int]:
    """Return the places in `sent`, one payload type, of what need not be inserted.

    `stored` are the rows of the list, by start and disjoint, that overlap or follow what is sent,
    at least up to the first that starts after all of it.
    """
    newest = {one.start: place for place, one in enumerate(sent)}  # of equal starts the last counts
    order = [newest[start] for start in sorted(newest)]
    replaced = set(range(len(sent))) - set(order)
    if _overlap(sent, order):
        return set()
    standing = _Standing(stored)
    found: set[int] = set()
    kept: Held | None = None
    following = [*(sent[place].start for place in order[1:]), None]
    for place, after in zip(order, following, strict=True):
        one = sent[place]
        if standing.answers(one, _first(after, standing.start_after(one.start)), kept):
            found.add(place)
        else:
            kept = one
    return found | replaced


class _Standing:
    """What the list has, looked up by moment."""

    def __init__(self, rows: Sequence[Held]) -> None:
        self._rows = rows
        self._starts = [row.start for row in rows]

    def start_after(self, moment: Moment) -> Moment | None:
        place = bisect_right(self._starts, moment)
        return self._starts[place] if place < len(self._starts) else None

    def answers(self, one: Held, following: Moment | None, kept: Held | None) -> bool:
        """Say whether `one` is answered all over its validity without being inserted.

        `following` is the next start after its own, `kept` the sent entry before it that is.
        """
        end = one.end or following
        at = bisect_right(self._starts, one.start) - 1
        if kept is not None and kept.end is None and (at < 0 or self._starts[at] <= kept.start):
            return kept.digest == one.digest and end == following  # it runs on that far by itself
        return self._covers(at, one, end)

    def _covers(self, at: int, one: Held, end: Moment | None) -> bool:
        """Say whether the rows from `at` on have this payload over [one.start, end), unbroken."""
        reached: Moment | None = one.start
        while reached is not None and 0 <= at < len(self._rows):
            row = self._rows[at]
            if row.digest != one.digest or row.start > reached or not _reaches(row.end, reached):
                return False
            reached = row.end
            if reached is not None and end is not None and reached >= end:
                return True
            at += 1
        return reached is None


def _overlap(sent: Sequence[Held], order: Sequence[int]) -> bool:
    """Say whether an end that was told lies beyond the next start."""
    pairs = pairwise(sent[place] for place in order)
    return any(one.end is not None and one.end > other.start for one, other in pairs)


def _reaches(end: Moment | None, moment: Moment) -> bool:
    return end is None or end > moment


def _first(one: Moment | None, other: Moment | None) -> Moment | None:
    return min((each for each in (one, other) if each is not None), default=None)
