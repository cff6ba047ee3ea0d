"""What Prometheus is told: requests of all workers of the pod, and where the view stands."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from datastore_logic.errors import ViewError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from flask import Request, Response

    from datastore_logic.view.database import Database

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The counters of one process, in a registry of their own.

    Under gunicorn the workers share files in `shared`, which its configuration makes; without
    that directory (one process, a test) they stay in memory.
    """

    def __init__(self, database: Database, shared: Path) -> None:
        self._database = database
        self._shared = shared
        self._own = CollectorRegistry()
        names = ["route", "method", "status"]
        self._requests = Counter(
            "condstore_logic_requests", "Requests answered.", names, registry=self._own
        )
        self._seconds = Histogram(
            "condstore_logic_request_seconds",
            "Time until the answer began.",
            ["route"],
            buckets=BUCKETS,
            registry=self._own,
        )

    def observe(self, request: Request, response: Response, seconds: float) -> None:
        """Count one request, under its route rather than its path: paths are without number."""
        route = request.url_rule.rule if request.url_rule else "none"
        method = request.method if request.method in METHODS else "other"
        self._requests.labels(route, method, response.status_code).inc()
        self._seconds.labels(route).observe(seconds)

    def exposition(self) -> bytes:
        """Return the text Prometheus reads."""
        registry = self._own
        if self._shared.is_dir():
            registry = CollectorRegistry()
            MultiProcessCollector(registry, path=str(self._shared))  # type: ignore[no-untyped-call]
        view = CollectorRegistry()
        view.register(_View(self._database))
        return generate_latest(registry) + generate_latest(view)


class _View(Collector):
    """Where the view stands, read when asked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterable[Any]:
        try:
            position = self._database.position()
        except (ViewError, sqlite3.Error):
            return
        for name, words, value in (
            ("applied_lsn", "LSN the view reflects.", position.applied_lsn),
            ("head_lsn", "LSN of the ledger's head when last seen.", position.head_lsn),
            ("view_ready", "1 once the view has caught up.", position.caught_up),
            ("view_halted", "1 if an entry cannot be applied.", position.halted is not None),
            ("databuffer_reachable", "1 while the databuffer is reached.", position.reachable),
        ):
            yield GaugeMetricFamily(f"condstore_logic_{name}", words, value=float(value))
