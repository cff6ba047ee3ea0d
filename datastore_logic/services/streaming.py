"""The streaming buffer: take a segment or any payload, freeze when full enough, clean, look.

A segment goes to the databuffer as it came, unread; the databuffer's entry is the commit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson

from datastore_logic.databuffer.refusals import expect, refusal, told
from datastore_logic.domain.columns import Columns
from datastore_logic.domain.errors import TagIsFrozen
from datastore_logic.domain.events import ListChange, TimelinesChanged
from datastore_logic.domain.tags import Digest, TagState
from datastore_logic.domain.timeline import Payload, Row
from datastore_logic.errors import BufferIsFrozen, NotFound
from datastore_logic.services.commit import Asking, Committed, Draft, commit
from datastore_logic.services.goals import Goal, TagAndType
from datastore_logic.services.keys import BUFFER_STATE, list_key, tag_key, type_key
from datastore_logic.view.buffer import FROZEN, buffer
from datastore_logic.view.lists import list_of
from datastore_logic.view.requests import is_known
from datastore_logic.view.tags import tag_named

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datastore_logic.databuffer.answers import Answer
    from datastore_logic.domain.moment import Interval
    from datastore_logic.domain.tags import PayloadTypeName, TagName
    from datastore_logic.services.tier import Tier
    from datastore_logic.view.database import Snapshot
    from datastore_logic.view.tags import TagRow

BROKEN_VOLUME: Final = frozenset({500, 507})


@dataclass(frozen=True, slots=True)
class Stat:
    """How much the streaming buffer holds."""

    n_itm: int
    buff_size: int


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


def stream_segment(
    tier: Tier, body: bytes, payload_type: PayloadTypeName | None, *, asking: Asking
) -> Answer:
    """Store a segment and return the databuffer's answer; who reads its tag here will see it.

    Raises:
        Forbidden: the caller may not produce for the streaming buffer's tag.
        BufferIsFrozen: until the buffer is cleaned nothing is taken.
        DatabufferError: it was not stored, or nobody knows (OutcomeUnknown).
    """
    refuse_stream(tier, asking)
    tier.database.position().refuse_if_halted()
    answer = tier.buffer.send_segment(body, payload_type, asking.key)
    if answer.status != 201:
        raise refusal(answer)
    tier.acknowledged.note(answer.lsn)
    return answer


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


def freeze_when_full(tier: Tier, user: str, token: str, *, asking: Asking) -> Stat | None:
    """Freeze the buffer if it holds MAX_SIZE bytes or more and return what it holds; else None.

    One that is frozen already, by whomever, answers as if it had just been.

    Raises:
        Forbidden: the caller may not.
    """
    refuse_stream(tier, asking)
    tier.database.position().refuse_if_halted()
    if _stat(tier).buff_size < tier.config.max_size and not _is_frozen(tier):
        return None
    body = orjson.dumps({"user": asking.right.subject or user, "token": token})
    answer = expect(tier.buffer.freeze(body, asking.key))
    tier.see(answer.lsn)
    return _stat(tier)  # segments may have come in before the freeze


def clean(tier: Tier, *, asking: Asking) -> Answer:
    """Archive what the buffer holds and open it again. A failure of its volume is an answer.

    Raises:
        Forbidden: the caller may not.
        DatabufferError: it was not done, or nobody knows (OutcomeUnknown).
    """
    refuse_stream(tier, asking)
    tier.database.position().refuse_if_halted()
    answer = tier.buffer.clean(asking.key)
    if answer.status not in BROKEN_VOLUME:
        tier.see(expect(answer).lsn)
    return answer


# ------------------------------------------------------------------------------------------------


def refuse_stream(tier: Tier, asking: Asking) -> None:
    """Do nothing where the caller may act on the streaming buffer, which is its tag.

    Raises:
        Forbidden, NotFound: they may not, or may not even know of it.
    """
    asking.right.refuse_unless_on(tier.config.stream_tag)


def _is_frozen(tier: Tier) -> bool:
    return bool(told(expect(tier.buffer.description()), "dstatus")["dstatus"] == FROZEN)


def _stat(tier: Tier) -> Stat:
    found = told(expect(tier.buffer.stat()), "n_itm", "buff_size")
    return Stat(found["n_itm"], found["buff_size"])


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
