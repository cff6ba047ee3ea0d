"""Opening a payload at the databuffer, which may just be starting again: then we wait a little.

Few wait at once, so that threads are left for all that the view answers; the others are told to
come again. Only what has not begun can wait: an answer that breaks off is the caller's to resume.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from datastore_logic.databuffer.answers import Answer
from datastore_logic.databuffer.refusals import refusal
from datastore_logic.errors import BufferAway, BufferStandsStill, LogicError

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

    from datastore_logic.domain.tags import Digest
    from datastore_logic.services.tier import Tier

LOOK_AGAIN: Final = 0.1


def opened(tier: Tier, method: str, digest: Digest, headers: dict[str, str]) -> BaseHTTPResponse:
    """Return the open answer with a payload's bytes, from a databuffer that is there.

    Raises:
        LogicError: it was not within VIEW_WAIT, or enough others wait already.
    """
    until = time.monotonic() + tier.config.view_wait
    found = _tried(tier, method, digest, headers)
    if not isinstance(found, LogicError):
        return found
    if not tier.waiting.acquire(blocking=False):
        raise found
    try:
        while isinstance(found, LogicError):
            if time.monotonic() > until:
                raise found
            time.sleep(LOOK_AGAIN)
            found = _tried(tier, method, digest, headers)
    finally:
        tier.waiting.release()
    return found


def _tried(
    tier: Tier, method: str, digest: Digest, headers: dict[str, str]
) -> BaseHTTPResponse | LogicError:
    """Return the answer, or what it means that there was none but "not now"."""
    try:
        found = tier.buffer.open_blob(method, digest, dict(headers))
    except BufferStandsStill:
        raise  # to wait for it would take one more thread
    except BufferAway as reason:
        return reason
    if found.status != 503:
        return found
    away = refusal(Answer(found.status, found.data, 0))
    found.release_conn()
    return away
