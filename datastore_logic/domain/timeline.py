"""A timeline: disjoint, ordered intervals of one payload type, and what an insert does to them.

`insert` is a function from the rows it touches to the changes it makes, so that the ledger
records effects rather than intentions and replaying it needs no rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from datastore_logic.domain.errors import BadInterval, LockedOverlap
from datastore_logic.domain.moment import Interval, Moment
from datastore_logic.domain.tags import Act, Rule, TagState, rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from datastore_logic.domain.tags import Digest

NS_PER_S: Final = 10**9


@dataclass(frozen=True, slots=True)
class Payload:
    """What an interval points to.

    `name` is the caller's logical name (nopayloaddb's `payload_url`), `checksum` the caller's
    own string, kept verbatim. `digest` is None for bytes kept elsewhere; `size` (bytes) and
    `revision` may be known of those, too.
    """

    name: str
    checksum: str | None = None
    digest: Digest | None = None
    size: int | None = None
    revision: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One payload IOV: a payload and the interval over which it holds."""

    interval: Interval
    payload: Payload


@dataclass(frozen=True, slots=True)
class Attach:
    """A row that now stands in the timeline."""

    row: Row


@dataclass(frozen=True, slots=True)
class Trim:
    """The row beginning at `start` now ends at `end`."""

    start: Moment
    end: Moment


@dataclass(frozen=True, slots=True)
class Detach:
    """The row beginning at `start` is gone."""

    start: Moment


Change = Attach | Trim | Detach


def insert(rows: Iterable[Row], new: Row, state: TagState) -> tuple[Change, ...]:
    """Return what putting `new` into the timeline changes, in the order to apply it.

    `rows` are the disjoint rows that overlap `new`, in any order; rows that do not overlap it
    are ignored. In an unlocked tag the newest wins over its range: what it overlaps is
    trimmed, split or detached. In a locked one nothing may be overlapped, but that an
    open-ended row may follow an open-ended one, which then ends there. The very same row
    again changes nothing. (Rules: the table in docs/conditions-model.md.)

    Raises:
        TagIsFrozen: in a frozen tag.
        LockedOverlap: in a locked tag, naming both intervals.
    """
    touched = [row for row in rows if row.interval.overlaps(new.interval)]
    allowed = rule(state, Act.INSERT_IOV)
    if touched == [new]:
        return ()
    if allowed is Rule.ADD_ONLY:
        _refuse_overlap(touched, new)
    touched.sort(key=lambda row: row.interval.start)
    return (*(change for row in touched for change in _give_way(row, new)), Attach(new))


def apply(rows: Sequence[Row], changes: Iterable[Change]) -> tuple[Row, ...]:
    """Return the timeline after `changes`, ordered; the plain meaning of each change.

    Raises:
        KeyError: if a change names a row that is not there.
    """
    at = {row.interval.start: row for row in rows}
    for change in changes:
        match change:
            case Attach(row):
                at[row.interval.start] = row
            case Trim(start, end):
                at[start] = Row(Interval(start, end), at[start].payload)
            case Detach(start):
                del at[start]
    return tuple(at[start] for start in sorted(at))


def snap(interval: Interval, boundaries: Iterable[Moment], sample_ns: int) -> Interval:
    """Move each end of a segment to the nearest boundary within half a sample of it.

    Sample times written as decimals differ in the last digit from one segment to the next;
    without this, streaming would leave gaps and overlaps of nanoseconds. Moments are GPS
    seconds and nanoseconds. An interval that would become empty stays as it is.

    >>> str(snap(Interval(Moment(0, 999), Moment(9)), [Moment(1)], sample_ns=2 * 10**9))
    '[1:0, 9:0)'
    """
    known = tuple(boundaries)
    start = _nearest(interval.start, known, sample_ns)
    end = None if interval.end is None else _nearest(interval.end, known, sample_ns)
    try:
        return Interval(start, end)
    except BadInterval:
        return interval


def _give_way(row: Row, new: Row) -> tuple[Change, ...]:
    """Return what becomes of `row` when `new` takes its range."""
    kept = row.interval - new.interval
    start = row.interval.start
    if kept and kept[0].start == start:
        left, *right = kept
        assert left.end is not None  # noqa: S101 - what ends before another interval has an end
        return (Trim(start, left.end), *(Attach(Row(piece, row.payload)) for piece in right))
    return (Detach(start), *(Attach(Row(piece, row.payload)) for piece in kept))


def _refuse_overlap(touched: Sequence[Row], new: Row) -> None:
    if not touched:
        return
    follows_open_tail = (
        len(touched) == 1
        and touched[0].interval.is_open
        and new.interval.is_open
        and touched[0].interval.start < new.interval.start
    )
    if not follows_open_tail:
        raise LockedOverlap(new, touched[0])


def _nearest(moment: Moment, boundaries: Sequence[Moment], sample_ns: int) -> Moment:
    best = min(boundaries, key=lambda other: _distance_ns(moment, other), default=moment)
    return best if 2 * _distance_ns(moment, best) <= sample_ns else moment


def _distance_ns(one: Moment, other: Moment) -> int:
    return abs((one.major - other.major) * NS_PER_S + one.minor - other.minor)
