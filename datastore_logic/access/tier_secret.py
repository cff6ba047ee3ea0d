"""What this tier shows to the databuffer, and signs links to payloads with.

While the secret is changed the tiers may know different pairs of it for a while. The first is
shown; where it is refused the other, which is then preferred for a minute: so both tiers come to
the new one by themselves, whichever of them hears of it first.
"""

from __future__ import annotations

import hmac
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from datastore_logic.access.secret import Secret
    from datastore_logic.domain.tags import Digest

PREFERRED: Final = 60.0
"""Seconds after which the first is tried again."""

_FOR_LINKS: Final = b"condstore payload link"


class TierSecret:
    """The secret that the tiers share, if they share one."""

    def __init__(self, secret: Secret | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._secret, self._clock = secret, clock
        self._preferred: tuple[str, float] | None = None

    def __bool__(self) -> bool:
        return self._secret is not None

    def choices(self) -> tuple[str, ...]:
        """Return what may be shown, in the order in which to try; nothing without a secret."""
        if self._secret is None:
            return ()
        values, preferred = self._secret.current(), self._preferred
        if preferred is None or preferred[0] not in values or self._clock() >= preferred[1]:
            return values
        return (preferred[0], *(value for value in values if value != preferred[0]))

    def took(self, value: str) -> None:
        """Prefer this one for a while: the databuffer took it and had refused the other."""
        self._preferred = (value, self._clock() + PREFERRED)


def link_path(digest: Digest, expires: int, secret: str) -> str:
    """Return path and query of a link to a payload, good until `expires`, seconds since 1970."""
    path = f"/blobs/sha256/{digest.hex}"
    key = hmac.digest(secret.encode(), _FOR_LINKS, "sha256")
    signature = hmac.digest(key, f"GET\n{path}\n{expires}".encode(), "sha256").hex()
    return f"{path}?expires={expires}&signature={signature}"
