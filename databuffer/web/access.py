"""Who may call what: ONE table, read before any body is.

What is not in the table is the tiers'. Where no authentication is configured everybody may all: the
process then listens on loopback only, or an operator said AUTH=off. Who has not shown the secret is
not even told whether there is such a route.
"""

from __future__ import annotations

import time
from enum import Enum
from typing import TYPE_CHECKING

from aiohttp import web

from databuffer.access.links import seconds_left
from databuffer.errors import Unauthenticated

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

    from databuffer.access.secrets import TierSecrets


class Who(Enum):
    """Who a route is for."""

    OPEN = "everybody"
    TIER = "who shows the tiers' secret"
    TIER_OR_LINK = "that, or who has a signed link to this very payload"


TABLE: dict[tuple[str, str], Who] = {
    ("GET", "/livez"): Who.OPEN,
    ("GET", "/readyz"): Who.OPEN,
    ("GET", "/metrics"): Who.OPEN,
    ("GET", "/blobs/{digest}"): Who.TIER_OR_LINK,
    ("PUT", "/blobs/{digest}"): Who.TIER,
    ("POST", "/blobs"): Who.TIER,
    ("POST", "/blobs/missing"): Who.TIER,
    ("POST", "/blobs/read"): Who.TIER,
    ("POST", "/blobs/unreferenced"): Who.TIER,
    ("GET", "/ledger"): Who.TIER,
    ("POST", "/ledger"): Who.TIER,
    ("GET", "/ledger/head"): Who.TIER,
    ("POST", "/ledger/compress"): Who.TIER,
    ("GET", "/state"): Who.TIER,
    ("GET", "/state/{name}"): Who.TIER,
    ("PUT", "/state/{name}"): Who.TIER,
    ("GET", "/stat"): Who.TIER,
    ("GET", "/dstat"): Who.TIER,
    ("GET", "/dumpLogF"): Who.TIER,
    ("GET", "/dumpF"): Who.TIER,
    ("POST", "/sendF"): Who.TIER,
    ("POST", "/upddsc"): Who.TIER,
    ("POST", "/cleanall"): Who.TIER,
}
"""By method (HEAD is as GET) and canonical route."""

LINKED = web.RequestKey("linked", float)
"""How many seconds the link holds by which a request was let in."""


def admitting(secrets: TierSecrets) -> Middleware:
    """Give the middleware that lets in who may, and raises for all others.

    It raises `Unauthenticated`, `LinkInvalid` or `LinkExpired`.
    """

    @web.middleware
    async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
        who = who_may(request.match_info.route)
        if who is not Who.OPEN and not _shows_secret(request, secrets):
            if who is not Who.TIER_OR_LINK or "?" not in request.raw_path:
                raise Unauthenticated("this is for the logic tier, by the secret they share")
            request[LINKED] = seconds_left(request.raw_path, secrets.link_keys, time.time())
        return await handler(request)

    return admit


def who_may(route: web.AbstractRoute) -> Who:
    """Look a route up in the table."""
    if route.resource is None:  # no such route, or no such method
        return Who.TIER
    method = "GET" if route.method == "HEAD" else route.method
    return TABLE.get((method, route.resource.canonical), Who.TIER)


def _shows_secret(request: web.Request, secrets: TierSecrets) -> bool:
    given = request.headers.getall("Authorization", ())
    if len(given) != 1:
        return False
    scheme, _, secret = given[0].partition(" ")
    return scheme.lower() == "bearer" and secrets.hold(secret.strip(" "))
