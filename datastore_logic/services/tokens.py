"""Make, revoke and find API tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from datastore_logic.access.api_tokens import mint
from datastore_logic.access.giving import (
    expiry,
    owner_of,
    person_behind,
    refuse_reserved,
    refuse_to_give,
)
from datastore_logic.domain.errors import AlreadyExists
from datastore_logic.domain.events import Given, TokenMade, TokenRevoked
from datastore_logic.errors import AuthenticationOff, NotFound, TokenAlreadyMade
from datastore_logic.services.commit import Committed, Draft, commit
from datastore_logic.services.keys import token_key, token_name_key
from datastore_logic.view.tokens import find_token, token_made_by, tokens_named

if TYPE_CHECKING:
    from datastore_logic.access.roles import Grant, Principal
    from datastore_logic.domain.tags import TokenName
    from datastore_logic.services.commit import Asking
    from datastore_logic.services.tier import Tier
    from datastore_logic.view.database import Snapshot
    from datastore_logic.view.tokens import TokenRow


@dataclass(frozen=True, slots=True)
class Wanted:
    """A token that somebody wants: until a time, for so many seconds, or as long as is usual."""

    name: TokenName
    grants: tuple[Grant, ...]
    expires: int | None = None
    expires_in: int | None = None

    def __str__(self) -> str:
        grants = " ".join(f"{each.role}:{each.pattern.text}" for each in self.grants)
        return f"{self.name} {self.expires} {self.expires_in} {grants}"

    def until(self, now: float) -> float | None:
        """Return the time that was asked for, in seconds since 1970."""
        return self.expires if self.expires_in is None else now + self.expires_in


@dataclass(frozen=True, slots=True)
class Made:
    """A token that was made: what its owner is told, once, and what is known of it."""

    text: str
    row: TokenRow

    def __repr__(self) -> str:
        return f"<token {self.row.id}>"


def make_token(tier: Tier, wanted: Wanted, *, now: float, asking: Asking) -> Made:
    """Make a token. Its secret is in the answer and nowhere else.

    Raises:
        AuthenticationOff: nobody is told apart here, so nobody could give anything away.
        BadName, BadRequest: it may not be called so, or not last so long.
        CannotGive: who asks has not themselves what they would give.
        AlreadyExists: a token that is in force has the name.
        TokenAlreadyMade: a repeat under the same idempotency key; the secret is not known any more.
    """
    giver = asking.right.principal
    if not giver.is_verified:
        raise AuthenticationOff
    refuse_reserved(wanted.name)
    refuse_to_give(giver, wanted.grants)
    minted = mint()
    event = TokenMade(
        minted.id,
        wanted.name,
        minted.digest,
        tuple(Given(grant.role, grant.pattern.text) for grant in wanted.grants),
        expiry(giver, wanted.until(now), now),
        person_behind(giver),
        giver.token_id,
    )
    keys = (token_key(minted.id), token_name_key(wanted.name))

    def decide(snapshot: Snapshot) -> Draft:
        if any(row.in_force(now) for row in tokens_named(snapshot, wanted.name)):
            raise AlreadyExists("token", wanted.name)
        return Draft(event, keys, snapshot.touched(*keys))

    done = commit(tier, asking, (), f"make token {wanted}", decide)
    with tier.reading(done.lsn) as snapshot:
        row = token_made_by(snapshot, done.lsn)
    if row.id != minted.id:
        raise TokenAlreadyMade(row.id)
    return Made(minted.text, row)


def revoke_token(tier: Tier, token_id: str, *, asking: Asking) -> tuple[TokenRow, Committed]:
    """Have a token prove nothing any more; again is harmless.

    Raises:
        NotFound: no such token, or none that is the caller's to revoke.
    """
    principal = asking.right.principal
    tier.decided(lambda snapshot: _own(snapshot, token_id, principal))  # a repeat is looked at, too

    def decide(snapshot: Snapshot) -> Draft | Committed:
        row = _own(snapshot, token_id, principal)
        if row.revoked is not None:
            return Committed(snapshot.lsn, new=False)
        key = token_key(token_id)
        return Draft(TokenRevoked(token_id), (key,), snapshot.touched(key))

    done = commit(tier, asking, (), f"revoke token {token_id}", decide)
    with tier.reading(done.lsn) as snapshot:
        return find_token(snapshot, token_id), done


def _own(snapshot: Snapshot, token_id: str, principal: Principal) -> TokenRow:
    row, owner = find_token(snapshot, token_id), owner_of(principal)
    if owner is None or owner.has(row.id, row.made_by, row.made_with):
        return row
    raise NotFound("token", token_id)
