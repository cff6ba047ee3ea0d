"""A JSON Web Token (RFC 7519) as a credential: whose it is, and what it grants.

HS256 by JWT_SECRET, RS256 and ES256 by JWT_JWKS, and nothing else. The header of a token only says
which key to look for; the key's kind decides how the signature is checked (RFC 8725 section 3.1).
What could be read in two ways is refused: names given twice, anything but plain base64url, headers
that would bring a key along or change what is signed.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from typing import TYPE_CHECKING, Any, Final, NoReturn

from jwt import PyJWS
from jwt.exceptions import PyJWTError

from datastore_logic.access.giving import RESERVED
from datastore_logic.access.jwks import KeySet
from datastore_logic.access.key_source import key_source
from datastore_logic.access.roles import LONGEST_SUBJECT, BadPattern, Grant, Principal, TagPattern
from datastore_logic.access.signing_keys import ALGORITHMS, secret_key
from datastore_logic.errors import Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datastore_logic.access.roles import Role
    from datastore_logic.access.settings import JwtSettings
    from datastore_logic.access.signing_keys import SigningKey

LONGEST: Final = 8000
"""Characters; a header of a request may have 8190 bytes."""

MOST_PATTERNS: Final = 100
"""Patterns in one claim."""

SECRET_ALGORITHM: Final = "HS256"  # noqa: S105 - the name of an algorithm
REFUSED_HEADERS: Final = ("crit", "b64", "zip", "enc", "jwk", "jku", "x5u", "x5c")
"""What would bring a key along, point to one, or make the signed bytes mean something else."""

TYPES: Final = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})
"""What a token may say it is (`typ`): RFC 7519, or an access token of RFC 9068."""

_COMPACT: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_LONGEST_KID: Final = 500
_LAST_SECOND: Final = 1 << 53
_NOBODYS: Final = "The token's signature is not that of a key that is known here."


class JwtVerifier:
    """Judges tokens by the settings. Making it reads nothing and starts nothing."""

    def __init__(self, settings: JwtSettings) -> None:
        """Remember them.

        Raises:
            BadConfiguration: JWT_JWKS is neither a file nor a URL that may be asked.
        """
        self._settings = settings
        self._keys = KeySet(key_source(settings.jwks)) if settings.jwks else None
        self._jws = PyJWS([SECRET_ALGORITHM, *ALGORITHMS.values()])

    def verify(self, token: str, now: float) -> Principal:
        """Return whose token it is and what it grants; `now` in seconds since 1970.

        Raises:
            Unauthenticated: it proves nothing; the words never show it.
            KeysAway: the issuer's keys cannot be had now.
        """
        if len(token) > LONGEST:
            raise Unauthenticated(f"The token is longer than {LONGEST} characters.")
        parts = _COMPACT.fullmatch(token)
        if parts is None:
            raise Unauthenticated("This is no token that is known here.")
        header = _header(parts[1])
        claims = _object(self._signed(token, self._candidates(header)), "claims")
        expires = self._times(claims, now)
        self._meant_for_us(claims)
        return Principal(self._subject(claims), self._grants(claims), "jwt", expires)

    # the signature --------------------------------------------------------------------------

    def _candidates(self, header: dict[str, Any]) -> Iterable[SigningKey]:
        """Return the keys that may have signed it: one, or the old and the new secret."""
        algorithm = header.get("alg")
        if algorithm == SECRET_ALGORITHM and self._settings.secret is not None:
            return map(secret_key, self._settings.secret.current())
        if algorithm in ALGORITHMS.values() and self._keys is not None:
            return (self._keys.key(_kid(header), str(algorithm)),)
        raise Unauthenticated("The token is signed in a way that is not accepted here.")

    def _signed(self, token: str, keys: Iterable[SigningKey]) -> bytes:
        """Return the bytes that one of the keys has signed."""
        for key in keys:
            try:
                found = self._jws.decode_complete(token, key.jwk, [key.jwk.algorithm_name])
            except PyJWTError:  # also a secret that is no secret, but some key's public half
                continue
            content: bytes = found["payload"]
            return content
        raise Unauthenticated(_NOBODYS)

    # the claims -----------------------------------------------------------------------------

    def _times(self, claims: dict[str, Any], now: float) -> float:
        """Refuse a token that is not yet or no longer good; return when it ends."""
        leeway = self._settings.leeway
        expires, begins, made = (_moment(claims, name) for name in ("exp", "nbf", "iat"))
        if expires is None:
            raise Unauthenticated("The token has no exp: it must say when it ends.")
        if now >= expires + leeway:
            raise Unauthenticated("The token has expired.")
        if begins is not None and now < begins - leeway:
            raise Unauthenticated("The token is not valid yet (nbf).")
        if made is not None and now < made - leeway:
            raise Unauthenticated("The token was made in the future (iat).")
        return expires

    def _meant_for_us(self, claims: dict[str, Any]) -> None:
        """Refuse a token of another issuer, or for another audience (RFC 7519 section 4.1.3)."""
        issuer, audience = self._settings.issuer, self._settings.audience
        if issuer and claims.get("iss") != issuer:
            raise Unauthenticated("The token is of another issuer (iss).")
        meant = claims.get("aud")
        if not audience and meant is not None:
            raise Unauthenticated(
                "The token is for an audience (aud), and JWT_AUDIENCE is not set."
            )
        if audience and audience not in (meant if isinstance(meant, list) else [meant]):
            raise Unauthenticated("The token is for another audience (aud).")

    def _subject(self, claims: dict[str, Any]) -> str:
        name = self._settings.subject_claim
        told = claims.get(name)
        if not (isinstance(told, str) and 0 < len(told) <= LONGEST_SUBJECT and told.isprintable()):
            raise Unauthenticated(
                f"The token does not name who asks: {name} must be 1 to {LONGEST_SUBJECT} printable"
                " characters."
            )
        if told != told.strip():
            raise Unauthenticated(f"The token's {name} begins or ends with a space.")
        if told in RESERVED:
            raise Unauthenticated(
                f"The token's {name} is {told}, as whom others act here; JWT_SUBJECT_CLAIM may"
                " name another claim."
            )
        return told

    def _grants(self, claims: dict[str, Any]) -> tuple[Grant, ...]:
        return tuple(
            Grant(role, pattern)
            for role, name in self._settings.claims.items()
            if name in claims
            for pattern in _patterns(claims[name], name, role)
        )


def _patterns(told: object, name: str, role: Role) -> list[TagPattern]:
    """Return the patterns of a claim: a string, or a list of strings."""
    listed = told if isinstance(told, list) else [told]
    if len(listed) > MOST_PATTERNS:
        raise Unauthenticated(f"The token's claim {name} has more than {MOST_PATTERNS} patterns.")
    try:
        return [TagPattern.parse(text, name) for text in listed]
    except BadPattern:
        raise Unauthenticated(
            f"The token's claim {name}, for the role {role}, is not a pattern of tags."
        ) from None


def _header(segment: str) -> dict[str, Any]:
    """Return what a token says of how it is signed, if all of it may be said."""
    try:
        content = urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError:
        raise Unauthenticated("The token's header is not base64url.") from None
    header = _object(content, "header")
    for name in REFUSED_HEADERS:
        if name in header:
            raise Unauthenticated(f"The token's header has {name}, which is not accepted here.")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        raise Unauthenticated("The token is no access token (typ).")
    return header


def _kid(header: dict[str, Any]) -> str | None:
    kid = header.get("kid")
    if kid is None or (isinstance(kid, str) and len(kid) <= _LONGEST_KID):
        return kid
    raise Unauthenticated("The token's kid is not the name of a key.")


def _object(content: bytes, what: str) -> dict[str, Any]:
    """Return a JSON object in which nothing is said twice, nor what JSON does not know."""
    try:
        told = json.loads(content.decode(), object_pairs_hook=_once, parse_constant=_refused)
    except (ValueError, RecursionError):
        raise Unauthenticated(f"The token's {what} cannot be read.") from None
    if not isinstance(told, dict):
        raise Unauthenticated(f"The token's {what} is no JSON object.")
    return told


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of these pairs, of which readers differ if a name comes twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _refused(_constant: str) -> NoReturn:
    """Refuse NaN and Infinity, which are no JSON."""
    raise ValueError


def _moment(claims: dict[str, Any], name: str) -> float | None:
    """Return a time in seconds since 1970, None where the claim is missing."""
    if name not in claims:
        return None
    told = claims[name]
    if type(told) not in (int, float) or not 0 <= told < _LAST_SECOND:
        raise Unauthenticated(f"The token's {name} is no time.")
    return float(told)
