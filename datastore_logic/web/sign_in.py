"""Signing in and out, for who looks at the pages with a browser where reads need a credential.

Nothing says where one is led afterwards, it is always the status page. A credential that proves
nothing counts as a failure, wherever it was shown.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from time import time
from typing import TYPE_CHECKING, Final

from flask import Blueprint, Response, render_template, request, url_for

from datastore_logic.access.roles import Role
from datastore_logic.errors import (
    BadRequest,
    Forbidden,
    LogicError,
    Unauthenticated,
    status_of,
)
from datastore_logic.web import forms, session
from datastore_logic.web.middleware import refusal
from datastore_logic.web.page import page
from datastore_logic.web.rates import Kind, by_place

if TYPE_CHECKING:
    from collections.abc import Callable

    from datastore_logic.access.identify import Identify
    from datastore_logic.access.roles import Principal
    from datastore_logic.access.settings import Access
    from datastore_logic.web.rates import Rates

_CREDENTIAL: Final = re.compile(r"(?:[Bb]earer +)?([\x21-\x7e]+)")


def blueprint(access: Access, identify: Identify, rates: Rates | None) -> Blueprint:
    """Return the routes; where reads are open there is nothing to sign in for."""
    routes = Blueprint("sign_in", __name__)
    routes.register_error_handler(LogicError, _refused)
    judged = _judging(identify, rates)

    @routes.before_request
    def _only_where_closed() -> Response | None:
        return None if access.reads_authenticated else _to_the_status_page()

    @routes.get("/sign-in")
    def form() -> Response:
        """Show who is signed in, or else the form."""
        told = session.kept()
        return _shown(judged(told) if told else None)

    @routes.post("/sign-in")
    def enter() -> Response:
        """Give the browser the credential that was filled in, if it is one to look with."""
        told = _credential(forms.filled_in())
        _refuse_unfit(judged(told))
        response = _to_the_status_page()
        session.begin(response, told)
        return response

    @routes.post("/sign-out")
    def leave() -> Response:
        """Have the browser forget it."""
        forms.filled_in()
        response = _to_the_status_page()
        session.end(response)
        return response

    return routes


def _judging(identify: Identify, rates: Rates | None) -> Callable[[str], Principal]:
    """Return what says whose a credential is, and counts one that proves nothing."""

    def judged(told: str) -> Principal:
        try:
            return identify(told, time())
        except Unauthenticated:
            if rates is not None:
                rates.refuse_if_over(Kind.FAILURES, by_place(request.remote_addr or ""))
            raise

    return judged


# what was filled in -----------------------------------------------------------------------------


def _credential(fields: dict[str, str]) -> str:
    """Return what was filled in, as it is sent in `Authorization`, with that word or without.

    Raises:
        BadRequest: it is no token at all.
    """
    found = _CREDENTIAL.fullmatch(fields.get("token", "").strip())
    if found is None:
        raise BadRequest("Fill in a token: one line, without spaces.")
    return found[1]


def _refuse_unfit(principal: Principal) -> None:
    """Refuse a credential that a browser should not keep, or that shows it nothing.

    Raises:
        BadRequest, Forbidden: it is such a one.
    """
    if principal.kind == "admin":
        raise BadRequest("ADMIN_TOKEN is not for browsers: have an API token made, for a reader.")
    if not principal.may(Role.READER):
        raise Forbidden(Role.READER)


# what is shown ----------------------------------------------------------------------------------


def _to_the_status_page() -> Response:
    """Lead to the one place there is; without a host, so that it works behind any proxy."""
    location = {"Location": url_for("pages.status"), "Cache-Control": "no-store"}
    return Response(status=303, headers=location)


def _shown(who: Principal | None, status: int = 200, words: str = "") -> Response:
    """Show the page; its form is of this browser from now on."""
    secret = forms.secret()
    told = {
        "who": who,
        "until": _until(who),
        "words": words,
        "secret": secret,
        "field": forms.FIELD,
    }
    response = page(render_template("sign_in.html", **told), status, forms=True)
    session.set_cookie(response, forms.FIELD, secret)
    return response


def _refused(error: LogicError) -> Response:
    """Say what was wrong above the form; a credential that proves nothing is forgotten."""
    response = _shown(None, status_of(error), str(error))
    if isinstance(error, Unauthenticated):
        session.end(response)
    return refusal(error, response)


def _until(who: Principal | None) -> str | None:
    """Return when a credential ends, as the ledger writes times."""
    if who is None or who.expires is None:
        return None
    return datetime.fromtimestamp(who.expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
