"""The cookie of who has signed in with a browser: their credential itself, for the pages alone.

No route of an API heeds it and no write does, so there is nothing that another site could have a
browser do here. It lasts as long as the browser runs; whether the credential still holds is judged
anew each time.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, unquote

from flask import Response, request, url_for

from datastore_logic.errors import TooLarge

COOKIE: Final = "condstore_session"
PAGES: Final = frozenset({"pages.status", "cdb_rest.pages"})
"""The endpoints that heed it."""

LONGEST: Final = 3800
"""Characters that fit into a cookie; browsers take 4096 bytes, the name and the rest included."""


def credential() -> str | None:
    """Return what the browser was given; None where that is not heeded, or there is none."""
    return kept() if request.endpoint in PAGES else None


def kept() -> str | None:
    """Return the credential in the cookie; for the page that signs in and out."""
    told = request.cookies.get(COOKIE)
    return unquote(told) if told else None


def begin(response: Response, told: str) -> None:
    """Give the browser a credential to show.

    Raises:
        TooLarge: it is too long for a cookie.
    """
    value = quote(told, safe="")
    if len(value) > LONGEST:
        raise TooLarge("This token is longer than a browser keeps: have an API token made.")
    set_cookie(response, COOKIE, value)


def end(response: Response) -> None:
    """Have the browser forget it."""
    response.delete_cookie(
        COOKIE, path="/", httponly=True, samesite="Strict", secure=request.is_secure
    )


def set_cookie(response: Response, name: str, value: str) -> None:
    """Set a cookie that no script reads and no other site has sent, until the browser ends."""
    response.set_cookie(
        name, value, path="/", httponly=True, samesite="Strict", secure=request.is_secure
    )


def led_to_sign_in() -> Response | None:
    """Return what leads a browser that asked for a page to where one signs in; None for others.

    What it showed is no good, or it showed nothing. Who sends `Authorization` is no browser.
    """
    if request.endpoint not in PAGES or "Authorization" in request.headers:
        return None
    location = {"Location": url_for("sign_in.form"), "Cache-Control": "no-store"}
    response = Response(status=303, headers=location)
    if COOKIE in request.cookies:
        end(response)
    return response
