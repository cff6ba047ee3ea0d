"""Apply what happens to a global tag: made, cloned, locked, frozen, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datastore_logic.domain.errors import BadEvent
from datastore_logic.domain.tags import TagRef, TagState
from datastore_logic.errors import NotFound
from datastore_logic.view import list_rows, tag_rows, timelines
from datastore_logic.view.contents import content_of

if TYPE_CHECKING:
    from datastore_logic.domain.events import (
        TagChanged,
        TagCloned,
        TagCreated,
        TagDeleted,
        TagFreezeProposed,
        TagFreezeWithdrawn,
        TagFrozen,
    )
    from datastore_logic.view.contents import Content, ContentList
    from datastore_logic.view.entries import Step


def created(step: Step, event: TagCreated) -> None:
    """Make a tag; the first segment, or a clean, may have made it a moment before."""
    if tag_rows.find_tag(step.view, event.tag) is not None:
        return
    tag_id = tag_rows.make_tag(step, event.tag, event.description, event.author)
    if event.state is TagState.FROZEN and event.fingerprint is not None:
        tag_rows.freeze_tag(step, tag_id, event.fingerprint)
    elif event.state is not TagState.UNLOCKED:
        tag_rows.set_state(step, tag_id, event.state)
    tag_rows.note(step, tag_id, _said(state=event.state))


def cloned(step: Step, event: TagCloned) -> None:
    """Make a tag that shares the timelines of another; the first segment may have made it."""
    if tag_rows.find_tag(step.view, event.tag) is not None:
        return
    source = TagRef(event.source, event.source_fingerprint, event.source_lsn)
    try:
        content = content_of(step.view, source, step.lsn - 1)
    except NotFound as reason:
        raise BadEvent(f"LSN {step.lsn} clones what is not there: {reason}") from reason
    tag_id = tag_rows.make_tag(step, event.tag, event.description, event.author)
    for held in content.lists:
        kind = list_rows.type_id(step, held.payload_type)
        timeline_id, iovs = _shared(step, content, held)
        list_rows.make_list(step, kind, timeline_id, tag_id=tag_id, iovs=iovs)
    tag_rows.note(step, tag_id, _said(source=str(source)))


def changed(step: Step, event: TagChanged) -> None:
    """Lock, unlock or unfreeze a tag."""
    tag_id = tag_rows.known_tag(step, event.tag)
    tag_rows.set_state(step, tag_id, event.state)
    tag_rows.note(step, tag_id, _said(state=event.state, reason=event.reason))


def freeze_proposed(step: Step, event: TagFreezeProposed) -> None:
    """Note who wants a tag frozen."""
    tag_id = tag_rows.known_tag(step, event.tag)
    tag_rows.propose_freeze(step, tag_id, event.fingerprint, event.reason, event.made_by)
    about = _said(fingerprint=event.fingerprint, reason=event.reason, made_by=event.made_by)
    tag_rows.note(step, tag_id, about)


def freeze_withdrawn(step: Step, event: TagFreezeWithdrawn) -> None:
    """Note that a tag is not to be frozen after all."""
    tag_id = tag_rows.known_tag(step, event.tag)
    tag_rows.withdraw_freeze(step, tag_id)
    tag_rows.note(step, tag_id, _said(reason=event.reason))


def frozen(step: Step, event: TagFrozen) -> None:
    """Freeze a tag."""
    tag_id = tag_rows.known_tag(step, event.tag)
    tag_rows.freeze_tag(step, tag_id, event.fingerprint)
    about = _said(
        fingerprint=event.fingerprint,
        reason=event.reason,
        proposed_by=event.proposed_by,
        approved_by=event.approved_by,
        made_by=event.made_by,
    )
    tag_rows.note(step, tag_id, about)


def deleted(step: Step, event: TagDeleted) -> None:
    """Delete a tag and its lists."""
    tag_id = tag_rows.known_tag(step, event.tag)
    tag_rows.note(step, tag_id, {})
    tag_rows.remove_tag(step, tag_id)


def _shared(step: Step, content: Content, held: ContentList) -> tuple[int, int]:
    """Return a timeline with a list's content, pinned or copied, and its number of IOVs."""
    query = "SELECT lsn FROM timeline WHERE id = ?"
    (lsn,) = step.view.execute(query, (held.timeline_id,)).fetchone()
    if content.as_of is None or lsn <= content.as_of:
        timelines.pin(step.view, held.timeline_id)
        timeline_id = held.timeline_id
    else:
        timeline_id = timelines.copy(step.view, step.lsn, held.timeline_id, content.as_of)
    iovs = held.iov_count
    return timeline_id, timelines.size(step.view, timeline_id) if iovs is None else iovs


def _said(**about: str | None) -> dict[str, str]:
    return {name: value for name, value in about.items() if value is not None}
