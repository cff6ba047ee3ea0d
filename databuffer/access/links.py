"""Signed links to payloads: who holds one may read this one payload until it expires.

`/blobs/sha256/<hex>?expires=<unix seconds>&signature=<hex>`, written exactly so: another order,
another encoding or a parameter twice is another text, and no link. The logic tier signs them; both
tiers derive the key from the secret they share, so nothing is kept of a link anywhere.
"""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING

from databuffer.errors import LinkExpired, LinkInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST = 86_400  # seconds ahead that a link may expire
_LINK = re.compile(
    r"(?P<path>/blobs/sha256/[0-9a-f]{64})\?expires=(?P<expires>[1-9][0-9]{0,11})"
    r"&signature=(?P<signature>[0-9a-f]{64})"
)


def seconds_left(target: str, keys: Iterable[bytes], now: float) -> float:
    """Check a request's target as it was sent; say how long the link holds.

    Raises `LinkInvalid` or `LinkExpired`; that it expired is told only of what was signed here.
    """
    link = _LINK.fullmatch(target)
    if link is None:
        raise LinkInvalid("that is no link to a payload")
    text = f"GET\n{link['path']}\n{link['expires']}".encode("ascii")
    if not _signed(text, link["signature"], keys):
        raise LinkInvalid("the link is not signed for this")
    left = int(link["expires"]) - now
    if left <= 0:
        raise LinkExpired("the link has expired")
    if left > LONGEST:
        raise LinkInvalid(f"a link holds {LONGEST} seconds at most")
    return left


def _signed(text: bytes, signature: str, keys: Iterable[bytes]) -> bool:
    """Whether one of the keys made the signature; every one is tried, whichever fits."""
    made = (hmac.digest(key, text, "sha256").hex() for key in keys)
    found = [hmac.compare_digest(signature, one) for one in made]
    return any(found)
