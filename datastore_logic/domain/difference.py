"""What differs between two timelines: over which moments another payload holds, or none does.

Two ordered streams of rows are merged in one pass that holds a row of each. Payloads are the same
when name, checksum and digest are; how intervals are cut does not matter, so that neighbours with
one payload count as one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from datastore_logic.domain.bare import payload_of
from datastore_logic.domain.moment import LIMIT, Interval, Moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from datastore_logic.domain.bare import Bare
    from datastore_logic.domain.moment import Pair
    from datastore_logic.domain.timeline import Payload

_OPEN: Final = (LIMIT + 1, 0)
_Piece = tuple["Pair", "Pair", "Bare | None", "Bare | None"]


@dataclass(frozen=True, slots=True)
class Changed:
    """An interval over which `old` held throughout and `new` does now; None is a gap."""

    interval: Interval
    old: Payload | None
    new: Payload | None


def differences(old: Iterable[Bare], new: Iterable[Bare]) -> Iterator[Changed]:
    """Yield what changes from the rows of one timeline to those of another, in order.

    Each is as long as can be: before and after it something else changes, or nothing.

    >>> a, b = ("a", None, None, 1, None), ("b", None, None, 1, None)
    >>> old = [(1, 0, 3, 0, *a), (3, 0, 9, 0, *a)]
    >>> found = differences(old, [(1, 0, 5, 0, *a), (5, 0, None, None, *b)])
    >>> [(str(c.interval), c.old and c.old.name, c.new.name) for c in found]
    [('[5:0, 9:0)', 'a', 'b'), ('[9:0, ∞)', None, 'b')]
    """
    held: _Piece | None = None
    for piece in _pieces(old, new):
        if held is not None and _continues(held, piece):
            held = (held[0], piece[1], held[2], held[3])
            continue
        if held is not None:
            yield _changed(held)
        held = piece
    if held is not None:
        yield _changed(held)


def union(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """Return what intervals in any order cover together, disjoint, apart and ordered.

    >>> parts = Interval(Moment(5), Moment(9)), Interval(Moment(1), Moment(5)), Interval(Moment(12))
    >>> [str(interval) for interval in union(parts)]
    ['[1:0, 9:0)', '[12:0, ∞)']
    """
    found: list[Interval] = []
    for interval in sorted(intervals, key=lambda one: one.start):
        last = found[-1] if found else None
        if last is None or (last.end is not None and last.end < interval.start):
            found.append(interval)
        elif last.end is not None and (interval.end is None or interval.end > last.end):
            found[-1] = Interval(last.start, interval.end)
    return tuple(found)


def _pieces(old: Iterable[Bare], new: Iterable[Bare]) -> Iterator[_Piece]:
    """Yield where they differ, cut wherever a row of either begins or ends."""
    olds, news = iter(old), iter(new)
    one, other = next(olds, None), next(news, None)
    at = (0, 0)
    while one is not None or other is not None:
        if one == other:  # most of two versions of a timeline: skipped without a look at its parts
            one, other = next(olds, None), next(news, None)
            continue
        at = max(at, min(_start(one), _start(other)))
        before, after = _holding(one, at), _holding(other, at)
        until = min(_boundary(one, at), _boundary(other, at))
        if not _same(before, after):
            yield at, until, before, after
        at = until
        if one is not None and _end(one) <= at:
            one = next(olds, None)
        if other is not None and _end(other) <= at:
            other = next(news, None)


def _start(row: Bare | None) -> Pair:
    return _OPEN if row is None else (row[0], row[1])


def _end(row: Bare) -> Pair:
    return _OPEN if row[2] is None else (row[2], row[3])


def _holding(row: Bare | None, at: Pair) -> Bare | None:
    """Return the row if it holds at a moment before its end."""
    return row if _start(row) <= at else None


def _boundary(row: Bare | None, at: Pair) -> Pair:
    """Return the row's next boundary after a moment before its end."""
    start = _start(row)
    return start if row is None or start > at else _end(row)


def _same(one: Bare | None, other: Bare | None) -> bool:
    if one is None or other is None:
        return one is other
    return one[4:7] == other[4:7]


def _continues(held: _Piece, piece: _Piece) -> bool:
    return held[1] == piece[0] and _same(held[2], piece[2]) and _same(held[3], piece[3])


def _changed(piece: _Piece) -> Changed:
    start, end, old, new = piece
    interval = Interval(Moment(*start), None if end == _OPEN else Moment(*end))
    before, after = (None if row is None else payload_of(row) for row in (old, new))
    return Changed(interval, before, after)
