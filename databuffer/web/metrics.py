"""What the process counts about itself, in a registry of its own."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from databuffer.health import Report

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SYNC_SECONDS = (0.0001, 0.00025, 0.0005, *_SECONDS[:-2])
_ENTRIES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096)


class Metrics:
    """Counters and gauges of one application; the `Watch` of its stores."""

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        self._count_requests()
        self._count_writes()
        self._look_at_volumes()
        self.connections = self._gauge("connections", "Open connections")
        self.turned_away = self._counter("connections_turned_away", "Above MAX_CONNECTIONS")
        self.ledger_lsn = self._gauge("ledger_lsn", "Last durable LSN")
        self.files = self._gauge("buffer_files", "Segments in the streaming buffer")
        self.bytes = self._gauge("buffer_bytes", "Bytes in the streaming buffer")
        self.frozen = self._gauge("buffer_frozen", "1 when the buffer is frozen")
        self._gauge("build_info", "1; which version it is", "version").labels(version).set(1)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        count, time = self._of(method, route, status)
        count.inc()
        time.observe(seconds)

    def found(self, report: Report) -> None:
        """Take over what the last look at the volumes found."""
        self.ready.set(report.ready)
        for name, volume in report.volumes.items():
            self.free.labels(name).set(volume.free)
            self.total.labels(name).set(volume.total)
            self.reserve.labels(name).set(volume.reserve)

    # what the stores tell -----------------------------------------------------------------------

    def appended(self, seconds: float) -> None:
        """Count a durable entry of the ledger."""
        self._appends.observe(seconds)

    def batched(self, entries: int) -> None:
        """Count a batch of them."""
        self._batches.observe(entries)

    def synced(self, what: str, seconds: float) -> None:
        """Count what the disk took."""
        self._syncs[what].observe(seconds)

    def opened(self, *, kept: bool) -> None:
        """Count a blob that was asked for."""
        (self._hits if kept else self._misses).inc()

    # --------------------------------------------------------------------------------------------

    def _count_requests(self) -> None:
        names = ("method", "route", "status")
        self.requests = self._counter("requests", "Requests answered", *names)
        self.seconds = self._histogram("request_seconds", "Time to answer", "route")
        # Finding the labels again for each answer costs more than counting it.
        self._of = lru_cache(maxsize=None)(self._labelled)
        self.writes = self._gauge("writes_in_flight", "Places of WCHSZ taken")
        self.waiting = self._gauge("writes_waiting", "Writes that wait for one of them")

    def _count_writes(self) -> None:
        self._appends = self._histogram(
            "ledger_append_seconds", "From an entry's arrival until it is durable"
        )
        self._batches = self._histogram(
            "ledger_batch_entries", "Entries made durable by one sync", buckets=_ENTRIES
        )
        self.queue = self._gauge("ledger_queue", "Entries that wait to be decided")
        syncs = self._histogram(
            "fsync_seconds", "Time the disk took to sync", "what", buckets=_SYNC_SECONDS
        )
        self._syncs = {what: syncs.labels(what) for what in ("ledger", "blobs")}
        self._hits = self._counter("blob_cache_hits", "Blobs that memory had")
        self._misses = self._counter("blob_cache_misses", "Blobs read from the volume")

    def _look_at_volumes(self) -> None:
        self.ready = self._gauge("ready", "1 when a write would succeed")
        self.free = self._gauge("volume_free_bytes", "Free bytes of the volume", "volume")
        self.total = self._gauge("volume_bytes", "Size of the volume", "volume")
        self.reserve = self._gauge("volume_reserve_bytes", "Bytes that no write may take", "volume")

    def _labelled(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        return self.requests.labels(method, route, str(status)), self.seconds.labels(route)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"databuffer_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"databuffer_{name}", text, labels, registry=self.registry)

    def _histogram(
        self, name: str, text: str, *labels: str, buckets: tuple[float, ...] = _SECONDS
    ) -> Histogram:
        return Histogram(
            f"databuffer_{name}", text, labels, buckets=buckets, registry=self.registry
        )
