"""What is answered without the application: JSON, as all that it answers itself."""

from __future__ import annotations

import logging
import secrets
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

import orjson
from gunicorn.http.errors import (
    ExpectationFailed,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
)

STATUS: Final[MappingProxyType[type[Exception], HTTPStatus]] = MappingProxyType(
    {
        ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
        LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    }
)
"""What the parser refuses is the caller's mistake: 400, unless HTTP has a word for it."""

CODES: Final = MappingProxyType({408: "too_slow", 503: "busy"})
"""Where the code that programs know is not HTTP's own word."""

_log = logging.getLogger(__name__)


def refusal(status: HTTPStatus, detail: str, *, retry_after: int | None = None) -> bytes:
    """Return a whole answer that closes the connection, and log it under the id it tells."""
    code = CODES.get(status, status.phrase.lower().replace(" ", "_").replace("-", "_"))
    return compose(status, {"detail": detail, "code": code}, retry_after=retry_after)


def failure(exc: Exception) -> bytes:
    """Return the answer to what the parser refused, and to what failed around the application."""
    if isinstance(exc, ParseException):
        status = STATUS.get(type(exc), HTTPStatus.BAD_REQUEST)
        return refusal(status, f"This is not HTTP as we speak it: {exc}")
    _log.error("a request failed around the application", exc_info=exc)
    return refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal error.")


def compose(
    status: HTTPStatus, told: dict[str, object], *, retry_after: int | None = None
) -> bytes:
    """Return a whole answer in JSON that closes the connection, and log it if it is a failure."""
    request_id = secrets.token_hex(8)
    if status >= HTTPStatus.BAD_REQUEST:
        told = {**told, "request_id": request_id}
        _log.info("request %s: %d %s", request_id, status.value, told.get("detail"))
    body = orjson.dumps(told)
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
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
