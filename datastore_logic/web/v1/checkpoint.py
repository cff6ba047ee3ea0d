"""A checkpoint: the view, kept where new replicas find it. It holds everything, of every tag."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from datastore_logic.access.caller import caller
from datastore_logic.services.checkpoints import make_checkpoint as make
from datastore_logic.web import fields, wire
from datastore_logic.web.v1.route import Route

if TYPE_CHECKING:
    from flask import Response

    from datastore_logic.services.tier import Tier


def make_checkpoint(tier: Tier) -> Response:
    """Make one of this replica's view, unless one of this very state stands already."""
    caller().right.refuse_unless_everywhere()
    with tier.reading(fields.min_lsn()) as snapshot:
        position = snapshot.position
    made = make(tier, position)
    return wire.answer(made.checkpoint.told(), 201 if made.new else 200, lsn=made.checkpoint.lsn)


ROUTES: Final = (Route("POST", "/checkpoint", make_checkpoint),)
