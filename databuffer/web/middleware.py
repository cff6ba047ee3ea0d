"""The outermost layer: a request id, one answer for every failure, one count for every answer."""

from __future__ import annotations

import itertools
import logging
import re
import secrets
import time
from typing import TYPE_CHECKING

from aiohttp import web

from databuffer import logs
from databuffer.errors import Busy, DatabufferError, Stopping, Unauthenticated
from databuffer.web import errors, keys
from databuffer.web.server import Connection
from databuffer.web.traffic import TRAFFIC

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

REQUEST_ID = "X-Request-Id"
_ALWAYS = frozenset({"/livez", "/readyz", "/metrics"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT"})
_SANE = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_LONGEST = 300
_PROCESS = secrets.token_hex(4)
_serial = itertools.count(1)
_log = logging.getLogger("databuffer.http")


@web.middleware
async def outermost(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every failure in one form, and count."""
    started = time.perf_counter()
    given = request.headers.get(REQUEST_ID, "")
    request_id = given if _SANE.fullmatch(given) else f"{_PROCESS}{next(_serial):08x}"
    request[keys.REQUEST_ID] = request_id
    before = logs.REQUEST_ID.set(request_id)
    try:
        response = await _answered(request, handler)
        _count(request, response.status, time.perf_counter() - started)
    finally:
        logs.REQUEST_ID.reset(before)
    return response


async def add_request_id(request: web.Request, response: web.StreamResponse) -> None:
    """Put the request id on whatever is answered, before its headers leave, and no versions."""
    response.headers[REQUEST_ID] = request.get(keys.REQUEST_ID, "-")
    response.headers["Server"] = keys.SERVER
    if request.app[TRAFFIC].leaving or _is_guest(request):
        response.headers["Connection"] = "close"
        response.force_close()


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    always = request.path in _ALWAYS
    try:
        if not always:
            _refuse_a_guest(request)
        with request.app[TRAFFIC].request(always=always):
            return await handler(request)
    except DatabufferError as error:
        response = errors.answer(error, request)
        _note(request, response.status, str(error))
        if isinstance(error, Stopping | Unauthenticated):
            response.force_close()
        return _unless_begun(request, response)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return errors.answer_framework(error, request)
    except ConnectionError:
        raise  # the client went away: there is nobody to answer
    except Exception:  # noqa: BLE001 - the outermost layer: whatever it is, it is logged and answered
        _log.exception("%s %s failed", request.method, _on_one_line(request.path))
        return _unless_begun(request, errors.answer_bug(request))


def _refuse_a_guest(request: web.Request) -> None:
    if _is_guest(request):
        raise Busy("too many connections are open")


def _is_guest(request: web.Request) -> bool:
    return isinstance(request.protocol, Connection) and request.protocol.is_guest


def _unless_begun(request: web.Request, response: web.Response) -> web.Response:
    """Give the answer, unless another is half sent: what follows would pass for its content."""
    if request.writer.output_size > 0:
        raise ConnectionError("half an answer is sent already")
    return response


def _note(request: web.Request, status: int, detail: str) -> None:
    """Log a refusal: the path without its query, which may hold a signature."""
    level = logging.ERROR if status in {500, 507} else logging.INFO
    path, said = _on_one_line(request.path), _on_one_line(detail)
    _log.log(level, "%s %s: %d %s", request.method, path, status, said)


def _on_one_line(text: str) -> str:
    """Keep what a caller wrote from passing for lines of the log, or from filling it."""
    shown = text[:_LONGEST]
    if shown.isprintable():
        return shown
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in shown
    )


def route_of(request: web.Request) -> str:
    """Return the route rather than the path: paths are without number."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"


def method_of(request: web.Request) -> str:
    """Return the method, if it is one we know."""
    return request.method if request.method in _METHODS else "other"


def _count(request: web.Request, status: int, seconds: float) -> None:
    method, route = method_of(request), route_of(request)
    request.app[keys.METRICS].answered(method, route, status, seconds)
    if _log.isEnabledFor(logging.DEBUG):
        _log.debug("%s %s: %d in %.1f ms", method, route, status, 1000 * seconds)
