"""A freeze that two people must want: one proposes it, another confirms the same content.

What they agree on is content, named by its fingerprint: a proposal ends when the content changes,
however little, when the tag is frozen or deleted, and when somebody withdraws it. To lock or unlock
changes no content, so a tag may be locked while it waits for its second person.

Nothing here knows whether two names are two human beings; `Person.is_same_as` says what is known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from datastore_logic.domain import decisions
from datastore_logic.domain.errors import FreezeNeedsTwo, TagIsFrozen
from datastore_logic.domain.events import TagFreezeProposed, TagFreezeWithdrawn, TagFrozen
from datastore_logic.domain.tags import TagState

if TYPE_CHECKING:
    from collections.abc import Callable

    from datastore_logic.domain.decisions import GlobalTag
    from datastore_logic.domain.tags import TagName


FOUNDER: Final = "admin"
"""The subject of whoever has the ADMIN_TOKEN, who gives a small lab's people their tokens."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who acts: a verified subject, and who made the API token they act by, if it is one."""

    subject: str
    made_by: str | None = None

    def is_same_as(self, other: Person) -> bool:
        """Say whether both may be one: of one name, a token and who made it, tokens of one maker.

        Only the founder's tokens are as many people: nobody else becomes two by making two.

        >>> Person("alice").is_same_as(Person("ci", made_by="alice"))
        True
        >>> Person("ci", made_by="alice").is_same_as(Person("ci-2", made_by="alice"))
        True
        >>> Person("tina", made_by="admin").is_same_as(Person("tom", made_by="admin"))
        False
        """
        if self.subject in {other.subject, other.made_by} or self.made_by == other.subject:
            return True
        return self.made_by == other.made_by and self.made_by not in {None, FOUNDER}


@dataclass(frozen=True, slots=True)
class FreezeProposal:
    """Who wants a tag frozen, with the content of which fingerprint, and why."""

    by: Person
    fingerprint: str
    reason: str | None = None


def agree(
    tag: GlobalTag,
    proposal: FreezeProposal | None,
    who: Person,
    reason: str | None,
    fingerprint: Callable[[], str],
) -> TagFreezeProposed | TagFrozen | None:
    """Confirm the open `proposal` if it is another's and of what the tag holds; else make one.

    Whose proposal it is already changes nothing by asking again. `fingerprint` is computed only if
    the tag is not frozen already.

    Raises:
        TagIsStreamed: it is the streaming buffer's and changes only with the buffer.
    """
    wanted = decisions.freeze(tag, reason, fingerprint)
    if wanted is None:
        return None
    if proposal is None or proposal.fingerprint != wanted.fingerprint:
        return TagFreezeProposed(tag.name, wanted.fingerprint, reason, who.made_by)
    if proposal.by.is_same_as(who):
        return None
    return replace(
        wanted,
        reason=reason or proposal.reason,
        proposed_by=proposal.by.subject,
        approved_by=who.subject,
        made_by=who.made_by,
    )


def withdraw(
    tag: GlobalTag, proposal: FreezeProposal | None, reason: str | None
) -> TagFreezeWithdrawn | None:
    """End a proposal, whosever it is; without one nothing changes.

    Raises:
        TagIsFrozen: it came too late.
    """
    if tag.state is TagState.FROZEN:
        raise TagIsFrozen(tag.name)
    return None if proposal is None else TagFreezeWithdrawn(tag.name, reason)


def refuse_made_frozen(name: TagName, state: TagState) -> None:
    """Refuse to make a tag that is frozen from the start: one person's act.

    Raises:
        FreezeNeedsTwo: it would be.
    """
    if state is TagState.FROZEN:
        raise FreezeNeedsTwo(name)
