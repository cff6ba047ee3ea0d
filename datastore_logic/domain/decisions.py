"""What may be done to global tags and payload lists: from what is known to the entry to record.

Each decision returns the event that makes it so, or None where it is so already. Nothing here
reads a clock, a database or a request: what is known comes as values, what is refused is raised.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from datastore_logic.domain.bulk import Effects, lay
from datastore_logic.domain.columns import Columns
from datastore_logic.domain.errors import (
    AlreadyExists,
    InUse,
    TagIsFrozen,
    TagIsLocked,
    TagIsStreamed,
    UnfreezeNeedsReason,
)
from datastore_logic.domain.events import (
    ListAttached,
    ListChange,
    ListDeleted,
    ListDetached,
    TagChanged,
    TagCloned,
    TagCreated,
    TagDeleted,
    TagFrozen,
    TypeDeleted,
)
from datastore_logic.domain.fingerprint import tag_fingerprint
from datastore_logic.domain.tags import MAY_BECOME, Act, Becoming, Rule, TagState, rule
from datastore_logic.domain.timeline import insert

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from datastore_logic.domain.moment import Moment, Pair
    from datastore_logic.domain.tags import PayloadTypeName, TagName, TagRef
    from datastore_logic.domain.timeline import Row

OpenState = Literal[TagState.UNLOCKED, TagState.LOCKED]
"""The states in which a tag may still change."""


@dataclass(frozen=True, slots=True)
class GlobalTag:
    """What a decision needs to know of a global tag; `streamed`: it is the buffer's."""

    name: TagName
    state: TagState
    streamed: bool = False


@dataclass(frozen=True, slots=True)
class PayloadList:
    """What a decision needs to know of a payload list; one without an id is still to be made."""

    id: int | None
    payload_type: PayloadTypeName
    tag: GlobalTag | None
    iov_count: int = 0

    @property
    def state(self) -> TagState:
        """The state of its tag; a list in no tag counts as unlocked."""
        return TagState.UNLOCKED if self.tag is None else self.tag.state

    def may(self, act: Act) -> Rule:
        """Return how far an act is allowed on it.

        Raises:
            TagIsFrozen, TagIsLocked: its tag's state does not allow it.
        """
        return rule(self.state, act, tag="" if self.tag is None else self.tag.name)

    def admits_iovs(self) -> None:
        """Refuse payload IOVs where none may come.

        Raises:
            TagIsFrozen: its tag is frozen.
            TagIsStreamed: it holds what is streamed, and newer segments lie over older ones.
        """
        self.may(Act.INSERT_IOV)
        if self.tag is not None:
            _refuse_streamed(self.tag)

    def lets_go(self) -> None:
        """Refuse to lose payload IOVs, or itself out of its tag.

        Raises:
            TagIsFrozen, TagIsLocked, TagIsStreamed: its tag does not allow it.
        """
        if self.tag is not None:
            _refuse_streamed(self.tag)
        self.may(Act.DETACH)

    def changed(self, effects: Effects, deleted: tuple[Moment, ...] = ()) -> ListChange:
        """Return what an entry tells of its change."""
        return ListChange(
            self.payload_type,
            None if self.tag is None else self.tag.name,
            self.id,
            effects.attached,
            effects.detached,
            deleted,
            effects.trimmed,
        )


# Global tags ------------------------------------------------------------------------------------


def create(
    known: GlobalTag | None,
    name: TagName,
    description: str = "",
    author: str | None = None,
    state: TagState = TagState.UNLOCKED,
) -> TagCreated | None:
    """Make an empty tag; one that exists is left as it is."""
    if known is not None:
        return None
    mark = tag_fingerprint({}) if state is TagState.FROZEN else None
    return TagCreated(name, description, author, state, mark)


def clone(
    source: TagRef, known: GlobalTag | None, name: TagName, description: str, author: str | None
) -> TagCloned:
    """Make an unlocked tag with the content of another, at no cost for its IOVs.

    Raises:
        AlreadyExists: there is a tag of the new name.
    """
    if known is not None:
        raise AlreadyExists("global_tag", name)
    return TagCloned(source.name, name, description, author, source.fingerprint, source.lsn)


def freeze(tag: GlobalTag, reason: str | None, fingerprint: Callable[[], str]) -> TagFrozen | None:
    """Freeze a tag; its `fingerprint` is computed only if it is not frozen already.

    Raises:
        TagIsStreamed: it is the streaming buffer's and changes only with the buffer.
    """
    if not _becomes(tag, TagState.FROZEN, reason):
        return None
    return TagFrozen(tag.name, fingerprint(), reason)


def reopen(tag: GlobalTag, state: OpenState, reason: str | None) -> TagChanged | None:
    """Lock or unlock a tag, also a frozen one; the state it has already changes nothing.

    Raises:
        UnfreezeNeedsReason: it is frozen, and no reason is given.
        TagIsStreamed: it is the streaming buffer's and changes only with the buffer.
    """
    return TagChanged(tag.name, state, reason) if _becomes(tag, state, reason) else None


def lock_or_unlock(tag: GlobalTag, state: OpenState, reason: str | None) -> TagChanged | None:
    """Lock or unlock a tag; a reason is told, and does not open a frozen one.

    Raises:
        TagIsFrozen: it is.
        TagIsStreamed: it is the streaming buffer's and changes only with the buffer.
    """
    if tag.state is TagState.FROZEN:
        raise TagIsFrozen(tag.name)
    return reopen(tag, state, reason)


def unfreeze(tag: GlobalTag, reason: str) -> TagChanged | None:
    """Unlock a frozen tag; one that is not frozen is left as it is.

    Raises:
        UnfreezeNeedsReason: the reason is empty.
        TagIsStreamed: it is the streaming buffer's and changes only with the buffer.
    """
    return reopen(tag, TagState.UNLOCKED, reason) if tag.state is TagState.FROZEN else None


def delete(tag: GlobalTag) -> TagDeleted:
    """Delete a tag with its lists and their IOVs.

    Raises:
        TagIsFrozen, TagIsLocked, TagIsStreamed: it may not be.
    """
    _refuse_streamed(tag)
    rule(tag.state, Act.DELETE_TAG, tag=tag.name)
    return TagDeleted(tag.name)


# Payload types and lists ------------------------------------------------------------------------


def delete_type(payload_type: PayloadTypeName, list_count: int) -> TypeDeleted:
    """Delete a payload type.

    Raises:
        InUse: lists are of that type.
    """
    if list_count:
        raise InUse(f"PayloadType is used by {list_count} PayloadLists")
    return TypeDeleted(payload_type)


def attach(
    held: PayloadList, list_id: int, tag: GlobalTag, present: PayloadList | None
) -> ListAttached | None:
    """Make a list the tag's list of its type, in the place of the `present` one.

    Raises:
        TagIsFrozen, TagIsLocked: the tag, or the one that has the list now, does not allow it.
        TagIsStreamed: one of them is the streaming buffer's.
    """
    if held.tag == tag:
        return None
    held.lets_go()
    _refuse_streamed(tag)
    allowed = rule(tag.state, Act.ATTACH_LIST, tag=tag.name)
    if allowed is Rule.NEW_TYPE_ONLY and present is not None:
        raise TagIsLocked(
            f"Global tag {tag.name} is locked, and its {held.payload_type} is not replaced."
        )
    return ListAttached(list_id, tag.name)


def detach(held: PayloadList, list_id: int) -> ListDetached | None:
    """Take a list out of its tag; it keeps its IOVs.

    Raises:
        TagIsFrozen, TagIsLocked, TagIsStreamed: its tag does not allow it.
    """
    if held.tag is None:
        return None
    held.lets_go()
    return ListDetached(list_id)


def delete_list(held: PayloadList, list_id: int) -> ListDeleted:
    """Delete an empty list.

    Raises:
        InUse: it has IOVs.
        TagIsFrozen, TagIsLocked, TagIsStreamed: its tag does not allow it.
    """
    if held.iov_count:
        raise InUse(f"PayloadList contains {held.iov_count} PayloadIOVs")
    held.lets_go()
    return ListDeleted(list_id)


# Payload IOVs -----------------------------------------------------------------------------------


def insert_iov(
    held: PayloadList, overlapping: Sequence[Row], new: Row, iov_id: int | None = None
) -> ListChange | None:
    """Put one payload IOV into a list; the very same one again changes nothing.

    Raises:
        TagIsFrozen, LockedOverlap: the state of the list's tag does not allow it.
        TagIsStreamed: it is the streaming buffer's.
    """
    held.admits_iovs()
    effects = Effects.of(insert(overlapping, new, held.state), iov_id)
    return held.changed(effects) if effects else None


def insert_iovs(
    held: PayloadList, stored: Sequence[Row], wanted: Columns, following: Pair | None
) -> ListChange | None:
    """Put many payload IOVs into a list: `bulk.lay` says how.

    Raises:
        TagIsFrozen, LockedOverlap: the state of the list's tag does not allow it.
        TagIsStreamed: it is the streaming buffer's.
    """
    held.admits_iovs()
    effects = lay(stored, wanted, held.state, following=following)
    return held.changed(effects) if effects else None


def delete_iov(held: PayloadList, start: Moment) -> ListChange:
    """Delete the payload IOV that begins at `start`.

    Raises:
        TagIsFrozen, TagIsLocked, TagIsStreamed: the list's tag does not allow it.
    """
    held.lets_go()
    return held.changed(Effects(Columns([], [])), deleted=(start,))


def _becomes(tag: GlobalTag, state: TagState, reason: str | None) -> bool:
    """Return whether a tag is to become of that state, False if it is so already.

    Raises:
        UnfreezeNeedsReason, TagIsStreamed: it may not.
    """
    becoming = MAY_BECOME[tag.state][state]
    if becoming is Becoming.SAME:
        return False
    _refuse_streamed(tag)
    if becoming is Becoming.WITH_REASON and not reason:
        raise UnfreezeNeedsReason(f"Global tag {tag.name} is frozen: unfreezing needs a reason.")
    return True


def _refuse_streamed(tag: GlobalTag) -> None:
    if tag.streamed:
        raise TagIsStreamed(
            f"Global tag {tag.name} holds what was streamed: it is frozen and cleaned with the"
            " buffer, never changed by itself."
        )
