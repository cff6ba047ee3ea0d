"""What lies in each cell of a window: one interval, several, a gap, or a gap too narrow to measure.

An interval is seen in the cell it starts in, unless it shares that cell with others; a gap that
covers no cell entirely takes the one it begins in, whatever else is there. A gap lies between two
intervals; what of the window lies before the first or behind the last is an edge.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from itertools import groupby
from typing import TYPE_CHECKING

from condstore.plot import scale as scales
from condstore.plot.scale import Scale

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from condstore.moments import Moment
    from condstore.results import PayloadIOV


class Kind(Enum):
    """What a cell shows; neighbouring intervals take turns at being ONE and OTHER."""

    ONE = "one"
    OTHER = "other"
    SEVERAL = "several"
    GAP = "gap"
    SLIVER = "sliver"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Row:
    """The intervals of one payload list in a window, as positions, and what the window lacks."""

    scale: Scale
    bars: tuple[tuple[int, int], ...]
    gaps: tuple[tuple[int, int], ...]
    edges: tuple[tuple[int, int], ...]
    kinds: tuple[Kind, ...]
    overlaps: int
    open_end: bool

    @classmethod
    def of(cls, iovs: Iterable[PayloadIOV], scale: Scale) -> Row:
        """Lay payload IOVs, in any order, out on a scale."""
        laid = [(scale.position(iov.start), _end(iov, scale)) for iov in iovs]
        clipped = [
            (scale.clipped(start), scale.clipped(scale.high if end is None else end))
            for start, end in laid
        ]
        bars = tuple(sorted(bar for bar in clipped if bar[0] < bar[1]))
        open_end = any(end is None and start < scale.high for start, end in laid)
        lacking, overlaps = _lacking(bars, scale)
        edges = tuple(one for one in lacking if scale.low in one or scale.high in one)
        gaps = tuple(one for one in lacking if one not in edges)
        kinds = _kinds(scale, bars)
        for kind, places in ((Kind.GAP, gaps), (Kind.NOTHING, edges)):
            for place in places:
                _mark(scale, place, kind, kinds)
        return cls(scale, bars, gaps, edges, tuple(kinds), overlaps, open_end)

    @property
    def largest(self) -> tuple[int, int]:
        """The widest gap; there must be one."""
        return max(self.gaps, key=lambda gap: gap[1] - gap[0])

    def runs(self) -> Iterator[tuple[Kind, int, int]]:
        """Yield (kind, first cell, how many) for each run of cells that show the same."""
        at = 0
        for kind, run in groupby(self.kinds):
            count = len(list(run))
            yield kind, at, count
            at += count


def window(
    iovs: Sequence[PayloadIOV], begin: Moment | None, end: Moment | None, cells: int
) -> Scale | None:
    """Return the scale from `begin` to `end`, else of all the intervals; None if that is empty."""
    starts = [iov.start for iov in iovs]
    ends = [iov.end for iov in iovs if iov.end is not None]
    unit = scales.unit_of([*starts, *ends, *(one for one in (begin, end) if one is not None)])
    low = begin if begin is not None else min(starts, default=None)
    high = end if end is not None else max([*starts, *ends], default=None)
    if low is None or high is None:
        return None
    if end is None and len(ends) < len(starts):
        high = scales.after(max(low, high), low, unit)
    return Scale.between(low, high, unit, cells) if low < high else None


def _end(iov: PayloadIOV, scale: Scale) -> int | None:
    return None if iov.end is None else scale.position(iov.end)


def _kinds(scale: Scale, bars: tuple[tuple[int, int], ...]) -> list[Kind]:
    """Say of each cell whose it is, as if there were no gaps."""
    starts: dict[int, list[int]] = {}
    for turn, (start, _) in enumerate(bars):
        starts.setdefault(scale.cell(start), []).append(turn)
    kinds, turn = [], 0
    for cell in range(scale.cells):
        begun = starts.get(cell, ())
        turn = begun[-1] if begun else turn
        one = Kind.OTHER if turn % 2 else Kind.ONE
        kinds.append(Kind.SEVERAL if len(begun) > 1 else one)
    return kinds


def _mark(scale: Scale, lacking: tuple[int, int], kind: Kind, kinds: list[Kind]) -> None:
    """Say of the cells where something lacks that it does; a narrow gap takes a whole cell."""
    whole = scale.whole(*lacking)
    for cell in whole:
        kinds[cell] = kind
    if not whole:
        kinds[scale.cell(lacking[0])] = Kind.SLIVER


def _lacking(bars: tuple[tuple[int, int], ...], scale: Scale) -> tuple[list[tuple[int, int]], int]:
    """Return what of the window no bar covers, and how many bars begin before the last ended."""
    lacking: list[tuple[int, int]] = []
    overlaps, reached = 0, scale.low
    for start, end in bars:
        if start > reached:
            lacking.append((reached, start))
        overlaps += start < reached
        reached = max(reached, end)
    if reached < scale.high:
        lacking.append((reached, scale.high))
    return lacking, overlaps
