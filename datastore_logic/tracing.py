"""Spans for OpenTelemetry, where OTEL_EXPORTER_OTLP_ENDPOINT says where they go.

Nothing of OpenTelemetry is imported before `start`, and nothing at all where that is not set. Spans
leave in batches, from a thread of their own, so a collector that is slow or away holds up nobody:
what it does not take is dropped. What else there is to set, the SDK reads from its own variables.
"""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry.trace import Span

    from datastore_logic.watch import Call

FLUSH: Final = 2.0
"""Seconds that the last spans may take to leave at the end."""

_SAID_AGAIN: Final = 60.0
_MISSING = "OTEL_EXPORTER_OTLP_ENDPOINT is set, but not installed is condstore[tracing]: no traces"
log = logging.getLogger(__name__)


class Tracing:
    """Makes spans between `start` and `stop`; at other times, and with no endpoint, does nothing.

    It is started after a fork: the thread that sends would not survive one.
    """

    def __init__(self, endpoint: str, service: str, version: str) -> None:
        self._endpoint = endpoint
        self._about = {"service.name": service, "service.version": version}
        self._provider: Any = None
        self._tracer: Any = None

    def start(self) -> None:
        """Begin to make spans."""
        if not self._endpoint:
            return
        try:
            from opentelemetry.exporter.otlp.proto.http import trace_exporter  # noqa: PLC0415
            from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415
            from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
            from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        except ImportError:
            log.warning(_MISSING)
            return
        logging.getLogger(trace_exporter.__name__).addFilter(Seldom())
        about = Resource(dict(self._about)).merge(OTELResourceDetector().detect())
        exporter = trace_exporter.OTLPSpanExporter(f"{self._endpoint}/v1/traces")
        self._provider = TracerProvider(resource=about, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer(__name__)

    def stop(self) -> None:
        """Make no more; send those there are, if the collector takes them soon."""
        provider, self._provider, self._tracer = self._provider, None, None
        if provider is not None:
            sending = Thread(target=provider.shutdown, daemon=True)
            sending.start()
            sending.join(FLUSH)

    @contextmanager
    def answering(self, headers: Mapping[str, str]) -> Iterator[Span | None]:
        """Make a span of a request, part of the caller's trace where its headers name one."""
        if self._tracer is None:
            yield None
            return
        from opentelemetry.trace import SpanKind  # noqa: PLC0415
        from opentelemetry.trace.propagation import tracecontext  # noqa: PLC0415

        context = tracecontext.TraceContextTextMapPropagator().extract(headers)
        with self._tracer.start_as_current_span("request", context, SpanKind.SERVER) as span:
            yield span

    @contextmanager
    def calling(self, call: Call) -> Iterator[None]:
        """Make a span of a call to the databuffer that is part of a request, and pass it on."""
        if self._tracer is None or not _is_within_a_span():
            yield
            return
        from opentelemetry.trace import SpanKind  # noqa: PLC0415
        from opentelemetry.trace.propagation import tracecontext  # noqa: PLC0415

        name = f"databuffer: {call.name}"
        with self._tracer.start_as_current_span(name, kind=SpanKind.CLIENT) as span:
            tracecontext.TraceContextTextMapPropagator().inject(call.headers)
            try:
                yield
            finally:
                span.set_attribute("http.response.status_code", call.status)


def _is_within_a_span() -> bool:
    from opentelemetry.trace import get_current_span  # noqa: PLC0415

    return get_current_span().get_span_context().is_valid


def finish(span: Span, method: str, route: str, status: int) -> None:
    """Name the span by what was asked, and say how it was answered."""
    from opentelemetry.trace import StatusCode  # noqa: PLC0415

    span.update_name(f"{method} {route}")
    span.set_attributes(
        {"http.request.method": method, "http.route": route, "http.response.status_code": status}
    )
    if status >= 500:
        span.set_status(StatusCode.ERROR)


class Seldom(logging.Filter):
    """Lets a line through once a minute: that the collector is away is no news every second."""

    def __init__(self) -> None:
        super().__init__()
        self._not_before = 0.0

    def filter(self, _record: logging.LogRecord) -> bool:
        """Say whether it is time again."""
        now = time.monotonic()
        if now < self._not_before:
            return False
        self._not_before = now + _SAID_AGAIN
        return True
