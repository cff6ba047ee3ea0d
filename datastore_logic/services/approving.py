"""Freezing by as many people as FREEZE_APPROVALS says: one, or one who proposes and another.

Who they are is what their credentials prove. Where nobody is verified nobody can be told from
another, so there nothing is frozen that needs two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from datastore_logic.domain import approvals, decisions
from datastore_logic.domain.approvals import FreezeProposal, Person
from datastore_logic.domain.errors import OtherContent
from datastore_logic.domain.tags import TagState
from datastore_logic.errors import Unauthenticated
from datastore_logic.services.known import known_tag
from datastore_logic.view.proposals import proposal, proposal_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from datastore_logic.domain.events import TagFreezeProposed, TagFrozen
    from datastore_logic.domain.tags import TagName
    from datastore_logic.services.commit import Asking
    from datastore_logic.services.tier import Tier
    from datastore_logic.view.database import Snapshot
    from datastore_logic.view.proposals import ProposalRow
    from datastore_logic.view.tags import TagRow


@dataclass(frozen=True, slots=True)
class Wish:
    """What is said with a request to freeze: why, and of which content, if its fingerprint is told.

    `token` is what the streaming buffer shows, where it is the buffer that freezes.
    """

    reason: str | None = None
    content: str | None = None
    token: str = ""

    def refuse_other(self, name: TagName, holds: str) -> None:
        """Do nothing where the tag's content is what is meant.

        Raises:
            OtherContent: it has another fingerprint than the one that was told.
        """
        if self.content not in {None, holds}:
            raise OtherContent(name, holds)

    def in_words(self, tier: Tier, name: TagName, asking: Asking) -> str:
        """Return the request in words, by which a repeat of it is known.

        Where it needs two, what another person asks is no repeat, though it be under the same key.
        """
        of = "" if self.content is None else f" of {self.content}"
        by = f" by {asking.actor}" if needs_two(tier) else ""
        return f"{TagState.FROZEN} {name}{of}{by}"


def needs_two(tier: Tier) -> bool:
    """Return whether a freeze is proposed by one and confirmed by another."""
    return tier.config.access.freeze_approvals > 1


def decided(
    tier: Tier, snapshot: Snapshot, row: TagRow, wish: Wish, asking: Asking, mark: Callable[[], str]
) -> TagFreezeProposed | TagFrozen | None:
    """Return what a wish to freeze a tag comes to; None where nothing changes.

    Raises:
        Unauthenticated: it needs two, and nobody knows who this is.
        TagIsStreamed: it changes only with the buffer.
    """
    tag = known_tag(row)
    if not needs_two(tier):
        return decisions.freeze(tag, wish.reason, mark)
    who = _person(asking)
    return approvals.agree(tag, known_proposal(snapshot, row), who, wish.reason, mark)


def known_proposal(snapshot: Snapshot, row: TagRow) -> FreezeProposal | None:
    """Return the open proposal to freeze a tag, as a decision knows it."""
    found = proposal(snapshot, row.id)
    if found is None:
        return None
    return FreezeProposal(Person(found.proposed_by, found.made_by), found.fingerprint, found.reason)


def pending(tier: Tier, snapshot: Snapshot, row: TagRow, lsn: int) -> ProposalRow | None:
    """Return the proposal for which a freeze, done with the entry `lsn`, waits; None: it is done.

    What a repeat under its idempotency key waits for is what it waited for first, should nothing
    be open any more.
    """
    if not needs_two(tier) or row.state is TagState.FROZEN:
        return None
    return proposal(snapshot, row.id) or proposal_of(snapshot, row.id, lsn)


def _person(asking: Asking) -> Person:
    if asking.right.subject is None:
        raise Unauthenticated
    return Person(asking.right.subject, asking.right.principal.made_by)
