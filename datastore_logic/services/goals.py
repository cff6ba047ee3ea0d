"""The list that payload IOVs go into, looked up or still to be made, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from datastore_logic.domain import decisions
from datastore_logic.domain.decisions import PayloadList
from datastore_logic.domain.moment import Interval, Moment
from datastore_logic.domain.tags import ListName, PayloadTypeName, TagName
from datastore_logic.services.keys import list_key, tag_key, type_key
from datastore_logic.services.known import known_list, known_tag
from datastore_logic.view.iovs import first_start_after, overlapping
from datastore_logic.view.lists import find_list, list_of
from datastore_logic.view.tags import find_tag

if TYPE_CHECKING:
    from datastore_logic.domain.columns import Columns
    from datastore_logic.domain.events import ListChange
    from datastore_logic.domain.timeline import Row
    from datastore_logic.view.database import Snapshot
    from datastore_logic.view.lists import ListRow


class TagAndType(NamedTuple):
    """The list of a payload type in a tag, which is made if there is none."""

    tag: TagName
    payload_type: PayloadTypeName


@dataclass(frozen=True, slots=True)
class Goal:
    """A list that payload IOVs go into, as it is known; without a row it is still to be made."""

    row: ListRow | None
    held: PayloadList

    @classmethod
    def of(cls, snapshot: Snapshot, target: ListName | TagAndType) -> Goal:
        """Look the list up.

        Raises:
            NotFound: no such list or tag.
        """
        if isinstance(target, ListName):
            row = find_list(snapshot, target)
            return cls(row, known_list(snapshot, row))
        tag = find_tag(snapshot, target.tag)
        found = list_of(snapshot, tag.id, target.payload_type)
        if found is not None:
            return cls(found, known_list(snapshot, found))
        return cls(None, PayloadList(None, target.payload_type, known_tag(tag)))

    def inserted(self, snapshot: Snapshot, wanted: Columns) -> ListChange | None:
        """Return what inserting many changes; None if nothing.

        Raises:
            TagIsFrozen, LockedOverlap, TagIsStreamed: its tag's state does not allow it.
        """
        if self.row is None or not wanted:
            return decisions.insert_iovs(self.held, (), wanted, None)
        span, following = _span(snapshot, self.row.timeline_id, wanted)
        stored = overlapping(snapshot, self.row.timeline_id, span)
        return decisions.insert_iovs(self.held, stored, wanted, following)

    def with_one(self, snapshot: Snapshot, new: Row) -> ListChange | None:
        """Return what inserting one changes, its end taken as it is; None if nothing.

        Raises:
            TagIsFrozen, LockedOverlap, TagIsStreamed: its tag's state does not allow it.
        """
        timeline_id = self.row and self.row.timeline_id
        near = overlapping(snapshot, timeline_id, new.interval) if timeline_id else ()
        return decisions.insert_iov(self.held, near, new)

    def touches(self) -> tuple[str, ...]:
        """Return the keys that a change of it touches."""
        if self.row is not None:
            return (list_key(self.row.id),)
        return self.rests_on()

    def rests_on(self) -> tuple[str, ...]:
        """Return the keys that a decision about it rests on."""
        mine = () if self.row is None else (list_key(self.row.id),)
        made = (type_key(self.held.payload_type),) if self.row is None else ()
        tag = () if self.held.tag is None else (tag_key(self.held.tag.name),)
        return (*mine, *made, *tag)


def _span(
    snapshot: Snapshot, timeline_id: int, wanted: Columns
) -> tuple[Interval, tuple[int, int] | None]:
    """Return what the rows may touch, and the first stored start after all of theirs."""
    starts = wanted.starts()
    ends = wanted.ends()
    last = max((end for end in ends if end is not None), default=None)
    first, following = Moment(*min(starts)), None
    if None in ends:
        following = first_start_after(snapshot, timeline_id, Moment(*max(starts)))
        if following is None:
            return Interval(first), None
        after = following.pair()
        return Interval(first, Moment(*max(after, last or after))), after
    return Interval(first, None if last is None else Moment(*last)), None
