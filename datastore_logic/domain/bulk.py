"""Many payload IOVs into one timeline at once: what the timeline loses, and what it gains.

Loaders send starts and seldom ends. So in bulk an entry without an end stops at the next start
in its list, sent or stored, and of two with an equal start the later sent replaces the earlier:
the order of loading does not matter (contracts/cdb-rest.md). Entries with ends follow the rules of
a single insert, one after the other.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter, lt
from typing import TYPE_CHECKING

from datastore_logic.domain.columns import Columns
from datastore_logic.domain.errors import LockedOverlap
from datastore_logic.domain.moment import Interval, Moment
from datastore_logic.domain.tags import Act, Rule, TagState, rule
from datastore_logic.domain.timeline import Attach, Detach, Row, Trim, insert

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from datastore_logic.domain.moment import Pair
    from datastore_logic.domain.timeline import Change


@dataclass(frozen=True, slots=True)
class Effects:
    """What becomes of a timeline: rows that leave, that end earlier, and that come."""

    attached: Columns
    detached: tuple[Moment, ...] = ()
    trimmed: tuple[tuple[Moment, Moment], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.attached or self.detached or self.trimmed)

    @classmethod
    def of(cls, changes: Iterable[Change], iov_id: int | None = None) -> Effects:
        """Return the changes of a single insert; the last one attached is known as `iov_id`."""
        told = tuple(changes)
        rows = [change.row for change in told if isinstance(change, Attach)]
        ids = None if iov_id is None else [*[None] * (len(rows) - 1), iov_id]
        return cls(
            Columns.of(rows, ids if rows else None),
            tuple(change.start for change in told if isinstance(change, Detach)),
            tuple((change.start, change.end) for change in told if isinstance(change, Trim)),
        )


def lay(
    stored: Sequence[Row], wanted: Columns, state: TagState, *, following: Pair | None = None
) -> Effects:
    """Return what putting all of `wanted` into a timeline changes.

    `stored` are its rows, in order, that overlap the span of `wanted`: from its first start to its
    last end, or to the first stored start after its last start where entries are open; that
    start, if there is one, is `following`. Nothing is half done: either all fits, or it raises.

    Raises:
        TagIsFrozen: in a frozen tag.
        LockedOverlap: in a locked tag, naming both intervals.
    """
    allowed = rule(state, Act.INSERT_IOV)
    if not wanted:
        return Effects(wanted)
    order = _in_order(wanted.starts())
    ends = _ends(order, wanted, [row.interval.start.pair() for row in stored], following)
    sent = wanted.picked(order, ends)
    is_open = [wanted.end_major is None or wanted.end_major[at] is None for at in order]
    if _follow_each_other(sent) and _only_follow(stored, sent, all_open=all(is_open)):
        first = Moment(*sent.starts()[0])
        return Effects(sent, trimmed=tuple((row.interval.start, first) for row in stored))
    rows = list(sent.rows())
    if allowed is Rule.ADD_ONLY:
        _refuse_overlaps(stored, rows, is_open)
    as_sent = sorted(range(len(rows)), key=order.__getitem__)
    return _one_by_one(stored, [rows[at] for at in as_sent])


def _in_order(starts: list[Pair]) -> list[int]:
    """Return the places by start; of equal ones only the last that was sent."""
    if all(map(lt, starts, starts[1:])):
        return list(range(len(starts)))
    newest = {start: at for at, start in enumerate(starts)}
    return [at for _, at in sorted(newest.items(), key=itemgetter(0))]


def _ends(
    order: list[int], wanted: Columns, stored: list[Pair], following: Pair | None
) -> list[Pair | None]:
    """Return each end: as it was sent, or else the next start, sent or stored."""
    starts, told = wanted.starts(), wanted.ends()
    mine = [starts[at] for at in order]
    after: list[Pair | None] = [*mine[1:], following]
    if any(start > mine[0] for start in stored):
        known = sorted({*mine, *stored, *([following] if following else [])})
        after = [_next(known, start) for start in mine]
    return [told[at] or after[place] for place, at in enumerate(order)]


def _next(known: list[Pair], start: Pair) -> Pair | None:
    place = bisect_right(known, start)
    return known[place] if place < len(known) else None


def _follow_each_other(sent: Columns) -> bool:
    """Whether no interval reaches beyond the start of the next."""
    pairs = zip(sent.ends(), sent.starts()[1:], strict=False)
    return all(end is not None and end <= start for end, start in pairs)


def _only_follow(stored: Sequence[Row], sent: Columns, *, all_open: bool) -> bool:
    """Whether nothing stored is touched, but for an open-ended row that ends where they begin."""
    if not stored:
        return True
    first = stored[0].interval
    return all_open and len(stored) == 1 and first.is_open and first.start.pair() < sent.starts()[0]


def _refuse_overlaps(stored: Sequence[Row], rows: list[Row], is_open: list[bool]) -> None:
    """Raise LockedOverlap unless every row falls into a gap, follows the open tail, or is there."""
    for one, other in pairwise(rows):
        if one.interval.overlaps(other.interval):
            raise LockedOverlap(other, one)
    held = _Rows(stored)
    for row, was_open in zip(rows, is_open, strict=True):
        for there in held.overlapping(row.interval):
            follows = there.interval.is_open and there.interval.start < row.interval.start
            if there != row and not (was_open and follows):
                raise LockedOverlap(row, there)


def _one_by_one(stored: Sequence[Row], rows: Iterable[Row]) -> Effects:
    """Insert each row in turn; return what is other in the end than at the beginning."""
    now = _Rows(stored)
    came: set[Moment] = set()
    for row in rows:
        for change in insert(now.overlapping(row.interval), row, TagState.UNLOCKED):
            now.follow(change)
            if isinstance(change, Attach):
                came.add(change.row.interval.start)
            elif isinstance(change, Detach):
                came.discard(change.start)
    stayed = [row for row in stored if row.interval.start in now and row.interval.start not in came]
    ends = [(row.interval, now[row.interval.start].interval.end) for row in stayed]
    left = {row.interval.start for row in stored} - {row.interval.start for row in stayed}
    return Effects(
        Columns.of(now[start] for start in sorted(came)),
        tuple(sorted(left)),
        tuple((was.start, end) for was, end in ends if end is not None and end != was.end),
    )


class _Rows:
    """The rows of a timeline while a bulk insert is worked out."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._starts = [row.interval.start for row in rows]
        self._at = dict(zip(self._starts, rows, strict=True))

    def __contains__(self, start: Moment) -> bool:
        return start in self._at

    def __getitem__(self, start: Moment) -> Row:
        return self._at[start]

    def overlapping(self, wanted: Interval) -> list[Row]:
        starts = self._starts
        first = max(0, bisect_right(starts, wanted.start) - 1)
        last = len(starts) if wanted.end is None else bisect_left(starts, wanted.end)
        near = (self._at[start] for start in starts[first:last])
        return [row for row in near if row.interval.overlaps(wanted)]

    def follow(self, change: Change) -> None:
        match change:
            case Attach(row):
                insort(self._starts, row.interval.start)
                self._at[row.interval.start] = row
            case Trim(start, end):
                self._at[start] = Row(Interval(start, end), self._at[start].payload)
            case Detach(start):
                del self._starts[bisect_left(self._starts, start)]
                del self._at[start]
