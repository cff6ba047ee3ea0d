"""The rows of one list as a bundle keeps them: each tells where the next one starts.

Where the range begins in a gap there is first a row without a payload, which ends where it starts:
so a gap is told by a row too, and never by there being none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from condstore.errors import UnexpectedAnswer
from condstore.moments import Moment, written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from condstore.results import PayloadIOV

Gap: TypeAlias = "tuple[Moment, Moment | None]"
"""From where to where there is no payload."""

Line: TypeAlias = tuple[Any, ...]
"""The columns `format.ROW`."""


def linked(
    number: int,
    rows: Iterable[PayloadIOV],
    begin: Moment,
    end: Moment | None,
    gap_at: Callable[[Moment], Gap] | None = None,
) -> Iterator[Line]:
    """Yield the lines of list `number` that matter in [begin, end).

    `rows` are all of the list, or those that overlap the range; then `gap_at` tells what lies
    beside them.
    """
    before, after, last = Moment(0), None, None
    for row in _checked(rows):
        if row.end is not None and row.end <= begin:
            before = row.end
        elif end is not None and row.start >= end:
            after = after or row.start
        else:
            if last is not None:
                yield _line(number, last, row.start)
            elif row.start > begin:
                since = before if gap_at is None else gap_at(begin)[0]
                yield _nothing(number, since, row.start)
            last = row
    if last is None:
        yield _nothing(number, *((before, after) if gap_at is None else gap_at(begin)))
        return
    if gap_at is not None and end is not None and last.end is not None and last.end < end:
        after = gap_at(last.end)[1]
    yield _line(number, last, after)


def _checked(rows: Iterable[PayloadIOV]) -> Iterator[PayloadIOV]:
    """Yield the rows if they come in order and none overlaps another."""
    last: PayloadIOV | None = None
    for row in rows:
        overlaps = last is not None and (last.end is None or row.start < last.end)
        if overlaps or (row.end is not None and row.end <= row.start):
            raise UnexpectedAnswer(
                f"payload IOVs of {row.payload_type} overlap at {written(row.start)}, which no "
                "server of ours tells: nothing was written"
            )
        yield row
        last = row


def _line(number: int, row: PayloadIOV, following: Moment | None) -> Line:
    end, after = row.end or (None, None), following or (None, None)
    return (
        number, *row.start, *end, *after,
        row.name, row.checksum, row.digest, row.size, row.revision, row.id, row.lsn,
    )  # fmt: skip


def _nothing(number: int, since: Moment, following: Moment | None) -> Line:
    after = following or (None, None)
    return (number, *since, *since, *after, None, None, None, None, None, None, None)
