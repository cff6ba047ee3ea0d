"""Which payloads of a tag hold at a moment: one indexed look-up a payload list.

The rows of a timeline are disjoint, so the last one beginning at or before the moment is the
only one that can hold it; whether it does, its end says. A gap is a gap.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from datastore_logic.domain.moment import Interval, Moment, earlier_end
from datastore_logic.errors import NotFound
from datastore_logic.view.browse import find_ref
from datastore_logic.view.rows import row

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datastore_logic.domain.tags import PayloadTypeName, TagRef
    from datastore_logic.domain.timeline import Row
    from datastore_logic.view.browse import TagRow
    from datastore_logic.view.database import Snapshot

BEGINNING: Final = Moment(0, 0)

LAST_AT_OR_BEFORE: Final = """
SELECT t.name, l.timeline_id,
       i.start_major, i.start_minor, i.end_major, i.end_minor, i.name, i.checksum, i.digest, i.size
FROM payload_list l
JOIN payload_type t ON t.id = l.type_id
LEFT JOIN iov i ON i.timeline_id = l.timeline_id AND (i.start_major, i.start_minor) = (
    SELECT start_major, start_minor FROM iov
    WHERE timeline_id = l.timeline_id AND (start_major, start_minor) <= (:major, :minor)
    ORDER BY start_major DESC, start_minor DESC LIMIT 1
)
WHERE l.tag_id = :tag
"""
"""Both steps are searches of iov's primary key; a test reads the query plan."""

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
    tag = find_ref(snapshot, ref)
    found = sorted(_spans(snapshot, tag.id, moment, only), key=itemgetter(0))
    if only is not None and not found:
        raise NotFound("payload_type", f"{only} in global tag {ref}")
    return Resolution(
        ref,
        tag,
        snapshot.lsn if ref.fingerprint is None else tag.lsn,
        moment,
        _common(span for _, span, _ in found),
        tuple((kind, iov) for kind, _, iov in found if iov is not None),
        tuple(kind for kind, _, iov in found if iov is None),
    )


def _spans(
    snapshot: Snapshot, tag_id: int, moment: Moment, only: PayloadTypeName | None
) -> Iterable[tuple[str, Interval, Row | None]]:
    """Yield each list's type, the span or gap that contains the moment, and the payload IOV."""
    query = LAST_AT_OR_BEFORE if only is None else f"{LAST_AT_OR_BEFORE} AND t.name = :type"
    asked = {"tag": tag_id, "major": moment.major, "minor": moment.minor, "type": only}
    for kind, timeline_id, *columns in snapshot.connection.execute(query, asked):
        last = None if columns[0] is None else row(columns)
        if last is not None and moment in last.interval:
            yield kind, last.interval, last
        else:
            yield kind, _gap(snapshot, timeline_id, moment, last), None


def _gap(snapshot: Snapshot, timeline_id: int, moment: Moment, last: Row | None) -> Interval:
    """Return the gap around `moment`, from the end of the row before it to the next start."""
    asked = (timeline_id, moment.major, moment.minor)
    following = snapshot.connection.execute(FIRST_AFTER, asked).fetchone()
    since = last.interval.end if last is not None else None
    return Interval(since or BEGINNING, Moment(*following) if following else None)


def _common(spans: Iterable[Interval]) -> Interval:
    """Return what all spans have in common: never nothing, for each contains the moment."""
    start, end = BEGINNING, None
    for span in spans:
        start, end = max(start, span.start), earlier_end(end, span.end)
    return Interval(start, end)
