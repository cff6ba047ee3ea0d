"""Alive, ready, metrics: what Kubernetes and Prometheus ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import Blueprint, Response

from datastore_logic.errors import ViewError
from datastore_logic.version import installed
from datastore_logic.web.wire import answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from datastore_logic.config import Config
    from datastore_logic.services.tier import Tier
    from datastore_logic.view.database import Position
    from datastore_logic.web.metrics import Metrics


@dataclass
class Serving:
    """What the process that serves tells of itself."""

    is_stopping: Callable[[], bool] = lambda: False


def blueprint(tier: Tier, metrics: Metrics, worker: Serving) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("health", __name__)
    how = _how(tier.config)

    @routes.get("/livez")
    def livez() -> Response:
        return answer({"alive": True})

    @routes.get("/readyz")
    def readyz() -> Response:
        """Ready once the view has reached the head seen at the start, databuffer away or not."""
        stopping = worker.is_stopping()
        try:
            position = tier.database.position()
        except ViewError as reason:
            away = {"ready": False, "stopping": stopping, "detail": str(reason)}
            return answer(away | how, 503)
        ready = position.caught_up and not stopping
        told = {"ready": ready, "stopping": stopping} | _standing(position) | how
        status = 200 if ready else 503
        return answer(told, status, lsn=position.applied_lsn, away=not position.reachable)

    @routes.get("/metrics")
    def expose() -> Response:
        return Response(
            metrics.exposition(tier.database),
            content_type="text/plain; version=0.0.4; charset=utf-8",
        )

    return routes


def _how(config: Config) -> dict[str, object]:
    """Return what it is told to be, and which version it is."""
    return {
        "authentication": config.authentication,
        "reads": "authenticated" if config.access.reads_authenticated else "anonymous",
        "freeze_approvals": config.access.freeze_approvals,
        "tls": config.tls_cert is not None,
        "version": installed(),
    }


def _standing(position: Position) -> dict[str, object]:
    """Return how far this replica is, and what it can do there."""
    return {
        "databuffer": "reachable" if position.reachable else "away",
        "writes": position.caught_up and position.reachable and position.halted is None,
        "ledger": position.ledger or None,
        "applied_lsn": position.applied_lsn,
        "head_lsn": position.head_lsn,
        "halted": position.halted,
        "started_from": "ledger" if position.started_lsn is None else "checkpoint",
        "checkpoint_lsn": position.checkpoint_lsn or None,
    }
