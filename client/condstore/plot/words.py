"""What a picture shows, in words: for the line below it, for tooltips, for who does not see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from condstore.terminal import plural

if TYPE_CHECKING:
    from collections.abc import Callable

    from condstore.moments import Moment
    from condstore.plot.cells import Row
    from condstore.plot.scale import Scale

    Written: TypeAlias = Callable[[Moment], str]


def counted(row: Row, written: Written) -> str:
    """Say how many intervals and gaps there are, which gap is the largest, where nothing is."""
    overlaps = [f"{row.overlaps} of them overlap the one before"] if row.overlaps else []
    edges = [f"no payload from {between(row.scale, *edge, written)}" for edge in row.edges]
    return ", ".join([plural(len(row.bars), "payload IOV"), *overlaps, _gaps(row, written), *edges])


def _gaps(row: Row, written: Written) -> str:
    if not row.gaps:
        return "no gap"
    largest = between(row.scale, *row.largest, written)
    if len(row.gaps) == 1:
        return f"1 gap: {largest}"
    return f"{plural(len(row.gaps), 'gap')}, the largest {largest}"


def between(scale: Scale, begin: int, end: int, written: Written) -> str:
    """Write an interval of positions."""
    return f"{written(scale.moment(begin))} to {written(scale.moment(end))}"
