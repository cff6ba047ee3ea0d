"""What is answered to a connection that no request was understood of: JSON, as to all others."""

from __future__ import annotations

import logging
import secrets
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import orjson

if TYPE_CHECKING:
    from http import HTTPStatus

CODES: Final = MappingProxyType({408: "too_slow", 503: "busy"})
"""Where the code that programs know is not HTTP's own word."""

_log = logging.getLogger(__name__)


def refusal(status: HTTPStatus, detail: str, *, retry_after: int | None = None) -> bytes:
    """Return a whole answer that closes the connection, and log it under the id it tells."""
    request_id = secrets.token_hex(8)
    code = CODES.get(status, status.phrase.lower().replace(" ", "_").replace("-", "_"))
    body = orjson.dumps({"detail": detail, "code": code, "request_id": request_id})
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Connection: close",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        f"X-Request-Id: {request_id}",
        "Cache-Control: no-store",
    ]
    if retry_after is not None:
        lines.append(f"Retry-After: {retry_after}")
    _log.info("request %s: %d %s", request_id, status.value, detail)
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
