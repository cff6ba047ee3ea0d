"""The one way to write: may they? decide on a snapshot, append on condition that it still holds.

No lock is held while deciding or appending. If something that was decided about has moved, the
decision is made again on the newer state. Where somebody else is faster ATTEMPTS times, the caller
is told so.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace
from random import random
from time import sleep
from typing import TYPE_CHECKING, Final

from datastore_logic.errors import Conflict, PreconditionFailed
from datastore_logic.services.rights import refuse_about, refuse_beyond, rests_on_token
from datastore_logic.view.requests import OWN_KEY, known_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from datastore_logic.access.caller import Right
    from datastore_logic.domain.events import Decided
    from datastore_logic.domain.tags import ListName, TagName
    from datastore_logic.services.tier import Tier
    from datastore_logic.view.database import Snapshot

ATTEMPTS: Final = 30
PAUSE: Final = 0.002
"""Seconds, times how often it has failed, that those who lost a race spread over."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry that is to be appended, what it touches, and the LSNs its decision rests on."""

    event: Decided
    keys: tuple[str, ...]
    expect: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Committed:
    """Where it stands in the ledger; `new` is False if it stood there before."""

    lsn: int
    new: bool


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, what they may, and under which idempotency key, if any."""

    actor: str
    right: Right
    key: str | None = None


def commit(
    tier: Tier,
    asking: Asking,
    about: Iterable[TagName | ListName],
    asked: str,
    decide: Callable[[Snapshot], Draft | Committed],
) -> Committed:
    """Append what `decide` drafts, and return once this pod's view shows it.

    The caller's right is looked at first, on each tag that the request is `about` (a list stands
    for the tag that has it), and again on each tag that the draft would touch.

    `decide` answers `Committed` itself where there is nothing to do. A repeat under the caller's
    idempotency key changes nothing and answers with the first one's LSN. `asked` is the request in
    words, by which a repeat is told from another one under the same key; a repeat is of the same
    caller, so that nobody learns from another's key what came of it.

    Raises:
        Forbidden, NotFound: the caller may not, or may not even know of it.
        Unauthenticated: the API token that was shown has been revoked meanwhile.
        Conflict: others kept changing it.
        KeyReused: the key named another request.
        LedgerTooNew: this replica is too old to decide.
        ViewBehind: this replica cannot see what has moved.
        DatabufferError: it was not stored, or nobody knows (OutcomeUnknown).
        And whatever `decide` raises.
    """
    mark, named = _mark(asked, asking.right.subject), tuple(about)

    def look(snapshot: Snapshot) -> Draft | Committed:
        refuse_about(snapshot, asking.right, named)
        snapshot.position.refuse_if_halted()
        done = known_request(snapshot, asking.key, mark) if asking.key else None
        if done is not None:
            return Committed(done, new=True)  # a repeat answers as the first did
        draft = decide(snapshot)
        return _allowed(snapshot, asking.right, draft) if isinstance(draft, Draft) else draft

    key = asking.key or f"{OWN_KEY}{secrets.token_hex(12)}"
    for lost in range(1, ATTEMPTS + 1):
        draft = tier.decided(look)
        if isinstance(draft, Committed):
            return draft
        lsn = _appended(tier, _entry(draft, asking, key, asking.key and mark), lost)
        if lsn is not None:
            tier.see(lsn)
            _refuse_reused(tier, asking.key, mark)
            return Committed(lsn, new=True)
    raise Conflict("Others kept changing the same things; try again.")


def _allowed(snapshot: Snapshot, right: Right, draft: Draft) -> Draft:
    """Return a draft that touches only what the caller may; it rests on their token, too.

    Raises:
        Forbidden, NotFound: it would touch something else.
        Unauthenticated: the API token that was shown has been revoked meanwhile.
    """
    refuse_beyond(snapshot, right, draft.event)
    return replace(draft, expect={**draft.expect, **rests_on_token(snapshot, right)})


def _appended(tier: Tier, entry: Mapping[str, object], lost: int) -> int | None:
    """Append, and return the LSN; None where something has moved, which this replica shows then.

    A pause follows that grows with each `lost` race.

    Raises:
        ViewBehind: this replica cannot see what has moved.
        DatabufferError: it was not stored, or nobody knows (OutcomeUnknown).
    """
    try:
        return tier.buffer.append(entry)
    except PreconditionFailed as moved:
        tier.catch_up(moved.lsn)
        sleep(random() * PAUSE * lost)  # noqa: S311 - so that who lost together does not meet again
        return None


def _refuse_reused(tier: Tier, key: str | None, mark: str) -> None:
    """Refuse a key that another replica has used meanwhile for something else.

    Raises:
        KeyReused: one has; the LSN that was answered is that of its entry.
    """
    if key:
        with tier.reading() as snapshot:
            known_request(snapshot, key, mark)


def _mark(asked: str, subject: str | None) -> str:
    told = asked if subject is None else f"{subject}\n{asked}"
    return hashlib.sha256(told.encode()).hexdigest()


def _entry(draft: Draft, asking: Asking, key: str, mark: str | None) -> dict[str, object]:
    """Return the entry. Its key lets the client send it again when no answer came.

    An API token has the name that its maker gave it, which may be somebody's: so it says which.
    """
    token = asking.right.principal.token_id
    more = {"asked": mark, "by_token": token}
    told = {name: value for name, value in more.items() if value is not None}
    return {
        "type": draft.event.type,
        "actor": asking.actor,
        "data": draft.event.data() | told,
        "keys": draft.keys,
        "expect": draft.expect,
        "idempotency_key": key,
    }
