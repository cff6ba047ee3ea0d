"""The streaming buffer: take a segment or any payload, freeze when full enough, clean, look.

A segment goes to the databuffer as it came, unread; the databuffer's entry is the commit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson

from datastore_logic.buffer_client import expect, refusal, told
from datastore_logic.domain.errors import TagIsFrozen
from datastore_logic.domain.events import IovsChanged
from datastore_logic.domain.tags import Digest, TagState
from datastore_logic.domain.timeline import Attach, Payload, Row, insert
from datastore_logic.errors import BufferIsFrozen, NotFound
from datastore_logic.services.commit import Committed, Proposal, commit
from datastore_logic.services.tags import BUFFER_STATE, list_key, tag_key
from datastore_logic.view import browse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datastore_logic.buffer_client import Answer
    from datastore_logic.domain.moment import Interval
    from datastore_logic.domain.tags import PayloadTypeName, TagName
    from datastore_logic.services.tier import Tier
    from datastore_logic.view.database import Snapshot

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
    tier: Tier, body: bytes, payload_type: PayloadTypeName | None, key: str | None
) -> Answer:
    """Store a segment and return the databuffer's answer; who reads its tag here will see it.

    Raises:
        BufferIsFrozen: until the buffer is cleaned nothing is taken.
        DatabufferError: it was not stored, or nobody knows (OutcomeUnknown).
    """
    tier.database.position().refuse_if_halted()
    answer = tier.buffer.send_segment(body, payload_type, key)
    if answer.status != 201:
        raise refusal(answer)
    tier.acknowledged.note(answer.lsn)
    return answer


def stream_payload(  # noqa: PLR0913 - what a payload IOV is made of
    tier: Tier,
    body: Iterable[bytes],
    length: int | None,
    tag: TagName,
    payload_type: PayloadTypeName,
    interval: Interval,
    *,
    name: str | None = None,
    actor: str,
    key: str | None = None,
) -> StoredPayload:
    """Keep any bytes as a payload that holds over `interval` in the tag.

    Raises:
        NotFound: no such tag.
        KeyReused: the key named another request.
        TagIsFrozen, LockedOverlap, BufferIsFrozen: it takes nothing there.
        DatabufferError: it was not stored, or nobody knows (OutcomeUnknown).
    """

    def refuse_early(snapshot: Snapshot) -> None:
        if not key or not browse.is_known(snapshot, key):
            _refuse_if_closed(tier, snapshot, tag)

    tier.decided(refuse_early)  # before any byte is sent on
    blob = tier.buffer.store_blob(body, length)
    digest = Digest.parse(blob.digest)
    row = Row(interval, Payload(name or digest, None, digest, blob.size))
    alone = IovsChanged(tag, payload_type, (Attach(row),))
    asked = browse.about(alone, (list_key(tag, payload_type),))

    def decide(snapshot: Snapshot) -> Proposal | Committed:
        return _decide_insert(tier, snapshot, tag, payload_type, row)

    done = commit(tier, actor, decide, key, asked)
    return StoredPayload(tag, payload_type, row.payload.name, digest, blob.size, interval, done.lsn)


def freeze_when_full(tier: Tier, user: str, token: str, key: str | None) -> Stat | None:
    """Freeze the buffer if it holds MAX_SIZE bytes or more and return what it holds; else None.

    One that is frozen already, by whomever, answers as if it had just been.
    """
    tier.database.position().refuse_if_halted()
    if _stat(tier).buff_size < tier.config.max_size and not _is_frozen(tier):
        return None
    answer = expect(tier.buffer.freeze(orjson.dumps({"user": user, "token": token}), key))
    tier.see(answer.lsn)
    return _stat(tier)  # segments may have come in before the freeze


def clean(tier: Tier, key: str | None) -> Answer:
    """Archive what the buffer holds and open it again. A failure of its volume is an answer.

    Raises:
        DatabufferError: it was not done, or nobody knows (OutcomeUnknown).
    """
    tier.database.position().refuse_if_halted()
    answer = tier.buffer.clean(key)
    if answer.status not in BROKEN_VOLUME:
        tier.see(expect(answer).lsn)
    return answer


# ------------------------------------------------------------------------------------------------


def _is_frozen(tier: Tier) -> bool:
    return bool(told(expect(tier.buffer.description()), "dstatus")["dstatus"] == browse.FROZEN)


def _stat(tier: Tier) -> Stat:
    found = told(expect(tier.buffer.stat()), "n_itm", "buff_size")
    return Stat(found["n_itm"], found["buff_size"])


def _decide_insert(
    tier: Tier, snapshot: Snapshot, name: TagName, payload_type: PayloadTypeName, row: Row
) -> Proposal | Committed:
    """Propose what an insert changes; in the streamed tag the newest is simply added."""
    tag = _refuse_if_closed(tier, snapshot, name)
    timeline_id = browse.timeline_id(snapshot, tag.id, payload_type) if tag else None
    mine = list_key(name, payload_type)
    keys = (mine,) if timeline_id else (mine, tag_key(name))
    if name == tier.config.stream_tag:
        event = IovsChanged(name, payload_type, (Attach(row),))
        return Proposal(event, keys, snapshot.touched(tag_key(name), BUFFER_STATE))
    overlapping = browse.overlapping(snapshot, timeline_id, row.interval) if timeline_id else []
    changes = insert(overlapping, row, tag.state if tag else TagState.UNLOCKED)
    if not changes and tag:
        return Committed(tag.lsn, new=False)
    event = IovsChanged(name, payload_type, changes)
    return Proposal(event, keys, snapshot.touched(mine, tag_key(name)))


def _refuse_if_closed(tier: Tier, snapshot: Snapshot, name: TagName) -> browse.TagRow | None:
    """Return the tag, None for a streamed tag that its first segment will make."""
    streamed = name == tier.config.stream_tag
    if streamed and browse.buffer(snapshot).frozen:
        raise BufferIsFrozen("Datastore frozen.")
    tag = browse.tag_named(snapshot, name)
    if tag is None:
        if streamed:
            return None
        raise NotFound("tag", name)
    if tag.state is TagState.FROZEN:
        raise TagIsFrozen(name)
    return tag
