"""Who the service takes the caller for, and what they may do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from datastore_logic.access.caller import caller
from datastore_logic.access.roles import ANYBODY
from datastore_logic.web import wire
from datastore_logic.web.v1 import shown
from datastore_logic.web.v1.route import Route

if TYPE_CHECKING:
    from flask import Response

    from datastore_logic.services.tier import Tier


def whoami(tier: Tier) -> Response:
    """Show whom the credential proves; without authentication, that nobody is told apart."""
    principal = caller().principal or ANYBODY
    told = {
        "subject": principal.subject,
        "kind": principal.kind,
        "authentication": tier.config.authentication,
        "grants": [grant.wire() for grant in principal.grants],
        "expires": None if principal.expires is None else shown.time(principal.expires),
        "made_by": principal.made_by,
        "token": principal.token_id,
    }
    response = wire.answer(told)
    response.headers["Cache-Control"] = "no-store"
    return response


ROUTES: Final = (Route("GET", "/whoami", whoami),)
