"""The secret that the tiers share: one, or two while one takes the other's place.

Nothing here shows a secret: no message, no repr. How long a comparison takes tells nothing of them.
"""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING

from databuffer.errors import BadConfiguration

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST = 32  # characters: 128 bits where they are hexadecimal digits
MOST = 2
_SECRET = re.compile(r"[\x21-\x7e]{32,1000}")
_FOR_LINKS = b"condstore payload link"


class TierSecrets:
    """The secrets that hold now; `take` puts others in their place."""

    def __init__(self, values: Sequence[str] = ()) -> None:
        self.take(values)

    def take(self, values: Sequence[str]) -> None:
        """Let these hold from now on, and no others."""
        self._values = tuple(value.encode("ascii") for value in values)
        self.link_keys = tuple(hmac.digest(value, _FOR_LINKS, "sha256") for value in self._values)

    def hold(self, given: str) -> bool:
        """Whether this is one of the secrets; every one is compared, whichever fits."""
        sent = given.encode("utf-8", "surrogateescape")
        found = [hmac.compare_digest(sent, value) for value in self._values]
        return any(found)

    def __repr__(self) -> str:
        return f"<{len(self._values)} secrets>"


def parse_secrets(name: str, values: Sequence[str]) -> tuple[str, ...]:
    """Take the values of the variable `name`; raise `BadConfiguration`, which shows none."""
    found = tuple(dict.fromkeys(value.strip() for value in values))
    if not 1 <= len(found) <= MOST:
        raise BadConfiguration(f"{name} holds {len(found)} secrets, not one or two")
    if any(len(value) < LEAST for value in found):
        raise BadConfiguration(f"{name}: a secret has {LEAST} characters or more")
    if not all(map(_SECRET.fullmatch, found)):
        raise BadConfiguration(f"{name}: a secret is up to 1000 ASCII characters without spaces")
    return found


def parse_secret_file(name: str, content: bytes) -> tuple[str, ...]:
    """Take a file with one secret a line; raise `BadConfiguration`."""
    try:
        lines = content.decode("ascii").splitlines()
    except UnicodeDecodeError:
        raise BadConfiguration(f"{name} holds other than ASCII characters") from None
    return parse_secrets(name, [line for line in lines if line.strip()])
