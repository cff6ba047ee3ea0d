"""Around the outermost layer, where traces are wanted: a span for each request.

Probes and scrapes are no part of anybody's trace, and a long poll only where the caller traces it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from databuffer.tracing import finish
from databuffer.web.keys import REQUEST_ID
from databuffer.web.middleware import method_of, route_of

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

    from databuffer.tracing import Tracing

_UNTRACED: Final = frozenset({"/livez", "/readyz", "/metrics"})


def traced(tracing: Tracing) -> Middleware:
    """Return the layer."""

    @web.middleware
    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in _UNTRACED or _only_follows(request):
            return await handler(request)
        with tracing.answering(request.headers) as span:
            response = await handler(request)
            if span is not None:
                span.set_attribute("condstore.request_id", request[REQUEST_ID])
                finish(span, method_of(request), route_of(request), response.status)
            return response

    return around


def _only_follows(request: web.Request) -> bool:
    return "wait" in request.query and "traceparent" not in request.headers
