"""What a client may want to know of the service: its settings, its pages, how it times out."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from flask import current_app

from datastore_logic.web import wire
from datastore_logic.web.cdb_rest.refusals import Unknown

if TYPE_CHECKING:
    from flask import Blueprint, Response

    from datastore_logic.services.tier import Tier


def add(routes: Blueprint, tier: Tier) -> None:
    """Add the routes."""
    settings = {"CDB_IOV_MODE": tier.config.iov_mode.value}

    @routes.get("/user_settings/<name>/")
    @routes.get("/settings/<name>/")
    def setting(name: str) -> Response:
        if name not in settings:
            raise Unknown(f"Setting '{name}' not found.")
        return wire.answer({name: settings[name]})

    @routes.get("/timeout")
    def timeout() -> Response:
        """Answer at once as a gateway does that has waited in vain."""
        return wire.answer(
            {"detail": "This is what a time-out looks like.", "code": "timeout"}, 504
        )

    @routes.get("/web/")
    def pages() -> Response:
        return cast("Response", current_app.view_functions["pages.status"]())
