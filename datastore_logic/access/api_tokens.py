"""API tokens: `cst_<id>_<secret>`, given out once, kept as a hash.

The id is public: lists and logs may show it. The secret is 256 random bits, so that one SHA-256 of
it is enough: a slow hash makes guessing costly where people choose what is guessed; here nobody can
guess. Who knows a token's hash, from the ledger or a backup of it, cannot ask with it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from datastore_logic.errors import Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Callable

    from datastore_logic.access.roles import Principal

    Find = Callable[[str], "ApiToken | None"]
    """Returns the token of an id, as the view has it; None where there is none."""

REVOKED: Final = "This token was revoked."
PREFIX: Final = "cst_"
"""How one begins, so that it is told from other credentials, and found where it should not be."""

ID_BYTES: Final = 6
SECRET_BYTES: Final = 32
_FORM: Final = re.compile(PREFIX + r"([0-9a-f]{12})_([0-9A-Za-z_-]{43})")


@dataclass(frozen=True, slots=True)
class Minted:
    """A new token: `text` is what its owner is told, once; `digest` is what is kept."""

    id: str
    text: str = field(repr=False)
    digest: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token as the ledger tells it: whose it is, and whether it still is."""

    id: str
    digest: str = field(repr=False)
    principal: Principal
    revoked: bool = False


def mint() -> Minted:
    """Return a token that nobody had before."""
    token_id, secret = secrets.token_hex(ID_BYTES), secrets.token_urlsafe(SECRET_BYTES)
    return Minted(token_id, f"{PREFIX}{token_id}_{secret}", _digest(secret))


def verify(find: Find, told: str, now: float) -> ApiToken:
    """Return the token that somebody shows at `now`, seconds since 1970.

    An unknown id and a wrong secret are told alike; that a token was revoked or has expired is
    told to who has its secret.

    Raises:
        Unauthenticated: it is nobody's; the words never show it.
        And whatever `find` raises.
    """
    form = _FORM.fullmatch(told)
    found = find(form[1]) if form else None
    if form is None or found is None or not hmac.compare_digest(_digest(form[2]), found.digest):
        raise Unauthenticated("This is an unknown token.")
    if found.revoked:
        raise Unauthenticated(REVOKED)
    expires = found.principal.expires
    if expires is not None and now >= expires:
        raise Unauthenticated("This token has expired.")
    return found


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
