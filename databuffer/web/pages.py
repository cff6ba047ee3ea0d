"""Web pages of other sites, opened in a browser on this machine, reach loopback as its user does.

So where only loopback is listened on and nobody is asked for a secret, they may change nothing.
What is no browser sends no `Origin`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import web

from databuffer.errors import CrossSite
from databuffer.loopback import is_loopback

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

_READS = frozenset({"GET", "HEAD"})


@web.middleware
async def refuse_other_sites(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Raise `CrossSite` for a write that a page from elsewhere asks for."""
    origin = request.headers.get("Origin")
    if origin is not None and request.method not in _READS and not _is_here(origin):
        raise CrossSite("a page of another site may change nothing here")
    return await handler(request)


def _is_here(origin: str) -> bool:
    try:
        host = urlsplit(origin).hostname
    except ValueError:
        return False
    return host is not None and is_loopback(host)
