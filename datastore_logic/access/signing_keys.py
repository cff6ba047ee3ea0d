"""The keys that a token may be signed by, and which algorithm each is for.

The algorithm follows from the key's kind, whatever a token says of it: an RSA key is for RS256, one
on P-256 for ES256, a secret for HS256, and no key is for two of them. From a JSON Web Key Set
(RFC 7517) are taken the public keys to verify signatures with, of these two kinds; all others are
passed over, as RFC 7517 has it: too short, for another algorithm or use, private, or malformed.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson
from jwt import PyJWK
from jwt.exceptions import PyJWTError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ALGORITHMS: Final[Mapping[str, str]] = {"RSA": "RS256", "EC": "ES256"}
"""The one algorithm for each kind (`kty`) of public key."""

RSA_BITS: Final = range(2048, 8192 + 1)
MOST_KEYS: Final = 100
_MEMBERS: Final = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y")}


class BadKeySet(Exception):
    """This is no set of keys, or none in it can be used."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key, its algorithm with it, and the name by which tokens call it."""

    kid: str | None
    jwk: PyJWK

    def fits(self, kid: str | None, algorithm: str) -> bool:
        """Say whether a token of this algorithm may mean it; one that names no key may mean any."""
        return self.jwk.algorithm_name == algorithm and kid in {None, self.kid}


def secret_key(secret: str) -> SigningKey:
    """Return the key of a shared secret, for HS256 only."""
    told = urlsafe_b64encode(secret.encode()).decode()
    return SigningKey(None, PyJWK({"kty": "oct", "k": told}, "HS256"))


def key_set(content: bytes) -> tuple[SigningKey, ...]:
    """Return the usable keys of a JSON Web Key Set.

    Raises:
        BadKeySet: it is none, or has none.
    """
    try:
        told = orjson.loads(content)
    except orjson.JSONDecodeError as reason:
        raise BadKeySet("it is not JSON") from reason
    entries = told.get("keys") if isinstance(told, dict) else None
    if not isinstance(entries, list) or len(entries) > MOST_KEYS:
        raise BadKeySet(f'it is no JSON object with "keys", {MOST_KEYS} at most')
    found = tuple(key for key in map(_key, entries) if key is not None)
    if not found:
        raise BadKeySet(
            f"none of its {len(entries)} keys is a public RSA key of {RSA_BITS[0]} bits or more or"
            " one on P-256, for signatures"
        )
    return found


def the_one(keys: Iterable[SigningKey], kid: str | None, algorithm: str) -> SigningKey | None:
    """Return the key that a token means; None if there is none, or more than one might be meant."""
    fitting = [key for key in keys if key.fits(kid, algorithm)]
    return fitting[0] if len(fitting) == 1 else None


def _key(entry: object) -> SigningKey | None:
    """Return the key of an entry, None for one that is not for us."""
    if not isinstance(entry, dict) or not _is_for_signatures(entry):
        return None
    members = {name: entry.get(name) for name in _MEMBERS[entry["kty"]]}
    if not all(isinstance(value, str) for value in members.values()):
        return None
    try:
        jwk = PyJWK(members, ALGORITHMS[entry["kty"]])
    except PyJWTError:
        return None
    if entry["kty"] == "RSA" and jwk.key.key_size not in RSA_BITS:
        return None
    return SigningKey(entry.get("kid"), jwk)


def _is_for_signatures(entry: dict[str, Any]) -> bool:
    """Say whether its owner means it for signatures of our algorithm; a private one means harm."""
    kind, operations = entry.get("kty"), entry.get("key_ops", ["verify"])
    return (
        kind in ("RSA", "EC")
        and (kind == "RSA" or entry.get("crv") == "P-256")
        and entry.get("alg", ALGORITHMS[kind]) == ALGORITHMS[kind]
        and entry.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and isinstance(entry.get("kid", ""), str)
        and "d" not in entry
    )
