"""How refusals look to nopayloaddb's clients, who read `name[0]` or `detail` of a JSON body.

Statuses and bodies are those of the one table in errors.py but for what stands here. Their
C++ client tries again after a 504 only, so that is what "come again" becomes, a race lost too
often included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from datastore_logic.domain.errors import (
    AlreadyExists,
    LockedOverlap,
    TagIsFrozen,
    UnfreezeNeedsReason,
)
from datastore_logic.errors import (
    Conflict,
    DatabufferError,
    Forbidden,
    LogicError,
    NotFound,
    ViewBehind,
    ViewBuilding,
)
from datastore_logic.web import wire
from datastore_logic.web.middleware import refusal, told

if TYPE_CHECKING:
    from flask import Blueprint, Response

    from datastore_logic.domain.timeline import Row
    from datastore_logic.web.cdb_rest.ends import Ends


class Unknown(NotFound):
    """There is no such thing, in the words that nopayloaddb has for it."""

    def __init__(self, detail: str = "Not found.") -> None:
        LogicError.__init__(self, detail)
        self.code = "not_found"


COME_AGAIN: Final = (DatabufferError, ViewBuilding, ViewBehind)


def install(routes: Blueprint, ends: Ends) -> None:
    """Have everything that these routes raise told in the words of this contract."""

    def refuse(error: Exception) -> Response:
        if isinstance(error, AlreadyExists):
            name = f"{error.what.replace('_', ' ')} with this name already exists."
            return wire.answer({"name": [name]}, 400)
        body, status = told(error)
        if type(error) is Conflict or (status == 503 and isinstance(error, COME_AGAIN)):
            status = 504
        elif isinstance(error, UnfreezeNeedsReason):
            status = 409
        return refusal(error, wire.answer({**body, **_reworded(error, ends)}, status))

    routes.register_error_handler(Exception, refuse)


def _reworded(error: Exception, ends: Ends) -> dict[str, str]:
    """Return the words that clients know a refusal by."""
    match error:
        case Forbidden():
            return {"detail": "Permission denied."}
        case TagIsFrozen():
            return {"detail": "Global Tag is frozen."}
        case LockedOverlap(rows=(new, held)):
            return {
                "detail": f"GT is LOCKED. {_bounds(new, ends)} overlaps {_bounds(held, ends)},"
                f" which holds {held.payload.name}."
            }
    return {}


def _bounds(row: Row, ends: Ends) -> str:
    start, end = row.interval.start, row.interval.end
    major, minor = ends.write(None if end is None else end.pair())
    return f"({start.major},{start.minor},{major},{minor})"
