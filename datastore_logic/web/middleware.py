"""Around every request: its id, its metrics, its errors as JSON. The only broad `except`."""

from __future__ import annotations

import logging
import re
import secrets
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from flask import Response, g, request
from werkzeug.exceptions import HTTPException

from datastore_logic.domain.errors import DomainError
from datastore_logic.errors import BadRequest, BufferIsFrozen, LogicError, status_of
from datastore_logic.logs import REQUEST_ID
from datastore_logic.web import resolved, wire

if TYPE_CHECKING:
    from flask import Flask

    from datastore_logic.web.metrics import Metrics

_SANE_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_IN_OUR_WORDS: Final = {
    404: "There is nothing at {path}.",
    405: "{path} does not take {method}; Allow names what it takes.",
}

log = logging.getLogger(__name__)


def install(app: Flask, metrics: Metrics) -> None:
    """Wire the middleware into the application."""

    @app.before_request
    def _begin() -> None:
        told = request.headers.get("X-Request-Id", "")
        g.request_id = told if _SANE_ID.fullmatch(told) else secrets.token_hex(8)
        g.began = perf_counter()
        REQUEST_ID.set(g.request_id)
        _refuse_unless_text(request.query_string)

    @app.after_request
    def _end(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.request_id
        response.headers["X-Content-Type-Options"] = "nosniff"
        if request.method == "OPTIONS":
            response.headers.pop("Content-Type", None)  # it has no body that could be of a type
        seconds = perf_counter() - g.began
        metrics.observe(request, response, seconds, resolved.noted())
        if log.isEnabledFor(logging.DEBUG):
            words = request.method, request.url_rule, response.status_code, 1000 * seconds
            log.debug("%s %s: %d in %.1f ms", *words)
        return response

    app.register_error_handler(Exception, _as_json)


def _refuse_unless_text(query: bytes) -> None:
    """Refuse a query with bytes that are no text, which no handler could read."""
    try:
        query.decode()
    except UnicodeDecodeError as reason:
        raise BadRequest("The query is not UTF-8.") from reason


def _as_json(error: Exception) -> Response:
    """Return the error body of DESIGN §3: `{"detail","code","field"?}`.

    The digital twin's clients print a frozen buffer's words, so they get them bare.
    """
    if isinstance(error, BufferIsFrozen) and not request.path.startswith("/api/"):
        return refusal(error, wire.plain(str(error), 503))
    return refusal(error, wire.answer(*told(error)))


def refusal(error: Exception, response: Response) -> Response:
    """Add to a refusal what HTTP has headers for: when to come again, which methods there are."""
    response.headers["Cache-Control"] = "no-store"  # a cache must not remember what is missing
    if response.status_code == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="condstore"'
    retry_after = getattr(error, "retry_after", None)
    if retry_after is None and response.status_code == 503:
        retry_after = 1
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    if isinstance(error, HTTPException) and error.get_response().headers.get("Allow"):
        response.headers["Allow"] = error.get_response().headers["Allow"]
    return response


def told(error: Exception) -> tuple[dict[str, Any], int]:
    """Return what a caller is told of an error, and its status; log what is our fault."""
    if isinstance(error, HTTPException):
        code = (error.name or "error").lower().replace(" ", "_")
        detail = error.description or error.name
        if ours := _IN_OUR_WORDS.get(error.code or 500):
            detail = ours.format(method=request.method, path=request.path[:200])
        return _told(detail, code), error.code or 500
    if not isinstance(error, (LogicError, DomainError)) or status_of(error) == 500:
        log.error("%s failed", request.endpoint, exc_info=error)
        detail = f"Internal error; the log has it under request {g.request_id}."
        return _told(detail, "internal"), 500
    body = _told(str(error), error.code)
    if (field := getattr(error, "field", None)) is not None:
        body["field"] = field
    body |= getattr(error, "told", None) or {}
    status = status_of(error)
    if status >= 500:
        log.warning("%s: %d %s: %s", request.endpoint, status, error.code, error)
    return body, status


def _told(detail: str, code: str) -> dict[str, Any]:
    return {"detail": detail, "code": code, "request_id": g.request_id}
