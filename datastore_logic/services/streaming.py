"""Take any bytes as a payload that holds over an interval in a tag, the streamed one or another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from datastore_logic.domain.columns import Columns
from datastore_logic.domain.errors import TagIsFrozen
from datastore_logic.domain.events import ListChange, TimelinesChanged
from datastore_logic.domain.tags import Digest, TagState
from datastore_logic.domain.timeline import Payload, Row
from datastore_logic.errors import BufferIsFrozen, NotFound
from datastore_logic.services.commit import Asking, Committed, Draft, commit
from datastore_logic.services.goals import Goal, TagAndType
from datastore_logic.services.keys import BUFFER_STATE, list_key, tag_key, type_key
from datastore_logic.view.buffer import buffer
from datastore_logic.view.lists import list_of
from datastore_logic.view.requests import is_known
from datastore_logic.view.tags import tag_named

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datastore_logic.domain.moment import Interval
    from datastore_logic.domain.tags import TagName
    from datastore_logic.services.tier import Tier
    from datastore_logic.view.database import Snapshot
    from datastore_logic.view.tags import TagRow


@dataclass(frozen=True, slots=True)
class StoredPayload:
    """A payload with its interval, as it now stands in a tag."""

    tag: str
    payload_type: str
    name: str
    digest: str
    size: int
    interval: Interval
    lsn: int


def stream_payload(
    tier: Tier,
    body: Iterable[bytes],
    length: int | None,
    target: TagAndType,
    interval: Interval,
    *,
    name: str | None = None,
    asking: Asking,
) -> StoredPayload:
    """Keep any bytes as a payload that holds over `interval` in the tag.

    Raises:
        NotFound: no such tag.
        KeyReused: the key named another request.
        TagIsFrozen, LockedOverlap, BufferIsFrozen: it takes nothing there.
        DatabufferError: it was not stored, or nobody knows (OutcomeUnknown).
    """

    def refuse_early(snapshot: Snapshot) -> None:
        asking.right.refuse_unless_on(target.tag)
        if not asking.key or not is_known(snapshot, asking.key):
            _refuse_if_closed(tier, snapshot, target.tag)

    tier.decided(refuse_early)  # before any byte is sent on
    blob = tier.buffer.store_blob(body, length)
    digest = Digest.parse(blob.digest)
    row = Row(interval, Payload(name or digest, None, digest, blob.size))

    def decide(snapshot: Snapshot) -> Draft | Committed:
        return _decide_insert(tier, snapshot, target, row)

    done = commit(tier, asking, (target.tag,), f"stream {target} {row}", decide)
    return StoredPayload(*target, row.payload.name, digest, blob.size, interval, done.lsn)


def _decide_insert(
    tier: Tier, snapshot: Snapshot, target: TagAndType, row: Row
) -> Draft | Committed:
    """Draft what an insert changes; in the streamed tag the newest is simply added."""
    tag = _refuse_if_closed(tier, snapshot, target.tag)
    if target.tag == tier.config.stream_tag:
        return _decide_added(snapshot, tag, target, row)
    goal = Goal.of(snapshot, target)
    change = goal.with_one(snapshot, row)
    if change is None:
        return Committed(tag.lsn if tag else snapshot.lsn, new=False)
    rests_on = snapshot.touched(*goal.rests_on())
    return Draft(TimelinesChanged((change,)), goal.touches(), rests_on)


def _decide_added(snapshot: Snapshot, tag: TagRow | None, target: TagAndType, row: Row) -> Draft:
    held = list_of(snapshot, tag.id, target.payload_type) if tag else None
    change = ListChange(
        target.payload_type, target.tag, held.id if held else None, Columns.of([row])
    )
    made = (tag_key(target.tag), type_key(target.payload_type))
    keys = (list_key(held.id),) if held else made
    rests_on = snapshot.touched(tag_key(target.tag), BUFFER_STATE)
    return Draft(TimelinesChanged((change,)), keys, rests_on)


def _refuse_if_closed(tier: Tier, snapshot: Snapshot, name: TagName) -> TagRow | None:
    """Return the tag, None for a streamed tag that its first segment will make."""
    streamed = name == tier.config.stream_tag
    if streamed and buffer(snapshot).frozen:
        raise BufferIsFrozen
    tag = tag_named(snapshot, name)
    if tag is None:
        if streamed:
            return None
        raise NotFound("tag", name)
    if tag.state is TagState.FROZEN:
        raise TagIsFrozen(name)
    return tag
