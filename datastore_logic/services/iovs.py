"""Payload IOVs: make one, attach it to a list, insert many at once, delete one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from datastore_logic.domain import decisions
from datastore_logic.domain.events import IovCreated, TimelinesChanged
from datastore_logic.errors import NotFound, PayloadsMissing
from datastore_logic.services.commit import Asking, Committed, Draft, commit
from datastore_logic.services.goals import Goal, TagAndType
from datastore_logic.services.keys import iov_key, list_key, tag_key
from datastore_logic.services.known import known_list, list_in
from datastore_logic.services.rights import refuse_about
from datastore_logic.view.iovs import find_iov, iov_at, overlapping
from datastore_logic.view.lists import find_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from datastore_logic.domain.columns import Columns
    from datastore_logic.domain.moment import Interval
    from datastore_logic.domain.tags import ListName, PayloadTypeName, TagName
    from datastore_logic.domain.timeline import Row
    from datastore_logic.services.tier import Tier
    from datastore_logic.view.database import Snapshot


@dataclass(frozen=True, slots=True)
class Wanted:
    """Payload IOVs for one list."""

    target: ListName | TagAndType
    columns: Columns


def create_iov(tier: Tier, row: Row, *, asking: Asking) -> Committed:
    """Make a payload IOV in no list; `view.iovs.iov_made_by` the LSN finds it."""

    def decide(_snapshot: Snapshot) -> Draft | Committed:
        return Draft(IovCreated(row), (), {})

    return commit(tier, asking, (), f"create IOV {row}", decide)


def attach_iov(tier: Tier, name: ListName, iov_id: int, *, asking: Asking) -> Committed:
    """Put a payload IOV into a list; out of the one it is in, if it is in another.

    Raises:
        NotFound: no such list or IOV.
        TagIsFrozen, TagIsLocked, LockedOverlap, TagIsStreamed: a tag's state does not allow it.
    """

    def decide(snapshot: Snapshot) -> Draft | Committed:
        held, iov = find_list(snapshot, name), find_iov(snapshot, iov_id)
        if iov.list_id == held.id:
            return Committed(snapshot.lsn, new=False)
        lists = [held] if iov.list_id is None else [held, find_list(snapshot, iov.list_id)]
        left = [
            decisions.delete_iov(known_list(snapshot, other), iov.row.interval.start)
            for other in lists[1:]
        ]
        near = overlapping(snapshot, held.timeline_id, iov.row.interval)
        came = decisions.insert_iov(known_list(snapshot, held), near, iov.row, iov_id)
        if came is None:
            return Committed(snapshot.lsn, new=False)
        keys = (iov_key(iov_id), *(list_key(each.id) for each in lists))
        tags = (tag_key(each.tag) for each in lists if each.tag)
        return Draft(TimelinesChanged((*left, came)), keys, snapshot.touched(*keys, *tags))

    return commit(tier, asking, (name,), f"attach IOV {iov_id} {name}", decide)


def delete_iov(
    tier: Tier, tag: TagName, payload_type: PayloadTypeName, interval: Interval, *, asking: Asking
) -> Committed:
    """Delete the payload IOV of exactly this interval.

    Raises:
        NotFound: no such tag, list or IOV.
        TagIsFrozen, TagIsLocked, TagIsStreamed: the tag's state does not allow it.
    """

    def decide(snapshot: Snapshot) -> Draft | Committed:
        held = list_in(snapshot, tag, payload_type)
        found = iov_at(snapshot, held.timeline_id, interval.start)
        if found is None or found[1].interval != interval:
            raise NotFound("payload_iov", f"{interval} of {payload_type} in global tag {tag}")
        change = decisions.delete_iov(known_list(snapshot, held), interval.start)
        keys = (list_key(held.id),)
        event = TimelinesChanged((change,))
        return Draft(event, keys, snapshot.touched(*keys, tag_key(tag)))

    return commit(tier, asking, (tag,), f"delete IOV {tag} {payload_type} {interval}", decide)


def insert_iovs(tier: Tier, wanted: Sequence[Wanted], *, asking: Asking) -> Committed:
    """Insert payload IOVs into any number of lists: all or none, in one entry.

    Raises:
        NotFound: no such list or tag.
        PayloadsMissing: payloads named by digest are not in the store.
        TagIsFrozen, LockedOverlap, TagIsStreamed: a tag's state does not allow it.
    """
    about = [_named(each.target) for each in wanted]
    tier.decided(lambda snapshot: refuse_about(snapshot, asking.right, about))  # before all else
    _refuse_missing(tier, wanted)

    def decide(snapshot: Snapshot) -> Draft | Committed:
        goals = [Goal.of(snapshot, each.target) for each in wanted]
        changes = [
            goal.inserted(snapshot, each.columns) for goal, each in zip(goals, wanted, strict=True)
        ]
        done = tuple(change for change in changes if change is not None)
        if not done:
            return Committed(snapshot.lsn, new=False)
        moved = [goal for goal, change in zip(goals, changes, strict=True) if change is not None]
        keys = tuple(dict.fromkeys(key for goal in moved for key in goal.touches()))
        rests_on = dict.fromkeys(key for goal in goals for key in goal.rests_on())
        return Draft(TimelinesChanged(done), keys, snapshot.touched(*rests_on))

    return commit(tier, asking, about, _in_words(wanted) if asking.key else "", decide)


# ------------------------------------------------------------------------------------------------


def _refuse_missing(tier: Tier, wanted: Iterable[Wanted]) -> None:
    """Raise PayloadsMissing unless the store holds every payload that is named by its digest."""
    digests = {
        digest for each in wanted for digest in each.columns.digest or () if digest is not None
    }
    if digests and (missing := tier.buffer.missing(sorted(digests))):
        raise PayloadsMissing(missing)


def _named(target: ListName | TagAndType) -> ListName | TagName:
    return target.tag if isinstance(target, TagAndType) else target


def _in_words(wanted: Iterable[Wanted]) -> str:
    """Return the request in words, by which a repeat of it is known."""
    return "insert " + " ".join(
        f"{each.target} {orjson.dumps(each.columns.data()).decode()}" for each in wanted
    )
