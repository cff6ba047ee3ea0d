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

_WITHIN = 0.7  # seconds
_MOST = 100


def tags(incomplete: str) -> list[str]:
    """Return the global tags that begin so."""
    return _names("global-tags", incomplete)


def types(incomplete: str) -> list[str]:
    """Return the payload types that begin so."""
    return _names("payload-types", incomplete)


def _names(what: str, begin: str, environ: Mapping[str, str] = os.environ) -> list[str]:
    query = urllib.parse.urlencode({"search": begin, "limit": _MOST} if begin else {"limit": _MOST})
    try:
        base = Settings.from_environ(environ).urls[0]
        rows = _asked(f"{base}/api/v1/{what}?{query}")[what.replace("-", "_")]
        names = [str(row["name"]) for row in rows]
    except (OSError, UsageError, ValueError, LookupError, TypeError):
        return []
    return [name for name in names if name.startswith(begin)]


def _asked(url: str) -> dict[str, list[dict[str, object]]]:
    import urllib.request  # noqa: PLC0415 - no other command needs it

    with urllib.request.urlopen(url, timeout=_WITHIN) as answer:  # noqa: S310 - http(s): parse_urls
        found: dict[str, list[dict[str, object]]] = json.load(answer)
        return found
