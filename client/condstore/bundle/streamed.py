"""What a streamed list answers, held against the segments that its fingerprint is over.

Each row must lie where a segment with its payload does, and no segment may be without a row. So
who alters what is answered, and leaves the segments, is found: but for which of several segments
is answered where they overlap, and by how little ends snap, which the fingerprint does not cover.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from condstore.bundle.fingerprint import Exact

_Bound: TypeAlias = tuple[bool, int, int]


class Held:
    """Rows of one list, in order of their start, and the list's segments."""

    def __init__(self, segments: Iterable[Exact]) -> None:
        self._of: defaultdict[object, list[tuple[_Bound, _Bound]]] = defaultdict(list)
        for major, minor, end_major, end_minor, *payload in segments:
            span = _bound(major, minor), _bound(end_major, end_minor)
            self._of[tuple(payload)].append(span)
        self._ends: list[_Bound] = []
        self._starts: list[_Bound] = []

    def belongs(self, row: Exact) -> bool:
        """Take the next row, and say whether there is a segment with its payload there."""
        major, minor, end_major, end_minor, *payload = row
        begin, end = _bound(major, minor), _bound(end_major, end_minor)
        self._starts.append(begin)
        self._ends.append(end)
        spans = self._of.get(tuple(payload), ())
        return any(first < end and begin < last for first, last in spans)

    def all_answered(self) -> bool:
        """Say whether each segment has a row somewhere in it, now that all rows were taken."""
        return all(self._met(*span) for spans in self._of.values() for span in spans)

    def _met(self, first: _Bound, last: _Bound) -> bool:
        """Ends ascend with starts: find the first row that ends after the segment begins."""
        at = bisect_left(self._ends, (*first[:2], first[2] + 1))
        return at < len(self._ends) and self._starts[at] < last


def _bound(major: int | None, minor: int | None) -> _Bound:
    """Return a bound as it compares; that of an open end comes last."""
    return (True, 0, 0) if major is None or minor is None else (False, major, minor)
