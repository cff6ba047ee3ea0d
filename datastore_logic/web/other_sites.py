"""Where nobody is asked who they are, a browser is: pages of other sites may change nothing.

A page that somebody opens reaches what their browser reaches, loopback included, and without any
credential to lack. Its writes say where it is from (`Origin`, RFC 6454), which what is no browser
does not send. A name that its owner points at this machine (DNS rebinding) shows in `Host`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from datastore_logic.errors import CrossSite
from datastore_logic.loopback import is_loopback

if TYPE_CHECKING:
    from flask import Request


def refuse_other_sites(request: Request, *, loopback_only: bool) -> None:
    """Do nothing for what no page sent, or a page of our own.

    Raises:
        CrossSite: a page of another site sent it.
    """
    if is_elsewhere(request, loopback_only=loopback_only):
        raise CrossSite


def is_elsewhere(request: Request, *, loopback_only: bool = False) -> bool:
    """Say whether a page of another site sent it; no page names no `Origin`."""
    origin = request.headers.get("Origin")
    if origin is None:
        return False
    told, here = _place(origin), _place(f"//{request.host}")
    return told is None or told != here or (loopback_only and not is_loopback(told[0]))


def _place(url: str) -> tuple[str, int | None] | None:
    """Return host and port, None for what names none (a page without an origin says `null`)."""
    try:
        host, port = (parts := urlsplit(url)).hostname, parts.port
    except ValueError:
        return None
    return None if host is None else (host, port)
