"""Alive, ready, metrics: what Kubernetes and Prometheus ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, Response

from datastore_logic.errors import ViewError
from datastore_logic.web.wire import answer

if TYPE_CHECKING:
    from datastore_logic.services.tier import Tier
    from datastore_logic.web.metrics import Metrics


def blueprint(tier: Tier, metrics: Metrics) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("health", __name__)

    @routes.get("/livez")
    def livez() -> Response:
        return answer({"alive": True})

    @routes.get("/readyz")
    def readyz() -> Response:
        """Ready once the view has reached the head seen at the start, databuffer away or not."""
        try:
            position = tier.database.position()
        except ViewError as reason:
            return answer({"ready": False, "detail": str(reason)}, 503)
        told = {
            "ready": position.caught_up,
            "databuffer": "reachable" if position.reachable else "away",
            "writes": position.caught_up and position.reachable and position.halted is None,
            "ledger": position.ledger or None,
            "applied_lsn": position.applied_lsn,
            "head_lsn": position.head_lsn,
            "halted": position.halted,
            "authentication": tier.config.authentication,
        }
        status = 200 if position.caught_up else 503
        return answer(told, status, lsn=position.applied_lsn, away=not position.reachable)

    @routes.get("/metrics")
    def expose() -> Response:
        return Response(
            metrics.exposition(tier.database),
            content_type="text/plain; version=0.0.4; charset=utf-8",
        )

    return routes
