"""Payload IOVs of a tag that lost a part of their interval, or all of it, to newer ones.

They are found among the past versions of rows. An IOV without an end that now ends where another
begins is none of them: so it was meant. Nor is one that somebody deleted; what newer ones replaced
is kept as a loose IOV, but for segments, which nobody deletes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from datastore_logic.domain.bare import interval_of
from datastore_logic.domain.findings import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datastore_logic.view.contents import Content, ContentList
    from datastore_logic.view.database import Snapshot

# A timeline that was copied to be written to is changed by the entry from which on the tag has it.
_PAST: Final = """
SELECT p.start_major, p.start_minor, p.end_major, p.end_minor, p.name, p.digest, p.until_lsn
FROM attachment a
JOIN iov_past p ON p.timeline_id = a.timeline_id
LEFT JOIN iov c ON (c.timeline_id, c.start_major, c.start_minor, c.lsn)
    = (p.timeline_id, p.start_major, p.start_minor, p.until_lsn)
LEFT JOIN iov_past q ON (q.timeline_id, q.start_major, q.start_minor, q.lsn)
    = (p.timeline_id, p.start_major, p.start_minor, p.until_lsn)
WHERE a.tag_id = ? AND a.list_id = ?
    AND p.until_lsn >= a.lsn AND p.until_lsn <= ?
    AND (a.until_lsn IS NULL OR p.until_lsn < a.until_lsn)
    AND CASE
        WHEN coalesce(c.id, q.id) IS NULL THEN ? OR p.id IN (SELECT id FROM main.loose_iov)
        WHEN coalesce(c.id, q.id) = p.id THEN p.end_major IS NOT NULL
        ELSE 1
    END
"""


def cuts(snapshot: Snapshot, content: Content, held: ContentList) -> Iterator[Place]:
    """Yield what each was before it was cut, in this tag, and the LSN of the entry that cut it."""
    asked = (content.tag.id, held.list_id, content.lsn, content.tag.streamed)
    for *interval, name, digest, lsn in snapshot.connection.execute(_PAST, asked):
        yield Place(interval_of(tuple(interval)), name, digest, lsn)
