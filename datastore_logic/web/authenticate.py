"""Before every request: who asks, and may they do what this route is for? Then it is answered.

What a route needs stands in access/routes.py. Where reads are anonymous no credential is looked at
to answer them: one that has expired must not stop a job from reading what anybody may read.
"""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING

from flask import request

from datastore_logic.access.caller import CALLER, Caller
from datastore_logic.access.identify import bearer
from datastore_logic.access.roles import ANYBODY, Role
from datastore_logic.access.routes import READ, ROUTES, Need
from datastore_logic.access.sight import sight_of
from datastore_logic.errors import Unauthenticated
from datastore_logic.web import session
from datastore_logic.web.other_sites import refuse_other_sites
from datastore_logic.web.rates import Kind, by_place, by_subject

if TYPE_CHECKING:
    from flask import Flask, Response

    from datastore_logic.access.identify import Identify
    from datastore_logic.access.settings import Access
    from datastore_logic.web.rates import Rates


def install(app: Flask, access: Access, identify: Identify, rates: Rates | None) -> None:
    """Have the application ask before each request, and count it where there are rates."""

    @app.before_request
    def _admit() -> Response | None:
        CALLER.set(Caller())
        if request.endpoint is None or request.method == "OPTIONS":
            return None  # there is nothing there, which is said without asking who wants to know
        need = ROUTES[request.endpoint]
        try:
            found = admitted(access, identify, need)
        except Unauthenticated:
            led = session.led_to_sign_in()
            if rates is not None and (led is None or session.credential() is not None):
                rates.refuse_if_over(Kind.FAILURES, _place())
            if led is None:
                raise
            return led
        CALLER.set(found)
        if rates is not None and need is not Need.OPEN:
            kind = Kind.WRITES if isinstance(need, Role) else Kind.READS
            rates.refuse_if_over(kind, by_subject(found.subject) if found.subject else _place())
        found.refuse_unless_anywhere()
        return None


def admitted(access: Access, identify: Identify, need: Need | Role) -> Caller:
    """Return who makes this request, to a route that needs this.

    Raises:
        Unauthenticated: somebody must be verified, and nobody is.
        CrossSite: nobody is verified here, and a page of another site asks.
    """
    if need is Need.OPEN:
        return Caller()
    if not access.configured:
        if isinstance(need, Role):
            refuse_other_sites(request, loopback_only=not access.is_off)
            return Caller(ANYBODY, need)
        return Caller(ANYBODY)
    if need is READ and not access.reads_authenticated:
        return Caller()
    principal = identify(_credential(), time())
    role = Role.READER if need is READ else need if isinstance(need, Role) else None
    sight = sight_of(principal.grants) if access.reads_authenticated else None
    return Caller(principal, role, sight)


def _place() -> str:
    return by_place(request.remote_addr or "")


def _credential() -> str:
    """Return what the caller shows to prove who they are; a browser's cookie to a page only.

    Raises:
        Unauthenticated: nothing.
    """
    header = request.environ.get("HTTP_AUTHORIZATION")
    if header:
        return bearer(header)
    if (kept := session.credential()) is not None:
        return kept
    raise Unauthenticated
