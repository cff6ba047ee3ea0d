"""Between the columns of the view and the values of the domain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from datastore_logic.domain.moment import Interval, Moment
from datastore_logic.domain.tags import Digest
from datastore_logic.domain.timeline import Payload, Row

if TYPE_CHECKING:
    from collections.abc import Sequence

COLUMNS: Final = (
    "start_major, start_minor, end_major, end_minor, name, checksum, digest, size, revision"
)
"""The columns that `row` reads and `columns` writes, in this order."""


def row(columns: Sequence[Any]) -> Row:
    """Return the payload IOV of one row's COLUMNS."""
    start_major, start_minor, end_major, end_minor, name, checksum, digest, size, revision = columns
    end = None if end_major is None else Moment(end_major, end_minor)
    payload = Payload(name, checksum, None if digest is None else Digest(digest), size, revision)
    return Row(Interval(Moment(start_major, start_minor), end), payload)


def columns(iov: Row) -> tuple[Any, ...]:
    """Return a payload IOV's COLUMNS."""
    start, end, payload = iov.interval.start, iov.interval.end, iov.payload
    until = (None, None) if end is None else (end.major, end.minor)
    return (
        start.major, start.minor, *until,
        payload.name, payload.checksum, payload.digest, payload.size, payload.revision,
    )  # fmt: skip
