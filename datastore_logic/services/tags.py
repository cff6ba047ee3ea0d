"""Make, clone, lock, unlock, freeze, unfreeze and delete global tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datastore_logic.domain import approvals, decisions
from datastore_logic.domain.errors import TagIsStreamed
from datastore_logic.domain.tags import TagName, TagState
from datastore_logic.errors import BufferIsFrozen
from datastore_logic.services import approving, buffer_writes
from datastore_logic.services.commit import Asking, Committed, Draft, commit
from datastore_logic.services.keys import BUFFER_STATE, list_keys, tag_key
from datastore_logic.services.known import known_tag
from datastore_logic.view.buffer import buffer
from datastore_logic.view.contents import find_content
from datastore_logic.view.lists import lists_of
from datastore_logic.view.tags import find_tag, tag_named

if TYPE_CHECKING:
    from collections.abc import Callable

    from datastore_logic.domain.decisions import GlobalTag, OpenState
    from datastore_logic.domain.events import TagChanged
    from datastore_logic.domain.tags import TagRef
    from datastore_logic.services.approving import Wish
    from datastore_logic.services.tier import Tier
    from datastore_logic.view.database import Snapshot
    from datastore_logic.view.tags import TagRow

    Check = Callable[[Snapshot], None]
    """Raises what speaks against freezing the tag as this snapshot shows it."""


def create_tag(
    tier: Tier,
    name: TagName,
    description: str = "",
    *,
    author: str | None = None,
    state: TagState = TagState.UNLOCKED,
    asking: Asking,
) -> Committed:
    """Make an empty tag; one that exists is left as it is.

    Raises:
        Forbidden: the caller may not.
        BufferIsFrozen: it is the streaming buffer's, and that is frozen: the tag would not be.
        TagIsStreamed: it is the streaming buffer's, and is not to be unlocked: segments would come.
        FreezeNeedsTwo: it is to be frozen, which here needs two.
    """
    asking.right.refuse_to_make(name)
    mine = tag_key(name)
    streamed = name == tier.config.stream_tag
    rests_on = (mine, BUFFER_STATE) if streamed else (mine,)

    def decide(snapshot: Snapshot) -> Draft | Committed:
        known = tag_named(snapshot, name)
        event = decisions.create(_known(known), name, description, author, state)
        if event is None:
            return Committed(known.lsn if known else 0, new=False)
        if approving.needs_two(tier):
            approvals.refuse_made_frozen(name, state)
        if streamed:
            _refuse_unlike_buffer(snapshot, name, state)
        return Draft(event, (mine,), snapshot.touched(*rests_on))

    return commit(tier, asking, (name,), f"create {name}", decide)


def clone_tag(
    tier: Tier,
    source: TagRef,
    name: TagName,
    *,
    description: str | None = None,
    author: str | None = None,
    asking: Asking,
) -> Committed:
    """Make an unlocked tag with the content of another, whose IOVs are shared, not copied.

    Raises:
        Forbidden: the caller may not make a tag of the new name.
        NotFound: no such source.
        AlreadyExists: there is a tag of the new name.
        BufferIsFrozen: the new one is the streaming buffer's, and that is frozen.
    """
    asking.right.refuse_to_make(name)

    def decide(snapshot: Snapshot) -> Draft | Committed:
        content = find_content(snapshot, source)
        known = tag_named(snapshot, name)
        words = content.tag.description if description is None else description
        who = content.tag.author if author is None else author
        event = decisions.clone(source, _known(known), name, words, who)
        if name == tier.config.stream_tag:
            _refuse_unlike_buffer(snapshot, name, TagState.UNLOCKED)
        # The streamed tag is made by a segment and renamed by a cleaning, under keys of the buffer.
        of_buffer = (BUFFER_STATE,) if tier.config.stream_tag in {name, source.name} else ()
        rests_on = snapshot.touched(tag_key(name), tag_key(source.name), *of_buffer)
        return Draft(event, (tag_key(name),), rests_on)

    return commit(tier, asking, (name,), f"clone {source} {name}", decide)


def reopen_tag(
    tier: Tier, name: TagName, state: OpenState, *, reason: str | None, asking: Asking
) -> Committed:
    """Lock or unlock a tag, also a frozen one; the state it has already changes nothing.

    Raises:
        NotFound: no such tag.
        UnfreezeNeedsReason, TagIsStreamed: it may not become that.
    """

    def decide(tag: GlobalTag) -> TagChanged | None:
        return decisions.reopen(tag, state, reason)

    return _change(tier, name, decide, f"{state} {name}", asking)


def lock_or_unlock_tag(
    tier: Tier, name: TagName, state: OpenState, *, reason: str | None, asking: Asking
) -> Committed:
    """Lock or unlock a tag; the state it has already changes nothing.

    Raises:
        NotFound: no such tag.
        TagIsFrozen, TagIsStreamed: it may not become that.
    """

    def decide(tag: GlobalTag) -> TagChanged | None:
        return decisions.lock_or_unlock(tag, state, reason)

    return _change(tier, name, decide, f"{state} {name}", asking)


def unfreeze_tag(tier: Tier, name: TagName, *, reason: str, asking: Asking) -> Committed:
    """Unlock a frozen tag; one that is not frozen is left as it is.

    Raises:
        NotFound: no such tag.
        UnfreezeNeedsReason, TagIsStreamed: it may not be.
    """

    def decide(tag: GlobalTag) -> TagChanged | None:
        return decisions.unfreeze(tag, reason)

    return _change(tier, name, decide, f"unfreeze {name}", asking)


def freeze_tag(
    tier: Tier, name: TagName, wish: Wish, *, check: Check | None = None, asking: Asking
) -> Committed:
    """Freeze a tag, or where that needs two, propose or confirm it; again is harmless.

    The streamed tag freezes with the buffer, and by one: that ends a period of taking data, and
    approves nothing that somebody chose.

    Raises:
        NotFound: no such tag.
        OtherContent: it holds something else than the wish says.
        TagIsStreamed: it changes only with a buffer of another name.
        And whatever `check` raises, which sees the very state that would be frozen.
    """
    if name == tier.config.stream_tag:
        return _freeze_stream(tier, name, wish, check, asking)

    def decide(snapshot: Snapshot) -> Draft | Committed:
        row = find_tag(snapshot, name)
        if row.fingerprint is not None:
            wish.refuse_other(name, row.fingerprint)

        def fingerprint() -> str:
            if check is not None:
                check(snapshot)
            mark = tier.fingerprints.of_tag(snapshot, row.id)
            wish.refuse_other(name, mark)
            return mark

        event = approving.decided(tier, snapshot, row, wish, asking, fingerprint)
        if event is None:
            return Committed(row.lsn, new=False)
        content = list_keys(held.id for held in lists_of(snapshot, row.id))
        return Draft(event, (tag_key(name),), snapshot.touched(tag_key(name), *content))

    return commit(tier, asking, (name,), wish.in_words(tier, name, asking), decide)


def withdraw_freeze(tier: Tier, name: TagName, *, reason: str | None, asking: Asking) -> Committed:
    """End the proposal to freeze a tag, whosever it is; where none is open nothing changes.

    Raises:
        NotFound: no such tag.
        TagIsFrozen: it came too late.
    """

    def decide(snapshot: Snapshot) -> Draft | Committed:
        row = find_tag(snapshot, name)
        event = approvals.withdraw(known_tag(row), approving.known_proposal(snapshot, row), reason)
        if event is None:
            return Committed(row.lsn, new=False)
        return Draft(event, (tag_key(name),), snapshot.touched(tag_key(name)))

    return commit(tier, asking, (name,), f"withdraw the freeze of {name}", decide)


def delete_tag(tier: Tier, name: TagName, *, asking: Asking) -> Committed:
    """Delete an unlocked tag with its lists and their IOVs; its history and frozen content stay.

    Raises:
        NotFound: no such tag.
        TagIsFrozen, TagIsLocked, TagIsStreamed: it may not be.
    """

    def decide(snapshot: Snapshot) -> Draft | Committed:
        row = find_tag(snapshot, name)
        keys = (tag_key(name), *list_keys(held.id for held in lists_of(snapshot, row.id)))
        return Draft(decisions.delete(known_tag(row)), keys, snapshot.touched(*keys))

    return commit(tier, asking, (name,), f"delete tag {name}", decide)


def _refuse_unlike_buffer(snapshot: Snapshot, name: TagName, state: TagState) -> None:
    """Refuse the streaming buffer's tag where its state would not be the buffer's."""
    if state is not TagState.UNLOCKED:
        raise TagIsStreamed(
            f"Global tag {name} holds what is streamed: it is made unlocked, and frozen with the"
            " buffer."
        )
    if buffer(snapshot).frozen:
        raise BufferIsFrozen


def _known(row: TagRow | None) -> GlobalTag | None:
    return None if row is None else known_tag(row)


def _change(
    tier: Tier,
    name: TagName,
    change: Callable[[GlobalTag], TagChanged | None],
    asked: str,
    asking: Asking,
) -> Committed:
    def decide(snapshot: Snapshot) -> Draft | Committed:
        row = find_tag(snapshot, name)
        event = change(known_tag(row))
        if event is None:
            return Committed(row.lsn, new=False)
        return Draft(event, (tag_key(name),), snapshot.touched(tag_key(name)))

    return commit(tier, asking, (name,), asked, decide)


def _freeze_stream(
    tier: Tier, name: TagName, wish: Wish, check: Check | None, asking: Asking
) -> Committed:
    asking.right.refuse_unless_on(name)
    if wish.content is not None:
        raise TagIsStreamed(
            f"Global tag {name} holds what is streamed: it is frozen as the buffer then is, not by"
            " a fingerprint."
        )

    def look(snapshot: Snapshot) -> None:
        snapshot.position.refuse_if_halted()
        tag = find_tag(snapshot, name)
        if check is not None and tag.state is not TagState.FROZEN:
            check(snapshot)

    tier.decided(look)
    lsn = buffer_writes.freeze(tier, asking.actor, wish.token, asking.key)
    return Committed(lsn, new=True)
