"""Web pages of other sites, opened in a browser on this machine, reach loopback as its user does.

So where only loopback is listened on and nobody is asked for a secret, they may change nothing.
There are no pages of our own here: whatever says an `Origin` is of another site, though that be on
this machine. What is no browser says none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from databuffer.errors import CrossSite

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

_READS = frozenset({"GET", "HEAD"})


@web.middleware
async def refuse_other_sites(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Raise `CrossSite` for a write that a page asks for."""
    if "Origin" in request.headers and request.method not in _READS:
        raise CrossSite("a page of another site may change nothing here")
    return await handler(request)
