"""What the process counts about itself, in a registry of its own."""

from __future__ import annotations

from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """Counters and gauges of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "databuffer_requests",
            "Requests answered",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "databuffer_request_seconds",
            "Time to answer",
            ("route",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.turned_away = Counter(
            "databuffer_connections_turned_away",
            "Connections above MAX_CONNECTIONS",
            registry=self.registry,
        )
        self.connections = self._gauge("databuffer_connections", "Open connections")
        # Finding the labels again for each answer costs more than counting it.
        self._of = lru_cache(maxsize=None)(self._labelled)
        self.ledger_lsn = self._gauge("databuffer_ledger_lsn", "Last durable LSN")
        self.files = self._gauge("databuffer_buffer_files", "Segments in the streaming buffer")
        self.bytes = self._gauge("databuffer_buffer_bytes", "Bytes in the streaming buffer")
        self.frozen = self._gauge("databuffer_buffer_frozen", "1 when the buffer is frozen")
        self.writes = self._gauge("databuffer_writes_in_flight", "Places of WCHSZ taken")
        self.free = self._gauge("databuffer_volume_free_bytes", "Free bytes of the volume")
        self.total = self._gauge("databuffer_volume_bytes", "Size of the volume")

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        count, time = self._of(method, route, status)
        count.inc()
        time.observe(seconds)

    def _labelled(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        return self.requests.labels(method, route, str(status)), self.seconds.labels(route)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self.registry)
