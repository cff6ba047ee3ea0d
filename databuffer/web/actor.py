"""`X-Actor`: on whose behalf the logic tier asks, as it verified them; the ledger keeps it.

Only who may call a writing route at all gets here, so whoever says it is believed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from databuffer.errors import Malformed
from databuffer.names import parse_text

if TYPE_CHECKING:
    from aiohttp import web

ACTOR = "X-Actor"
_ENCODED = re.compile(r"(?:[!-$&-~]|%[0-9A-Fa-f]{2})+")


def actor_of(request: web.Request) -> str | None:
    """Read who acts, None where nobody is named; raise `Malformed` for what is not one name."""
    told = request.headers.getall(ACTOR, [])
    if not told:
        return None
    if len(told) > 1 or not _ENCODED.fullmatch(told[0]):
        raise Malformed(f"{ACTOR} is one name, percent-encoded", field=ACTOR)
    try:
        return parse_text(unquote_to_bytes(told[0]).decode("utf-8"), ACTOR)
    except UnicodeDecodeError:
        raise Malformed(f"{ACTOR} is not UTF-8", field=ACTOR) from None
