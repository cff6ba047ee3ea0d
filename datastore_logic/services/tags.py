"""Make a global tag; freeze one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from datastore_logic.buffer_client import refusal
from datastore_logic.domain.events import TagCreated, TagFrozen
from datastore_logic.domain.tags import TagState
from datastore_logic.errors import BufferIsFrozen
from datastore_logic.services.commit import Committed, Proposal, commit
from datastore_logic.view.browse import about, buffer, find_tag, lists, tag_fingerprint, tag_named

if TYPE_CHECKING:
    from datastore_logic.domain.tags import TagName
    from datastore_logic.services.tier import Tier
    from datastore_logic.view.browse import TagRow
    from datastore_logic.view.database import Snapshot

BUFFER_STATE: Final = "buffer/state"


def tag_key(tag: str) -> str:
    """Return the ledger key of a tag's state."""
    return f"tag/{tag}"


def list_key(tag: str, payload_type: str) -> str:
    """Return the ledger key of a tag's list of one payload type."""
    return f"tag/{tag}/list/{payload_type}"


def create_tag(
    tier: Tier, name: TagName, description: str, *, actor: str, key: str | None = None
) -> Committed:
    """Make an unlocked, empty tag; one that exists is left as it is.

    Raises:
        BufferIsFrozen: it is the streaming buffer's, and that is frozen: the tag would not be.
    """
    mine = tag_key(name)
    rests_on = (mine, BUFFER_STATE) if name == tier.config.stream_tag else (mine,)

    def decide(snapshot: Snapshot) -> Proposal | Committed:
        if (known := tag_named(snapshot, name)) is not None:
            return Committed(known.lsn, new=False)
        if BUFFER_STATE in rests_on and buffer(snapshot).frozen:
            raise BufferIsFrozen("Datastore frozen.")
        return Proposal(TagCreated(name, description), (mine,), snapshot.touched(*rests_on))

    return commit(tier, actor, decide, key, about(TagCreated(name), (tag_key(name),)))


def freeze_tag(
    tier: Tier,
    name: TagName,
    *,
    user: str,
    token: str,
    reason: str | None = None,
    key: str | None = None,
) -> Committed:
    """Freeze a tag for ever; again is harmless. The streamed tag freezes with the buffer.

    Raises:
        NotFound: no such tag.
    """
    if name == tier.config.stream_tag:
        return _freeze_stream(tier, name, user, token, key)

    def decide(snapshot: Snapshot) -> Proposal | Committed:
        tag = find_tag(snapshot, name)
        if tag.state is TagState.FROZEN:
            return Committed(tag.lsn, new=False)
        event = TagFrozen(name, tag_fingerprint(snapshot.connection, tag.id), reason)
        return Proposal(event, (tag_key(name),), snapshot.touched(*_all_keys(snapshot, tag)))

    return commit(tier, user, decide, key, about(TagFrozen(name, ""), (tag_key(name),)))


def _freeze_stream(tier: Tier, name: TagName, user: str, token: str, key: str | None) -> Committed:
    def look(snapshot: Snapshot) -> None:
        snapshot.position.refuse_if_halted()
        find_tag(snapshot, name)

    tier.decided(look)
    # Whether it is frozen the databuffer knows: this view may not have heard of a cleaning yet.
    answer = tier.buffer.freeze(orjson.dumps({"user": user, "token": token}), key)
    if answer.status != 201:
        raise refusal(answer)
    tier.see(answer.lsn)
    return Committed(answer.lsn, new=True)


def _all_keys(snapshot: Snapshot, tag: TagRow) -> list[str]:
    kinds = [held.payload_type for held in lists(snapshot, tag.id)]
    return [tag_key(tag.name), *(list_key(tag.name, kind) for kind in kinds)]
