"""Whose an answer is, where reads need a credential: theirs who asked, and no shared cache's.

It is added to every answer but those of open routes, so no route can forget it. What may be kept
for ever is kept for ever in private caches; without a word of its own, nothing is used unasked.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from flask import request

from datastore_logic.access.routes import ROUTES, Need

if TYPE_CHECKING:
    from flask import Flask, Response

    from datastore_logic.access.settings import Access

PRIVATE: Final = "private"
_ONLY_IF_ASKED_AGAIN: Final = "no-cache"


def install(app: Flask, access: Access) -> None:
    """Mark answers, if it matters who asks."""
    if access.reads_authenticated:
        app.after_request(_marked)


def _marked(response: Response) -> Response:
    if request.endpoint is not None and ROUTES[request.endpoint] is Need.OPEN:
        return response
    headers = response.headers
    for at, (name, value) in enumerate(headers):  # in place: to look it up and set it costs thrice
        if name.lower() == "cache-control":
            headers[at] = (name, private(value))
            break
    else:
        headers["Cache-Control"] = private("")
    headers.add("Vary", "Authorization")  # beside another Vary it means both
    return response


@lru_cache(64)
def private(cache_control: str) -> str:
    """Return the same for one who asked; what nobody may store stays as it is.

    >>> private("public, max-age=31536000, immutable")
    'private, max-age=31536000, immutable'
    >>> private("no-cache"), private("no-store"), private("")
    ('private, no-cache', 'no-store', 'private, no-cache')
    """
    words = [word.strip() for word in (cache_control or _ONLY_IF_ASKED_AGAIN).split(",")]
    if "no-store" in words:
        return cache_control
    return ", ".join([PRIVATE, *(word for word in words if word not in {"public", PRIVATE})])
