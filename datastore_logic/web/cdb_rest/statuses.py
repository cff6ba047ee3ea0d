"""The three statuses of a global tag, which are there from the start and stay three."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datastore_logic.domain.tags import TagState
from datastore_logic.web import wire
from datastore_logic.web.cdb_rest import asked, shown

if TYPE_CHECKING:
    from flask import Blueprint, Response


def add(routes: Blueprint) -> None:
    """Add the routes."""

    @routes.get("/gtstatus")
    @routes.get("/global-tags/statuses")
    def list_statuses() -> Response:
        return wire.answer([shown.status(state) for state in TagState])

    @routes.post("/gtstatus")
    @routes.post("/global-tags/statuses")
    def create_status() -> Response:
        """Clients make the statuses before they use them: one that is there is answered."""
        return wire.answer(shown.status(asked.state(asked.told().get("name"))))
