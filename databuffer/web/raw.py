"""Answers to connections that no request came of: written as they are, then the connection ends."""

from __future__ import annotations

import secrets
from http import HTTPStatus

import orjson


def answer(status: HTTPStatus, detail: str, code: str, *headers: str) -> bytes:
    """Compose an answer, headers included, in the form that all errors have."""
    request_id = secrets.token_hex(8)
    body = orjson.dumps({"detail": detail, "code": code, "request_id": request_id})
    lines = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        f"X-Request-Id: {request_id}",
        "Connection: close",
        *headers,
        "",
        "",
    )
    return "\r\n".join(lines).encode("ascii") + body


def too_many() -> bytes:
    """Say that there is no room."""
    status = HTTPStatus.SERVICE_UNAVAILABLE
    return answer(status, "too many connections are open", "busy", "Retry-After: 1")


def too_slow(seconds: float) -> bytes:
    """Say that the head of a request did not come in time."""
    return answer(HTTPStatus.REQUEST_TIMEOUT, f"no request within {seconds:g} seconds", "too_slow")
