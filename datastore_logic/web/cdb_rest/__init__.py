"""The contract of nopayloaddb, `/api/cdb_rest`, so that its clients run here unchanged.

One module a resource; each path of the original has its readable alias beside it, and both take a
trailing slash or none. Success is always 200.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint

from datastore_logic.web.cdb_rest import (
    iovs,
    lists,
    query,
    refusals,
    settings,
    statuses,
    tags,
    types,
)
from datastore_logic.web.cdb_rest.ends import Ends

if TYPE_CHECKING:
    from datastore_logic.services.tier import Tier


def blueprint(tier: Tier) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("cdb_rest", __name__, url_prefix="/api/cdb_rest")
    ends = Ends(tier.config.iov_mode)
    statuses.add(routes)
    tags.add(routes, tier, ends)
    types.add(routes, tier)
    lists.add(routes, tier, ends)
    iovs.add(routes, tier, ends)
    query.add(routes, tier, ends)
    settings.add(routes, tier)
    refusals.install(routes, ends)
    return routes
