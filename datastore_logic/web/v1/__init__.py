"""Our own API, `/api/v1`: one module a resource, and openapi.json, which says what each does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flask import Blueprint

from datastore_logic.web.v1 import (
    checkpoint,
    contents,
    document,
    iovs,
    lists,
    payloads,
    review,
    tags,
    tokens,
    whoami,
)

if TYPE_CHECKING:
    from datastore_logic.services.tier import Tier

ROUTES: Final = (
    *tags.ROUTES,
    *contents.ROUTES,
    *review.ROUTES,
    *iovs.ROUTES,
    *lists.ROUTES,
    *payloads.ROUTES,
    *tokens.ROUTES,
    *whoami.ROUTES,
    *checkpoint.ROUTES,
    *document.ROUTES,
)


def blueprint(tier: Tier) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("v1", __name__, url_prefix="/api/v1")
    routes.add_app_template_filter(document.inline)
    for route in ROUTES:
        route.add_to(routes, tier)
    return routes
