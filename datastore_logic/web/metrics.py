"""What Prometheus is told: requests of all workers of the pod, and where the view stands."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from datastore_logic.errors import ViewError
from datastore_logic.version import installed
from datastore_logic.web.allocated import Allocated
from datastore_logic.web.counted_tags import CountedTags

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flask import Request, Response

    from datastore_logic.config import Config
    from datastore_logic.view.database import Database
    from datastore_logic.watch import Call
    from datastore_logic.web.resolved import Resolved

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
RESOLVE_BUCKETS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


def share_as(number: int) -> None:
    """Keep what this process counts in files of this number, before it counts anything.

    prometheus_client would name them by process id, so each worker that is replaced would leave
    files behind for ever. By number the next worker goes on where the last one ended.
    """
    values.MmapedDict = Allocated  # type: ignore[attr-defined]
    values.ValueClass = values.MultiProcessValue(lambda: number)  # type: ignore[no-untyped-call]


class Metrics:
    """The counters of one process, in a registry of their own.

    Under gunicorn the workers share files in `metrics_path`, which its configuration makes; without
    that directory (one process, a test) they stay in memory.
    """

    def __init__(self, config: Config) -> None:
        self._shared = config.metrics_path
        self._own = CollectorRegistry()
        self.tags = CountedTags(
            config.metrics_path / "tags",
            config.metrics_tags,
            hidden=config.access.reads_authenticated,
        )
        self._count_requests()
        self._count_work()
        # Finding the labels again for each request costs more than counting it.
        self._of_request = lru_cache(maxsize=None)(self._request)
        self._of_resolution = lru_cache(maxsize=None)(self._resolution)
        self._of_cache = lru_cache(maxsize=None)(self._cache)

    def observe(
        self, request: Request, response: Response, seconds: float, resolved: Resolved | None
    ) -> None:
        """Count one request, under its route rather than its path: paths are without number."""
        route = request.url_rule.rule if request.url_rule else "none"
        method = request.method if request.method in METHODS else "other"
        count, time = self._of_request(route, method, response.status_code)
        count.inc()
        time.observe(seconds)
        if resolved is not None and response.status_code < 400:
            label = self.tags.label(resolved.tag)
            count, time = self._of_resolution(resolved.contract, label)
            count.inc()
            time.observe(seconds)

    def looked_up(self, cache: str, *, hit: bool) -> None:
        """Count a look into what is kept to answer faster."""
        self._of_cache(cache, hit).inc()

    @contextmanager
    def calling(self, call: Call) -> Iterator[None]:
        """Count a call to the databuffer."""
        began = perf_counter()
        try:
            yield
        finally:
            self._calls.labels(call.name).observe(perf_counter() - began)
            if call.failed:
                self._failures.labels(call.name).inc()

    def holds(self, *, busy: int, threads: int, connections: int) -> None:
        """Note what a worker holds."""
        self._busy.set(busy)
        self._threads.set(threads)
        self._connections.set(connections)

    def turns_away(self) -> None:
        """Count a connection that found no place."""
        self._turned_away.inc()

    def exposition(self, database: Database) -> bytes:
        """Return the text Prometheus reads."""
        registry = self._own
        if self._shared.is_dir():
            registry = CollectorRegistry()
            MultiProcessCollector(registry, path=str(self._shared))  # type: ignore[no-untyped-call]
        view = CollectorRegistry()
        view.register(_View(database))
        return generate_latest(registry) + generate_latest(view)

    # --------------------------------------------------------------------------------------------

    def _count_requests(self) -> None:
        self._requests = self._counter(
            "requests", "Requests answered.", "route", "method", "status"
        )
        self._seconds = self._histogram("request_seconds", "Time until the answer began.", "route")
        self._resolutions = self._counter(
            "resolutions", "Requests that resolved moments of a tag.", "tag"
        )
        self._resolve = self._histogram(
            *("resolve_seconds", "Time until the answer of a resolution began.", "contract"),
            buckets=RESOLVE_BUCKETS,
        )

    def _count_work(self) -> None:
        self._hits = self._counter("cache_hits", "Looks into what is kept that found it.", "cache")
        self._misses = self._counter("cache_misses", "Looks that did not.", "cache")
        self._calls = self._histogram("databuffer_seconds", "Time the databuffer took.", "call")
        self._failures = self._counter(
            "databuffer_failures", "Calls that the databuffer failed.", "call"
        )
        self._busy = self._gauge("threads_busy", "Threads with a request, all workers.")
        self._threads = self._gauge("threads", "Threads there are, all workers.")
        self._connections = self._gauge("connections", "Open connections, all workers.")
        self._turned_away = self._counter("connections_turned_away", "Above MAX_CONNECTIONS.")

    def _request(self, route: str, method: str, status: int) -> tuple[Counter, Histogram]:
        return self._requests.labels(route, method, status), self._seconds.labels(route)

    def _resolution(self, contract: str, tag: str) -> tuple[Counter, Histogram]:
        return self._resolutions.labels(tag), self._resolve.labels(contract)

    def _cache(self, cache: str, hit: bool) -> Counter:
        return (self._hits if hit else self._misses).labels(cache)

    def _counter(self, name: str, words: str, *labels: str) -> Counter:
        return Counter(f"condstore_logic_{name}", words, labels, registry=self._own)

    def _gauge(self, name: str, words: str) -> Gauge:
        """Return a gauge of which a scrape sees the sum over the workers that live."""
        full = f"condstore_logic_{name}"
        return Gauge(full, words, registry=self._own, multiprocess_mode="livesum")

    def _histogram(
        self, name: str, words: str, *labels: str, buckets: tuple[float, ...] = BUCKETS
    ) -> Histogram:
        full = f"condstore_logic_{name}"
        return Histogram(full, words, labels, buckets=buckets, registry=self._own)


class _View(Collector):
    """Where the view stands, read when asked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterable[Any]:
        about = GaugeMetricFamily(
            "condstore_logic_build_info", "1; which version it is.", labels=["version"]
        )
        about.add_metric([installed()], 1.0)
        yield about
        try:
            position = self._database.position()
        except (ViewError, sqlite3.Error):
            return
        lag = max(0, position.head_lsn - position.applied_lsn)
        for name, words, value in (
            ("applied_lsn", "LSN the view reflects.", position.applied_lsn),
            ("head_lsn", "LSN of the ledger's head when last seen.", position.head_lsn),
            ("ledger_lag", "Entries between the two.", lag),
            (
                "checkpoint_lsn",
                "LSN of the newest checkpoint known, 0: none.",
                position.checkpoint_lsn,
            ),
            ("view_ready", "1 once the view has caught up.", position.caught_up),
            ("view_halted", "1 if an entry cannot be applied.", position.halted is not None),
            ("databuffer_reachable", "1 while the databuffer is reached.", position.reachable),
        ):
            yield GaugeMetricFamily(f"condstore_logic_{name}", words, value=float(value))
