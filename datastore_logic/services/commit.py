"""The one way to write: decide on a snapshot, append on condition that it still holds.

No lock is held while deciding or appending. If something that was decided about has moved, the
decision is made again on the newer state; after a few times somebody else is always faster,
and the caller is told so.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from datastore_logic.errors import Conflict, PreconditionFailed
from datastore_logic.view.apply import OWN_KEY
from datastore_logic.view.browse import known_request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from datastore_logic.domain.events import IovsChanged, TagCreated, TagFrozen
    from datastore_logic.services.tier import Tier
    from datastore_logic.view.database import Snapshot

ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class Proposal:
    """An entry to append, what it touches, and the LSNs its decision rests on."""

    event: TagCreated | TagFrozen | IovsChanged
    keys: tuple[str, ...]
    expect: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Committed:
    """Where it stands in the ledger; `new` is False if it stood there before."""

    lsn: int
    new: bool


def commit(
    tier: Tier,
    actor: str,
    decide: Callable[[Snapshot], Proposal | Committed],
    key: str | None,
    asked: str,
) -> Committed:
    """Append what `decide` proposes, and return once this pod's view shows it.

    `decide` answers `Committed` itself where there is nothing to do. `key` is the caller's
    idempotency key: a repeat changes nothing and answers with the first one's LSN. `asked` is
    what the proposal will be `about`, by which a repeat is known.

    Raises:
        Conflict: others kept changing it.
        KeyReused: the key named another request.
        LedgerTooNew: this replica is too old to decide.
        ViewBehind: this replica cannot see what has moved.
        DatabufferError: it was not stored, or nobody knows (OutcomeUnknown).
        And whatever `decide` raises.
    """
    idempotency_key = key or f"{OWN_KEY}{secrets.token_hex(12)}"

    def look(snapshot: Snapshot) -> Proposal | Committed:
        snapshot.position.refuse_if_halted()
        done = known_request(snapshot, key, asked) if key else None
        if done is not None:
            return Committed(done, new=True)  # a repeat answers as the first did
        return decide(snapshot)

    for _ in range(ATTEMPTS):
        proposal = tier.decided(look)
        if isinstance(proposal, Committed):
            return proposal
        try:
            lsn = _append(tier, actor, proposal, idempotency_key)
        except PreconditionFailed as moved:
            tier.catch_up(moved.lsn)
            continue
        tier.see(lsn)
        if key:
            with tier.reading() as snapshot:  # another replica may have used it for something else
                known_request(snapshot, key, asked)
        return Committed(lsn, new=True)
    raise Conflict("Others kept changing the same things; try again.")


def _append(tier: Tier, actor: str, proposal: Proposal, idempotency_key: str) -> int:
    """Append one entry. Its idempotency key lets the client send it again when no answer came."""
    entry = {
        "type": proposal.event.type,
        "actor": actor,
        "data": proposal.event.data(),
        "keys": proposal.keys,
        "expect": proposal.expect,
        "idempotency_key": idempotency_key,
    }
    return tier.buffer.append(entry)
