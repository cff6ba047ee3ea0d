"""Names for the shell's completion, asked of the server; quick or not at all, and never a word.

The shell runs this at each press of the tab key: a second of waiting or a complaint on the screen
is worse than no names. So the standard library asks, once, and every failure is an empty list.
"""

from __future__ import annotations

import json
import os
import urllib.parse
from typing import TYPE_CHECKING

from condstore.config import Settings
from condstore.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from condstore.access import Access

_WITHIN = 0.7  # seconds
_MOST = 100


def tags(incomplete: str) -> list[str]:
    """Return the global tags that begin so."""
    return _names("global-tags", incomplete)


def types(incomplete: str) -> list[str]:
    """Return the payload types that begin so."""
    return _names("payload-types", incomplete)


def tokens(incomplete: str) -> list[str]:
    """Return the API tokens that begin so, for who may see them."""
    return _names("tokens", incomplete, search=False)


def _names(
    what: str, begin: str, environ: Mapping[str, str] = os.environ, *, search: bool = True
) -> list[str]:
    asked = {"search": begin, "limit": _MOST} if begin and search else {"limit": _MOST}
    query = urllib.parse.urlencode(asked)
    try:
        known = Settings.from_environ(environ)
        rows = _asked(f"{known.urls[0]}/api/v1/{what}?{query}", known.access)
        names = [str(row["name"]) for row in rows[what.replace("-", "_")]]
    except (OSError, UsageError, ValueError, LookupError, TypeError):
        return []
    return [name for name in names if name.startswith(begin)]


def _asked(url: str, access: Access) -> dict[str, list[dict[str, object]]]:
    import urllib.request  # noqa: PLC0415 - no other command needs it

    request = urllib.request.Request(url)  # noqa: S310 - http(s): parse_urls
    if shown := access.credential.header():
        request.add_unredirected_header("Authorization", shown)  # to this host, and to no other
    context = access.context() if url.startswith("https:") else None
    with urllib.request.urlopen(request, timeout=_WITHIN, context=context) as answer:  # noqa: S310
        found: dict[str, list[dict[str, object]]] = json.load(answer)
        return found
