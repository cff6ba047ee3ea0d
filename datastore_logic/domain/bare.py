"""A payload IOV as nine bare columns, for who reads millions of them, and what they stand for.

This is the one place that knows the order of the columns; the view reads them in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datastore_logic.domain.moment import Interval, Moment
from datastore_logic.domain.tags import Digest
from datastore_logic.domain.timeline import Payload, Row

if TYPE_CHECKING:
    from collections.abc import Sequence

Bare = tuple[Any, ...]
"""(start major, minor, end major, minor, name, checksum, digest, size, revision).

An end of None, None is open. An end minor of None is 0.
"""


def interval_of(bare: Sequence[Any]) -> Interval:
    """Return over which interval it holds."""
    major, minor, end_major, end_minor = bare[:4]
    end = None if end_major is None else Moment(end_major, end_minor or 0)
    return Interval(Moment(major, minor), end)


def payload_of(bare: Sequence[Any]) -> Payload:
    """Return which payload holds."""
    name, checksum, digest, size, revision = bare[4:9]
    return Payload(name, checksum, None if digest is None else Digest(digest), size, revision)


def row_of(bare: Sequence[Any]) -> Row:
    """Return both.

    >>> str(row_of((1, 0, None, None, "a", None, None, None, None)).interval)
    '[1:0, ∞)'
    """
    return Row(interval_of(bare), payload_of(bare))


def bare_of(row: Row) -> Bare:
    """Return the columns that `row_of` reads as this row.

    >>> bare_of(Row(Interval(Moment(1), Moment(2, 5)), Payload("a", size=7)))
    (1, 0, 2, 5, 'a', None, None, 7, None)
    """
    start, end, payload = row.interval.start, row.interval.end, row.payload
    until = (None, None) if end is None else end.pair()
    told = (payload.name, payload.checksum, payload.digest, payload.size, payload.revision)
    return (*start.pair(), *until, *told)
