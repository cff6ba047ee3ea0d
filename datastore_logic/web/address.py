"""Who is at the other end: the peer, or whom a proxy that we trust says it speaks for.

`X-Forwarded-For`, `-Proto` and `-Host` are believed only of a peer within TRUSTED_PROXIES, and then
from the right, past hops that are trusted too: the first that is not is the caller, for what stands
left of it is their own word. From anybody else these headers are as if they had not been sent.
`Forwarded` is never read.

>>> nets = (ip_network("10.0.0.0/8"),)
>>> caller_address("10.0.0.1", "6.6.6.6, 192.0.2.7, 10.2.2.2", nets)
'192.0.2.7'
>>> caller_address("192.0.2.9", "6.6.6.6", nets)
'192.0.2.9'
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from _typeshed.wsgi import StartResponse, WSGIApplication

    Environ = dict[str, Any]

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]

FORWARDED: Final[tuple[str, ...]] = (
    "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT", "HTTP_X_FORWARDED_PREFIX", "HTTP_FORWARDED", "HTTP_X_REAL_IP",
)  # fmt: skip
"""What proxies add; nothing behind `FromProxies` sees any of it."""

_WITH_PORT: Final = re.compile(r"\[([^\]]*)\](?::\d{1,5})?|([0-9.]+):\d{1,5}")
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?")


def caller_address(peer: str, forwarded_for: str | None, trusted: Networks) -> str:
    """Return the address of who asks, written one way.

    A hop that is no address ends the walk: the caller is then who told us of it.
    """
    known = parse(peer)
    if known is None:
        return peer  # a Unix socket has no address
    for hop in reversed((forwarded_for or "").split(",")):
        if not _is_trusted(known, trusted) or (told := parse(hop)) is None:
            break
        known = told
    return str(known)


def place_of(address: str) -> str:
    """Return what is counted as one place: an IPv4 address, or the /64 of an IPv6 one.

    Whoever has one IPv6 address has the 2^64 around it.
    """
    known = parse(address)
    if isinstance(known, IPv6Address):
        return str(ip_network((int(known) >> 64 << 64, 64)))
    return str(known or address)


@lru_cache(4096)
def parse(text: str) -> Address | None:
    """Return an address, with or without brackets and port; None for what is none.

    An IPv4 address in IPv6's clothes is an IPv4 address; a zone, which is any text, is dropped.
    """
    text = text.strip()
    if found := _WITH_PORT.fullmatch(text):
        text = found[1] or found[2] or ""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or IPv6Address(int(address))
    return address


class FromProxies:
    """WSGI: tells the application of the caller, where a trusted proxy told us of them."""

    def __init__(self, app: WSGIApplication, trusted: Networks) -> None:
        self._app, self._trusted = app, trusted

    def __call__(self, environ: Environ, start: StartResponse) -> Iterable[bytes]:
        """Set REMOTE_ADDR, the scheme and the host; take away all that was forwarded."""
        told = {name: environ.pop(name) for name in FORWARDED if name in environ}
        peer = environ.get("REMOTE_ADDR", "")
        environ["REMOTE_ADDR"] = caller_address(peer, told.get(FORWARDED[0]), self._trusted)
        if told and (known := parse(peer)) is not None and _is_trusted(known, self._trusted):
            _take(environ, told)
        return self._app(environ, start)


def _take(environ: Environ, told: dict[str, str]) -> None:
    """Take the scheme and the host from a proxy that is trusted: the nearest one's word."""
    scheme = _nearest(told.get("HTTP_X_FORWARDED_PROTO")).lower()
    if scheme in {"http", "https"}:
        environ["wsgi.url_scheme"] = scheme
    host = _nearest(told.get("HTTP_X_FORWARDED_HOST"))
    if _HOST.fullmatch(host):
        environ["HTTP_HOST"] = host


def _nearest(told: str | None) -> str:
    return (told or "").rpartition(",")[2].strip()


def _is_trusted(address: Address, trusted: Sequence[IPv4Network | IPv6Network]) -> bool:
    return any(address in network for network in trusted)
