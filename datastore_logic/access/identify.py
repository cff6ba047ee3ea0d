"""From a credential to a principal: its look says of which kind it is, and each kind has one judge.

Without authentication nobody is asked. An admin's token of the environment is compared in constant
time; what begins with `cst_` is an API token, which the ledger knows; anything else must be a JWT.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from datastore_logic.access.api_tokens import PREFIX
from datastore_logic.access.roles import EVERYTHING, Grant, Principal, Role
from datastore_logic.domain.approvals import FOUNDER
from datastore_logic.errors import Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Callable

    from datastore_logic.access.settings import Access

    Judge = Callable[[str, float], Principal]
    """Returns whose credential it is, at a time (seconds since 1970); raises Unauthenticated."""

_BEARER: Final = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([\x21-\x7e]{1,8000})")
_ROOT: Final = Principal(FOUNDER, (EVERYTHING,), "admin")


def bearer(header: str) -> str:
    """Return the credential of an `Authorization` header (RFC 6750 section 2.1).

    >>> bearer("Bearer abc")
    'abc'

    Raises:
        Unauthenticated: it is another scheme, or malformed.
    """
    found = _BEARER.fullmatch(header)
    if found is None:
        raise Unauthenticated("Authorization must be Bearer and a token.")
    return found[1]


class Identify:
    """Judges credentials by the settings; `tokens` and `jwt` each judge one kind."""

    def __init__(self, access: Access, *, tokens: Judge, jwt: Judge | None) -> None:
        self._root = access.admin_token
        self._tokens, self._jwt = tokens, jwt
        pattern = access.read_tags
        self._more = () if pattern is None else (Grant(Role.READER, pattern),)

    def __call__(self, credential: str, now: float) -> Principal:
        """Return whose it is.

        Raises:
            Unauthenticated: nobody's; the words say why, and never show it.
            ViewBuilding: it is an API token, and this replica does not know them yet.
        """
        found = self._judged(credential, now)
        return found.granted(*self._more) if self._more else found

    def _judged(self, credential: str, now: float) -> Principal:
        if self._root is not None and self._root.matches(credential):
            return _ROOT
        if credential.startswith(PREFIX):
            return self._tokens(credential, now)
        if self._jwt is None:
            raise Unauthenticated("This is no token that is known here.")
        return self._jwt(credential, now)
