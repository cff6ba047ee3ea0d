"""Apply what happens to API tokens: made, revoked. What is kept of a secret is its hash."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from datastore_logic.domain.errors import BadEvent

if TYPE_CHECKING:
    from datastore_logic.domain.events import TokenMade, TokenRevoked
    from datastore_logic.view.entries import Step


def made(step: Step, event: TokenMade) -> None:
    """Know a token."""
    grants = orjson.dumps([[each.role, each.tags] for each in event.grants]).decode()
    step.view.execute(
        "INSERT INTO token VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
        (
            event.token, event.name, event.sha256, grants, event.expires, event.made_by,
            event.made_with, step.time, step.lsn,
        ),
    )  # fmt: skip
    _move(step)


def revoked(step: Step, event: TokenRevoked) -> None:
    """Take a token for nothing from now on; it stays revoked since the first time."""
    query = "UPDATE token SET revoked = coalesce(revoked, ?) WHERE id = ?"
    if not step.view.execute(query, (step.time, event.token)).rowcount:
        raise BadEvent(f"LSN {step.lsn} revokes the unknown token {event.token}")
    _move(step)


def _move(step: Step) -> None:
    """Tell whoever remembers tokens that they are others now."""
    step.view.execute("UPDATE position SET tokens = ?", (step.hash,))
