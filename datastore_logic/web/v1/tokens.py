"""API tokens: make, list, revoke. A secret is told once, to who made it, and kept by no cache."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from flask import request

from datastore_logic.access.caller import Right, caller
from datastore_logic.access.giving import owner_of
from datastore_logic.access.roles import Grant, Role, TagPattern
from datastore_logic.domain.tags import TokenName
from datastore_logic.errors import BadRequest, Unauthenticated
from datastore_logic.services.commit import Asking
from datastore_logic.services.tokens import Wanted
from datastore_logic.services.tokens import make_token as make
from datastore_logic.services.tokens import revoke_token as revoke
from datastore_logic.view.tokens import tokens
from datastore_logic.web import fields, wire
from datastore_logic.web.v1 import asked, shown
from datastore_logic.web.v1.route import Route

if TYPE_CHECKING:
    from flask import Response

    from datastore_logic.access.roles import Principal
    from datastore_logic.services.tier import Tier
    from datastore_logic.view.tokens import TokenRow

MOST_GRANTS: Final = 50
MOST_SECONDS: Final = 2**32


def list_tokens(tier: Tier) -> Response:
    """Show a page of the caller's tokens, or of all to an admin of all tags."""
    limit, after = asked.limit(), asked.number("after") if "after" in request.args else 0
    last_used = tier.token_use.last()
    with tier.reading(fields.min_lsn()) as snapshot:
        found = tokens(snapshot, after, limit + 1, owner_of(_principal()))
        rows, following = shown.page(found, limit, lambda row: row.lsn)
        listed = [_shown(row) | _since(row, last_used) for row in rows]
        told = {"lsn": snapshot.lsn, "tokens": listed, "next": following}
        away = not snapshot.position.reachable
        return _kept_by_nobody(wire.answer(told, lsn=snapshot.lsn, away=away))


def make_token(tier: Tier) -> Response:
    """Make a token and tell its secret, this once."""
    told = asked.body("name", "grants", "expires", "expires_in")
    wanted = Wanted(
        fields.parsed(TokenName.parse, told.get("name"), "name"),
        tuple(_grant(each) for each in asked.listed(told, "grants", MOST_GRANTS)),
        _moment(told),
        _seconds(told),
    )
    if wanted.expires is not None and wanted.expires_in is not None:
        raise BadRequest("expires: tell either this or expires_in", field="expires")
    made = make(tier, wanted, now=time.time(), asking=asked.asking())
    answer = _shown(made.row) | {"token": made.text}
    return _kept_by_nobody(wire.answer(answer, 201, lsn=made.row.lsn))


def revoke_token(tier: Tier, token_id: str) -> Response:
    """Have a token prove nothing any more; also the one that this is asked with."""
    principal = _principal()
    asking = Asking(fields.actor(None), Right(principal, Role.READER), fields.idempotency_key())
    row, done = revoke(tier, token_id, asking=asking)
    return wire.answer({"id": row.id, "revoked": row.revoked, "lsn": done.lsn}, lsn=done.lsn)


ROUTES: Final = (
    Route("GET", "/tokens", list_tokens, ("after", "limit")),
    Route("POST", "/tokens", make_token, ("user",)),
    Route("DELETE", "/tokens/<token_id>", revoke_token, ("user",)),
)


def _principal() -> Principal:
    found = caller().principal
    if found is None:
        raise Unauthenticated
    return found


def _grant(told: object) -> Grant:
    if not isinstance(told, dict) or told.keys() - {"role", "tags"}:
        raise BadRequest('grants: each must be {"role", "tags"}', field="grants")
    role = next((role for role in Role if told.get("role") == role), None)
    if role is None:
        raise BadRequest(f"grants: role must be one of {', '.join(Role)}", field="grants")
    return Grant(role, fields.parsed(TagPattern.parse, told.get("tags"), "grants"))


def _moment(told: dict[str, Any]) -> int | None:
    """Return the time of `expires`, in whole seconds since 1970."""
    text = asked.optional(told, "expires", 50)
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise BadRequest("expires: must be such as 2026-11-20T23:17:00Z", field="expires")
    return int(found.timestamp())


def _seconds(told: dict[str, Any]) -> int | None:
    found = told.get("expires_in")
    if found is not None and not (type(found) is int and 0 < found < MOST_SECONDS):
        raise BadRequest("expires_in: must be a number of seconds", field="expires_in")
    return found


def _shown(row: TokenRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "grants": [{"role": role, "tags": tags} for role, tags in row.grants],
        "expires": shown.time(row.expires),
        "made_by": row.made_by,
        "created": row.created,
    }


def _since(row: TokenRow, last_used: dict[str, int]) -> dict[str, Any]:
    used = last_used.get(row.id)
    return {"revoked": row.revoked, "last_used": used and shown.time(used)}


def _kept_by_nobody(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response
