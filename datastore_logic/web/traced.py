"""Around every request, where traces are wanted: a span, with the tag where that may be told.

Probes and scrapes are no part of anybody's trace.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from flask import g, request

from datastore_logic.tracing import finish
from datastore_logic.web import resolved
from datastore_logic.web.metrics import METHODS

if TYPE_CHECKING:
    from flask import Flask, Response

    from datastore_logic.tracing import Tracing
    from datastore_logic.web.counted_tags import CountedTags

_UNTRACED: Final = frozenset({"health.livez", "health.readyz", "health.expose"})
_CARRY: Final = ("traceparent", "tracestate")


def install(app: Flask, tracing: Tracing, tags: CountedTags) -> None:
    """Wire it into the application, before what else there is around a request."""

    @app.before_request
    def _begin() -> None:
        if request.endpoint not in _UNTRACED:
            g.spanning = ExitStack()
            told = {name: request.headers[name] for name in _CARRY if name in request.headers}
            g.span = g.spanning.enter_context(tracing.answering(told))

    @app.after_request
    def _tell(response: Response) -> Response:
        if (span := g.get("span")) is not None:
            method = request.method if request.method in METHODS else "other"
            route = request.url_rule.rule if request.url_rule else "none"
            span.set_attribute("condstore.request_id", g.request_id)
            if (found := resolved.noted()) is not None:
                span.set_attribute("condstore.tag", tags.label(found.tag))
            finish(span, method, route, response.status_code)
        return response

    @app.teardown_request
    def _end(_error: BaseException | None) -> None:
        if (spanning := g.pop("spanning", None)) is not None:
            spanning.close()
