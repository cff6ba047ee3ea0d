"""A collector of traces: it takes what OTLP/HTTP sends, and keeps the spans."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from small_server import served

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Seen:
    """A span, as it was received."""

    service: str
    name: str
    kind: int
    trace: str
    id: str
    parent: str
    told: dict[str, Any]


@dataclass
class Collector:
    """Where spans go, and those that came."""

    url: str = ""
    spans: list[Seen] = field(default_factory=list)

    def named(self, name: str) -> list[Seen]:
        """Return the spans of this name."""
        return [span for span in self.spans if span.name == name]

    def take(self, body: bytes) -> None:
        """Keep the spans of a request."""
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            about = {each.key: each.value.string_value for each in group.resource.attributes}
            for scope in group.scope_spans:
                self.spans += [_seen(about["service.name"], span) for span in scope.spans]


@contextlib.contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/v1/traces"
            collector.take(body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with served(Handler, None, "127.0.0.1") as url:
        collector.url = url
        yield collector


def _seen(service: str, span: Any) -> Seen:
    told = {
        each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes
    }
    ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
    return Seen(service, span.name, span.kind, *ids, told)
