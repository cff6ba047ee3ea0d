"""What the fields of a request say, in its body, query and headers, as values.

A refusal names the field by which the caller knows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from flask import request

from datastore_logic.access.caller import caller
from datastore_logic.domain.errors import BadInterval, BadMoment, BadValue
from datastore_logic.domain.moment import LIMIT, Interval, Moment
from datastore_logic.errors import BadRequest
from datastore_logic.services.commit import Asking
from datastore_logic.view.requests import OWN_KEY

if TYPE_CHECKING:
    from collections.abc import Callable

Value = TypeVar("Value")

MAX_NAME: Final = 1000
MAX_USER: Final = 200
_MAX_KEY: Final = 200


def text(told: dict[str, Any], field: str, default: str | None = None, most: int = 10_000) -> str:
    """Return a string field; without a default it must be there."""
    value = told.get(field, default)
    if not isinstance(value, str) or len(value) > most:
        raise BadRequest(f"{field}: must be a string of at most {most} characters", field=field)
    return value


def moment(major: str = "major", minor: str = "minor") -> Moment:
    """Return the moment of two query parameters; `minor` may be left out for 0.

    Raises:
        BadMoment: naming the parameter.
    """
    if major not in request.args:
        raise BadRequest(f"{major}: is needed", field=major)
    try:
        return Moment.parse(request.args[major], request.args.get(minor, "0"))
    except BadMoment as reason:
        raise _about(reason, {"major": major, "minor": minor}[reason.field]) from reason


def parsed(parse: Callable[[Any], Value], value: object, field: str) -> Value:
    """Return `parse(value)`; what it refuses is told of the field it came in."""
    try:
        return parse(value)
    except BadValue as reason:
        raise _about(reason, field) from reason


def interval() -> Interval:
    """Return the interval of major, minor and, unless it is open, major_end, minor_end."""
    if "major_end" not in request.args:
        if "minor_end" in request.args:
            raise BadRequest("major_end: is needed where minor_end is given", field="major_end")
        return Interval(moment())
    start, end = moment(), moment("major_end", "minor_end")
    try:
        return Interval(start, None if end.major == LIMIT else end)
    except BadInterval as reason:
        raise _about(reason, "major_end") from reason


def logical_name() -> str | None:
    """Return the payload's logical name, if the query gives one."""
    name = request.args.get("name")
    if name is not None and not (0 < len(name) <= MAX_NAME and name.isprintable()):
        raise BadRequest(f"name: must be 1 to {MAX_NAME} printable characters", field="name")
    return name


def actor(said: str | None) -> str:
    """Return who asks: the verified subject; where nobody is verified, who they say they are."""
    if (subject := caller().subject) is not None:
        return subject
    user = said or request.args.get("user", "")
    return user if 0 < len(user) <= MAX_USER and user.isprintable() else "anonymous"


def idempotency_key() -> str | None:
    """Return the caller's idempotency key."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and key.startswith(OWN_KEY):
        raise BadRequest(
            f"Idempotency-Key must not begin with {OWN_KEY}, as this service's own do."
        )
    if key is not None and not (0 < len(key) <= _MAX_KEY and key.isascii() and key.isprintable()):
        raise BadRequest(f"Idempotency-Key must be 1 to {_MAX_KEY} printable ASCII characters.")
    return key


def asking(said: str | None = None, *, keyed: bool = True) -> Asking:
    """Return who asks (by their own word only where nobody is verified), their right, their key."""
    return Asking(actor(said), caller().right, idempotency_key() if keyed else None)


def min_lsn() -> int:
    """Return the LSN that the answer must reflect at least, 0 for any."""
    told = request.headers.get("X-Min-LSN", "0")
    if not (told.isascii() and told.isdigit() and len(told) < 20):
        raise BadRequest("X-Min-LSN must be a number.", field="X-Min-LSN")
    return int(told)


def _about(reason: BadValue, field: str) -> BadValue:
    """Return the same refusal, of the field as the caller knows it."""
    return type(reason)(field, str(reason).partition(": ")[2])
