"""Which payloads of a tag hold at a moment: one indexed look-up a payload list.

The rows of a timeline are disjoint, so the last one beginning at or before the moment is the
only one that can hold it; whether it does, its end says. A gap is a gap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from datastore_logic.domain.moment import Interval, Moment, earlier_end
from datastore_logic.view.contents import find_content
from datastore_logic.view.iovs import rows_between
from datastore_logic.view.rows import COLUMNS, row

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datastore_logic.domain.tags import PayloadTypeName, TagRef
    from datastore_logic.domain.timeline import Row
    from datastore_logic.view.contents import Content, ContentList
    from datastore_logic.view.database import Snapshot
    from datastore_logic.view.tags import TagRow

BEGINNING: Final = Moment(0, 0)

LAST_AT_OR_BEFORE: Final = f"""
SELECT {COLUMNS} FROM iov
WHERE timeline_id = ? AND (start_major, start_minor) <= (?, ?)
ORDER BY start_major DESC, start_minor DESC LIMIT 1
"""  # noqa: S608 - COLUMNS is a constant

FIRST_AFTER: Final = """
SELECT start_major, start_minor FROM iov
WHERE timeline_id = ? AND (start_major, start_minor) > (?, ?)
ORDER BY start_major, start_minor LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Resolution:
    """The payloads that hold at `moment`, by type, and the types that have a gap there.

    The same answer holds for every moment of `holds`. `lsn` is what it reflects: all of the
    view, or just what was frozen where `ref` names a fingerprint; that answer never changes.
    """

    ref: TagRef
    tag: TagRow
    lsn: int
    moment: Moment
    holds: Interval
    payloads: tuple[tuple[str, Row], ...]
    gaps: tuple[str, ...]


def resolve(
    snapshot: Snapshot, ref: TagRef, moment: Moment, only: PayloadTypeName | None = None
) -> Resolution:
    """Return what holds at `moment` in the tag, of one payload type or of all.

    Raises:
        NotFound: no such tag, or it has no list of the type `only`.
    """
    content = find_content(snapshot, ref, only)
    found = [(held.payload_type, *_span(snapshot, content, held, moment)) for held in content.lists]
    return Resolution(
        ref,
        content.tag,
        content.lsn,
        moment,
        _common(span for _, span, _ in found),
        tuple((kind, iov) for kind, _, iov in found if iov is not None),
        tuple(kind for kind, _, iov in found if iov is None),
    )


def _span(
    snapshot: Snapshot, content: Content, held: ContentList, moment: Moment
) -> tuple[Interval, Row | None]:
    """Return a list's span or gap that contains the moment, and the payload IOV."""
    if content.as_of is not None:
        return _span_as_of(snapshot, content, held, moment)
    asked = (held.timeline_id, moment.major, moment.minor)
    columns = snapshot.connection.execute(LAST_AT_OR_BEFORE, asked).fetchone()
    last = None if columns is None else row(columns)
    if last is not None and moment in last.interval:
        return last.interval, last
    following = snapshot.connection.execute(FIRST_AFTER, asked).fetchone()
    since = last.interval.end if last is not None else None
    return Interval(since or BEGINNING, Moment(*following) if following else None), None


def _span_as_of(
    snapshot: Snapshot, content: Content, held: ContentList, moment: Moment
) -> tuple[Interval, Row | None]:
    since, until = BEGINNING, None
    for _, *columns, _ in rows_between(snapshot, held, None, content.as_of):
        iov = row(columns)
        if moment in iov.interval:
            return iov.interval, iov
        if moment < iov.interval.start:
            until = iov.interval.start
            break
        since = iov.interval.end or since
    return Interval(since, until), None


def _common(spans: Iterable[Interval]) -> Interval:
    """Return what all spans have in common: never nothing, for each contains the moment."""
    start, end = BEGINNING, None
    for span in spans:
        start, end = max(start, span.start), earlier_end(end, span.end)
    return Interval(start, end)
