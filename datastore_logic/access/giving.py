"""What a principal may hand on in an API token: no more than they have, no longer than they last.

Whose token it is: the person's who made it, or who made the token that made it; so nobody becomes
two by giving tokens to themselves. What the ADMIN_TOKEN made belongs to whoever got it: they
are people of their own. That person, the token that made it, and an admin of all tags
see it and may revoke it, and so may the token itself. One whose maker is gone lives on: it was
given to somebody, and is revoked by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from datastore_logic.access.roles import ANYBODY, Role
from datastore_logic.domain.approvals import FOUNDER
from datastore_logic.domain.errors import BadName
from datastore_logic.errors import BadRequest, CannotGive

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datastore_logic.access.roles import Grant, Principal
    from datastore_logic.domain.tags import TokenName

DAY: Final = 86_400
DEFAULT_DAYS: Final = 90
MOST_DAYS: Final = 366
RESERVED: Final = frozenset({ANYBODY.subject, FOUNDER})
"""Subjects that are nobody's to give or to have: who is not known, who has the ADMIN_TOKEN."""


def refuse_reserved(name: TokenName) -> None:
    """Refuse a name under which others act.

    Raises:
        BadName: it is one.
    """
    if name in RESERVED:
        raise BadName("name", f"{name} is no token's name: others act under it")


def refuse_to_give(giver: Principal, grants: Iterable[Grant]) -> None:
    """Do nothing where the giver has each of the grants: the role or a higher one, on that pattern.

    Patterns are compared as they are written: which of two covers more nobody works out. An admin
    of all tags gives anything.

    Raises:
        CannotGive: naming the first that they have not.
    """
    if giver.may_everywhere(Role.ADMIN):
        return
    for grant in grants:
        if not any(
            held.role.includes(grant.role) and held.pattern.text == grant.pattern.text
            for held in giver.grants
        ):
            raise CannotGive(grant.role, grant.pattern.text)


def expiry(giver: Principal, wanted: float | None, now: float) -> int:
    """Return when a token that is given at `now` expires, all in seconds since 1970.

    Without a wish in 90 days. A token gives none that outlasts it.

    Raises:
        BadRequest: that would be never, too late, or already.
    """
    latest = now + MOST_DAYS * DAY
    if giver.kind == "token" and giver.expires is not None:
        latest = min(latest, giver.expires)
    if wanted is None:
        wanted = min(now + DEFAULT_DAYS * DAY, latest)
    if not now < wanted <= latest:
        raise BadRequest(
            f"expires: must be in the future, at most {MOST_DAYS} days from now, and not after the"
            " token that gives it",
            field="expires",
        )
    return int(wanted)


def person_behind(principal: Principal) -> str:
    """Return the name of who answers for what a principal does."""
    made_by = principal.made_by
    return principal.subject if made_by is None or made_by == FOUNDER else made_by


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose tokens are meant: those a `person` answers for, or those a token made, and itself.

    The tokens of a person are not those of every token that person gave away.
    """

    person: str | None = None
    token_id: str | None = None

    def has(self, token_id: str, made_by: str, made_with: str | None) -> bool:
        """Say whether a token of this id, made by this person with that token, is among them."""
        is_persons = self.person is not None and self.person == made_by
        return is_persons or (self.token_id is not None and self.token_id in {token_id, made_with})


def owner_of(principal: Principal) -> Owner | None:
    """Return whose tokens a principal sees and may revoke, None for anybody's."""
    if principal.may_everywhere(Role.ADMIN):
        return None
    if principal.kind == "token":
        return Owner(token_id=principal.token_id)
    return Owner(person=principal.subject)
